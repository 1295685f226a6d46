"""Read the YAML of a suite file: limits, numbers, no anchors, no duplicate keys."""

from __future__ import annotations

from typing import Any

import yaml

from lstm_bench.errors import SuiteError
from lstm_bench.masking import UNPRINTED
from lstm_bench.text import quoted, shortened

# The longest suite here has 2 kB, 60 values and 4 levels. A suite may come from
# somebody else's repository or store.
MAX_SUITE_BYTES = 1 << 20
# Of every value, aliases followed: twice what a text without any can hold, and more.
MAX_CHARACTERS = 1 << 22
MAX_DEPTH = 20
MAX_INT_LENGTH = 40


class SuiteLoader(yaml.SafeLoader):
    """YAML's safe loader for texts from anywhere.

    A key given twice is an error and not a silent win. Nesting without end exhausts
    the stack, and aliases of aliases a billion values from ten lines as soon as
    somebody walks them: both are refused before anything is made of them.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node; refuse nesting and aliases beyond the limits."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f"more than {MAX_DEPTH} levels", mark
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if id(node) not in self._sizes:
            if isinstance(event, yaml.AliasEvent):
                # Its own size is known only at its end, which is still to come.
                raise yaml.composer.ComposerError(
                    None, None, f"{quoted(event.anchor)} contains itself", mark
                )
            self._sizes[id(node)] = self._size(node)
        if self._sizes[id(node)] > MAX_CHARACTERS:
            raise yaml.composer.ComposerError(
                None,
                None,
                f"more than {MAX_CHARACTERS:,} characters, aliases followed",
                mark,
            )
        return node

    def _size(self, node: yaml.Node) -> int:
        """Return the characters and values of `node`, aliases followed."""
        if isinstance(node, yaml.ScalarNode):
            return 1 + len(node.value)
        children: list[yaml.Node] = node.value
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        return 1 + sum(self._sizes[id(child)] for child in children)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Construct an integer of a length that Python converts in no time."""
        if len(node.value) > MAX_INT_LENGTH:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"an integer of more than {MAX_INT_LENGTH} characters: "
                f"{node.value[:MAX_INT_LENGTH]}...",
            )
        return int(super().construct_yaml_int(node))

    def construct_yaml_str(self, node: yaml.ScalarNode) -> str:
        """Construct a string that a terminal and UTF-8 can show."""
        text: str = super().construct_yaml_str(node)
        # Written as escapes: "\\e[31m" would colour a terminal, "\\ud800" has no UTF-8.
        found = UNPRINTED.search(text)
        if found:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"text with {found[0]!a}; leave control characters and lone "
                "surrogates out",
                node.start_mark,
            )
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        """Construct a mapping; a key given twice is an error."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {quoted(key)} stands twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def safe_yaml(text: str) -> Any:
    """Return what `text` holds; every way in which it is not fit is a YAMLError."""
    try:
        return yaml.load(text, Loader=SuiteLoader)
    except (ValueError, OverflowError) as error:
        # A date that no calendar has, for example.
        raise yaml.YAMLError(str(error)) from error


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Return the mapping that `text` holds; `where` names it in errors."""
    if len(text.encode()) > MAX_SUITE_BYTES:
        raise SuiteError(
            f"{where}: expected a suite of at most {MAX_SUITE_BYTES:,} bytes, got more"
        )
    try:
        raw = safe_yaml(text)
    except yaml.YAMLError as error:
        raise SuiteError(
            f"{where}: not valid YAML: {shortened(str(error), 600)}"
        ) from error
    if not isinstance(raw, dict):
        raise SuiteError(
            f"{where}: expected a mapping with description, dataset and space, "
            f"got {type(raw).__name__}"
        )
    return raw
