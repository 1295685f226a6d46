"""The data section: kind, source, parts, classes, and findings of the data check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lstm_bench.analysis.imbalance import balance_of
from lstm_bench.data.dataset import VECTORS
from lstm_bench.data.embedding import coverage_text, file_text
from lstm_bench.metrics import IMBALANCED
from lstm_bench.report.blocks import (
    DASH,
    Block,
    Column,
    Facts,
    Note,
    Section,
    as_sentence,
    class_text,
    column_names,
    count,
)
from lstm_bench.report.view import View
from lstm_bench.text import listed

# More classes are listed by size, not in their own order.
MAX_IN_ORDER = 20
PARTS = {"train": "train", "given_validation": "validation", "test": "test"}
STEPS = {
    "words": "words, in lower case and without punctuation",
    "words_and_punctuation": "words in lower case, and punctuation marks",
    "whitespace": "words, divided at white space",
    "characters": "characters",
    "categories": "categories",
}

CLASSES = (
    Column("name", "class", "name"),
    Column("train", "train (n)", "count", meaning="with those held out to validate on"),
    Column("share", "share of train", "share"),
    Column("given_validation", "validation (n)", "count", meaning="as given"),
    Column("test", "test (n)", "count"),
)
FINDINGS = (
    Column("level", "level"),
    Column("name", "check", "name"),
    Column("text", "finding", "prose"),
    Column("n", "count", "count"),
    Column("example", "for example", "prose"),
    Column("advice", "what to do", "prose"),
)


def data_section(view: View) -> Section:
    """Show what the data are, how they are divided, and what the check found."""
    data = view.results.dataset
    blocks: list[Block] = [Facts(tuple(_facts(view)))]
    blocks += [Note(as_sentence(text), True) for text in _warnings(data)]
    table = classes(data)
    if len(table):
        columns = tuple(
            c for c in CLASSES if c.name not in PARTS or table[c.name].notna().any()
        )
        by_size = len(table) > MAX_IN_ORDER
        caption = (
            f"The {len(table):,} classes by part"
            + (", the largest first" if by_size else "")
            + "; train has the examples that are held out for validation, too."
        ).replace("examples", view.results.examples)
        blocks.append(
            view.table("classes", caption, table[column_names(columns)], columns)
        )
    if findings := data.get("check"):
        frame = pd.DataFrame(findings, columns=column_names(FINDINGS), dtype=object)
        caption = (
            f"{count(len(findings), 'finding')} of the data check, which "
            "`lstm-bench data check` prints again."
        )
        blocks.append(view.table("data_check", caption, frame, FINDINGS))
    return Section(
        "Data",
        "data",
        "What was learnt from, and what was left out.",
        tuple(blocks),
    )


def classes(data: Mapping[str, Any]) -> pd.DataFrame:
    """Return the number of examples of each class by part.

    Returns
    -------
    DataFrame with the columns of `CLASSES`
        In the order of the classes, or above `MAX_IN_ORDER` by size. A part that does
        not exist is missing.
    """
    names = data.get("class_names", ())
    sizes = {part: (data.get(part) or {}).get("classes") or {} for part in PARTS}
    if not any(sizes.values()):
        return pd.DataFrame(columns=column_names(CLASSES))
    n_train = sum(sizes["train"].values())
    table = pd.DataFrame(
        {
            "name": pd.Series(names, dtype=object),
            "train": [sizes["train"].get(name) for name in names],
            "share": [
                sizes["train"].get(name, 0) / n_train if n_train else None
                for name in names
            ],
            "given_validation": [sizes["given_validation"].get(name) for name in names],
            "test": [sizes["test"].get(name) for name in names],
        }
    )
    if len(table) > MAX_IN_ORDER:
        table = table.sort_values("train", ascending=False, kind="stable")
    return table.reset_index(drop=True)


def _facts(view: View) -> Iterator[tuple[str, str]]:
    data, examples = view.results.dataset, view.results.examples
    yield "kind", _kind(data)
    yield "from", str(data.get("source") or DASH)
    yield "digest (SHA-256)", str(data.get("digest", DASH))
    rows = data.get("rows")
    if rows:
        yield "rows read", f"{rows['n_read']:,}"
        yield "rows dropped", _dropped(rows)
    for part, name in PARTS.items():
        about = data.get(part)
        if about:
            yield f"{name} {examples}", f"{about['n']:,}{_lengths(about)}"
    if embedding := data.get("embedding"):
        yield "embedding file", file_text(embedding)
        covered = map(coverage_text, embedding["coverage"])
        yield "words with a vector", "; ".join(covered)
    yield "test part", str(data.get("division") or "as the dataset has it")
    yield "validation part", _validation(view)
    # A forecast's outputs are all of the same series.
    targets = {} if data.get("forecast") else (data.get("train") or {}).get("targets")
    for name, facts in (targets or {}).items():
        yield (
            f"target {name} in train",
            f"mean {facts['mean']:.4g}, standard deviation {facts['std']:.4g}, "
            f"{facts['min']:.4g} to {facts['max']:.4g}",
        )
    balance = balance_of(view.results)
    if balance is not None:
        yield (
            "largest and smallest class",
            f"{class_text(balance.largest)} with "
            f"{balance.sizes[balance.largest]:,}, {class_text(balance.smallest)} with "
            f"{balance.sizes[balance.smallest]:,} of train"
            + (
                f": uneven, {balance.ratio:.3g} to 1 (above {IMBALANCED} to 1)"
                if balance.is_uneven
                else ""
            ),
        )
        tested = (data.get("test") or {}).get("classes") or {}
        if n := sum(tested.values()):
            share = tested.get(balance.largest, 0) / n
            yield (
                "always the largest class of train",
                f"accuracy {share:.4f} on test, balanced accuracy "
                f"{1 / sum(map(bool, tested.values())):.4f}",
            )


def _kind(data: Mapping[str, Any]) -> str:
    if data.get("kind") == VECTORS:
        channels = data.get("channels", ())
        return f"series of vectors of {count(len(channels), 'channel')}: " + listed(
            channels
        )
    words = data.get("vocabulary_words")
    of = f" of {words:,} different ones" if words else ""
    tokenizer = data.get("tokenizer")
    return f"sequences of {STEPS.get(tokenizer or '', 'token ids')}{of}"


def _dropped(rows: Mapping[str, Any]) -> str:
    if not rows.get("n_dropped"):
        return "none"
    reasons = (
        f"{reason} ({about['n']:,}" + (f", as {example})" if example else ")")
        for reason, about in rows.get("reasons", {}).items()
        for example in [about.get("example")]
    )
    return f"{rows['n_dropped']:,}: {listed(reasons, '; ')}"


def _lengths(part: Mapping[str, Any]) -> str:
    quantiles = part.get("length_quantiles") or {}
    known = [quantiles.get(name) for name in ("min", "median", "max")]
    if None in known:
        return ""
    low, middle, high = (f"{value:,.0f}" for value in known)
    if low == high:
        return f", of {low} steps"
    return f", of {low} to {high} steps (median {middle})"


def _validation(view: View) -> str:
    data, spec = view.results.dataset, view.suite.dataset
    if data.get("validation") == "test":
        return "the test part"
    if data.get("forecast"):
        return "the origins before test's, the same for every seed"
    if data.get("given_validation"):
        return "given with the data"
    share = f"{spec.validation_fraction:.0%} of train, "
    copies = "; copies stay together"
    by_class = "" if view.suite.task.is_numeric else ", stratified by class"
    if column := spec.options.get("time"):
        return f"{share}the latest by column {column}{copies}"
    if column := spec.options.get("group"):
        return (
            f"{share}drawn at random by each seed{by_class}; those of one "
            f"value in column {column} and copies stay together"
        )
    return f"{share}drawn at random by each seed{by_class}{copies}"


def _warnings(data: Mapping[str, Any]) -> Iterator[str]:
    errors = [f for f in data.get("check", ()) if f["level"] == "error"]
    if errors:
        yield (
            f"The data check found {count(len(errors), 'error')}: "
            + "; ".join(f["text"].rstrip(".") for f in errors[:3])
        )
