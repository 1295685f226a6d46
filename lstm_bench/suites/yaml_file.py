"""Read the YAML of a suite file: limits, numbers, no anchors, no duplicate keys."""

from __future__ import annotations

from typing import Any

import yaml

from lstm_bench.errors import SuiteError
from lstm_bench.masking import UNPRINTED
from lstm_bench.text import quoted, shortened

# The longest suite here has 2 kB and 4 levels; a suite may come from an untrusted
# repository or store.
MAX_SUITE_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_INT_LENGTH = 40


class SuiteLoader(yaml.SafeLoader):
    """YAML's safe loader for untrusted texts.

    Duplicate keys are an error. Deep nesting would exhaust the stack, and aliases of
    aliases could expand ten lines into a billion values: both are rejected before any
    object is built.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node; reject anchors, aliases and nesting beyond the limit."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
        problem = None
        if getattr(event, "anchor", None) is not None:
            name = quoted(f"{sign}{event.anchor}")
            problem = f"expected no anchor or alias, got {name}; write the value out"
        elif self._depth >= MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} levels"
        if problem:
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Construct an integer, of at most the length that Python converts quickly."""
        if len(node.value) > MAX_INT_LENGTH:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"an integer of more than {MAX_INT_LENGTH} characters: "
                f"{node.value[:MAX_INT_LENGTH]}...",
            )
        return int(super().construct_yaml_int(node))

    def construct_yaml_str(self, node: yaml.ScalarNode) -> str:
        """Construct a string that a terminal and UTF-8 can represent."""
        text: str = super().construct_yaml_str(node)
        # From escapes: "\\e[31m" would colour a terminal, "\\ud800" has no UTF-8.
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
        """Construct a mapping; reject duplicate keys."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {quoted(key)} is given twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


SuiteLoader.add_constructor("tag:yaml.org,2002:int", SuiteLoader.construct_yaml_int)
SuiteLoader.add_constructor("tag:yaml.org,2002:str", SuiteLoader.construct_yaml_str)


def safe_yaml(text: str) -> Any:
    """Return the content of `text`; raise a YAMLError if it is invalid."""
    try:
        return yaml.load(text, Loader=SuiteLoader)
    except (ValueError, OverflowError) as error:
        # For example, a date that does not exist.
        raise yaml.YAMLError(str(error)) from error


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Return the mapping in `text`; `where` names it in errors."""
    if len(text.encode()) > MAX_SUITE_BYTES:
        raise SuiteError(
            f"{where}: expected a suite of at most {MAX_SUITE_BYTES:,} bytes, got more"
        )
    try:
        raw = safe_yaml(text)
    except yaml.YAMLError as error:
        # The text has been read already: PyYAML knows no name for it.
        what = str(error).replace('in "<unicode string>", ', "")
        raise SuiteError(f"{where}: not valid YAML: {shortened(what, 600)}") from error
    if not isinstance(raw, dict):
        raise SuiteError(
            f"{where}: expected a mapping with description, dataset and space, "
            f"got {type(raw).__name__}"
        )
    return raw
