"""Check whether data are fit for an answer: errors and warnings, each with a remedy.

Everything is computed over blocks of sequences, so that a million texts do not fill the
memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import VECTORS, Dataset, Sequences, Vocabulary
from lstm_bench.data.embedding import coverage, coverage_text
from lstm_bench.data.splits import Splits
from lstm_bench.inference import INDEX_FROM, START, index_of
from lstm_bench.metrics import IMBALANCED, follows_shares
from lstm_bench.text import count, listed, quoted, shortened

MIN_EXAMPLES = 100
MIN_OF_CLASS = 50
MIN_ORIGINS = 20
"""Test origins below which intervals over times are wide."""
MAX_TRUNCATED = 0.05
"""Share of the training sequences that may be cut at the suite's longest length."""
MAX_LOST = 0.01
"""Share of the training steps that may be lost by it."""
MIN_WITH_VECTORS = 0.5
"""Share of the words' occurrences in train that an embedding file should have."""
MAX_UNKNOWN = 0.1
"""Share of validation's words that may be unknown at the largest vocabulary."""
TELLING = 0.95
"""A word tells the class if it is in at least this share of the class's texts, and this
share of the texts with the word are of the class."""
MIN_TOLD = 20
"""Examples of a class from which on a word or a value may be said to tell it."""
MIN_HTML = 0.005
"""Share of the examples with HTML from which on it is reported: once the punctuation is
gone, a tag may be a word, too."""
MAX_OUTSIDE = 0.01
"""Share of a part's examples that may have a target outside of train's range."""
SUPPOSED_ACCURACY = 0.9
"""Accuracy for which the interval is computed that the test examples allow."""

Level = Literal["error", "warning"]

_BLOCK = 4096
_SAMPLE = 20_000
_SHOWN_WORDS = 12
_SHOWN = 70


@dataclass(frozen=True)
class Finding:
    """A fault of the data.

    Attributes
    ----------
    level : {"error", "warning"}
        With an error there is no answer, or a wrong one.
    name : str
        Kind of fault, such as ``copies_between_parts``.
    n : int
        How many rows, examples, classes or words have it.
    example : str
        One of them; may be empty.
    advice : str
        What to do.
    text : str
        What was found, in a sentence.
    """

    level: Level
    name: str
    n: int
    example: str
    advice: str
    text: str


@dataclass(frozen=True)
class Use:
    """How a suite uses the data.

    Attributes
    ----------
    sequence_lengths, vocabulary_sizes : tuple of int
        All that a training may have, in ascending order.
    metric : str
        Name of the objective.
    margin : float or None
        Differences up to this are negligible; None without a confirmation.
    drops_bad_rows : bool
    numbers_are_classes : bool
        Whether the suite says so of labels that are numbers.
    is_own : bool
        Whether the data are files of the user's own.
    max_train_samples : int or None
        Most examples to train on; None: all.
    """

    sequence_lengths: tuple[int, ...]
    vocabulary_sizes: tuple[int, ...]
    metric: str = "accuracy"
    margin: float | None = None
    drops_bad_rows: bool = False
    numbers_are_classes: bool = False
    is_own: bool = True
    max_train_samples: int | None = None


def check(dataset: Dataset, splits: Splits | None, use: Use) -> list[Finding]:
    """Return the faults of a dataset, errors first.

    Parameters
    ----------
    splits : Splits or None
        Those of the search; None where the data cannot be split.
    """
    if dataset.forecast:
        found = [
            *_bad_rows(dataset, use),
            *_few_examples(dataset),
            *_windows(dataset, use),
        ]
        return sorted(found, key=lambda finding: finding.level)
    is_numeric = dataset.is_numeric
    found = [
        *_bad_rows(dataset, use),
        *_few_examples(dataset),
        *(_targets(dataset) if is_numeric else _classes(dataset, splits, use)),
        *_copies(dataset),
        *(() if is_numeric else _two_labels(dataset)),
        *_short(dataset),
        *_groups(dataset),
        *_truncated(dataset, use),
        *(() if is_numeric else _test_size(dataset, use)),
    ]
    if dataset.kind == VECTORS:
        found += [*_channels(dataset), *_telling_values(dataset)]
    else:
        found += [
            *_marks(dataset),
            *(() if is_numeric else _telling_words(dataset)),
            *_names(dataset),
        ]
        if splits is not None:
            found += [
                *_unknown(dataset, splits, use),
                *_without_vectors(dataset, splits, use),
            ]
    return sorted(found, key=lambda finding: finding.level)


def truncation(sequences: Sequences, limit: int) -> tuple[float, float]:
    """Return the shares of sequences that are cut at `limit`, and of steps lost."""
    lost = np.maximum(sequences.lengths - limit, 0)
    return float((lost > 0).mean()), float(lost.sum() / sequences.lengths.sum())


def half_width(y: IntArray, metric: str) -> float | None:
    """Return half of a 95 % interval of an accuracy of 0.9 on these examples.

    Parameters
    ----------
    y : int64 ndarray of shape (n,)
        Classes of the test examples.
    metric : str
        For balanced accuracy the mean of the classes' own accuracies; None for metrics
        other than these two.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22(158), 1927.
    """
    if metric == "balanced_accuracy":
        counts = np.unique(y, return_counts=True)[1]
        # The variance of the mean over classes is that of so many examples.
        n = round(len(counts) ** 2 / float((1 / counts).sum()))
    elif metric == "accuracy":
        n = len(y)
    else:
        return None
    n_right = round(SUPPOSED_ACCURACY * n)
    interval = stats.binomtest(n_right, n).proportion_ci(method="wilson")
    return float(interval.high - interval.low) / 2


# Rows and classes


def _bad_rows(dataset: Dataset, use: Use) -> Iterator[Finding]:
    for reason, rows in dataset.rows.get("reasons", {}).items():
        text = f"{count(rows['n'], 'row')} could not be read: {reason}."
        if use.drops_bad_rows:
            advice = "Correct them, if they are not to be left out (on_bad_rows: drop)."
        else:
            advice = "Correct them, or leave them out with on_bad_rows: drop."
        level: Level = "warning" if use.drops_bad_rows else "error"
        yield Finding(level, "bad_rows", rows["n"], rows["example"], advice, text)


def _few_examples(dataset: Dataset) -> Iterator[Finding]:
    n = sum(len(sequences) for sequences in dataset.parts.values())
    if n < MIN_EXAMPLES:
        yield Finding(
            "error",
            "few_examples",
            n,
            "",
            f"Give at least {MIN_EXAMPLES}, better some thousands.",
            f"There are only {count(n, dataset.example)} in all parts together.",
        )


def _targets(dataset: Dataset) -> Iterator[Finding]:
    """Report outputs that are constant in train, and targets far outside of it."""
    train = dataset.train.y
    low, high = train.min(axis=0), train.max(axis=0)
    constant = np.flatnonzero(low == high)
    if len(constant):
        name = dataset.output_names[int(constant[0])]
        yield Finding(
            "error",
            "constant_targets",
            len(constant),
            f"{name}: always {low[constant[0]]:g}",
            "Name another column with label.",
            f"{count(len(constant), 'output')} of {len(low)} {_are(len(constant))} "
            "constant in train.",
        )
    for part, sequences in dataset.parts.items():
        outside = ((sequences.y < low) | (sequences.y > high)).any(axis=1)
        n = int(outside.sum())
        if part != "train" and n > MAX_OUTSIDE * len(sequences):
            yield Finding(
                "warning",
                "targets_outside_train",
                n,
                _shown(dataset, part, int(np.flatnonzero(outside)[0])),
                "Look whether the parts are of one kind; no model knows such targets.",
                f"{count(n, dataset.example)} of {part} {_have(n)} a target outside "
                "of train's range.",
            )


def _classes(dataset: Dataset, splits: Splits | None, use: Use) -> Iterator[Finding]:
    parts, names = dataset.parts, dataset.class_names
    counts = {
        part: np.bincount(sequences.y, minlength=len(names))
        for part, sequences in parts.items()
    }
    noun = dataset.example
    in_train = counts["train"]
    if np.count_nonzero(in_train) == 1:
        yield Finding(
            "error",
            "one_class",
            1,
            names[int(in_train.argmax())],
            "Give examples of other classes, or name another column with label.",
            "All training examples are of one class.",
        )
    for part in [part for part in parts if part != "train"]:
        lacking = np.flatnonzero((counts[part] > 0) & (in_train == 0))
        if len(lacking):
            first = int(np.flatnonzero(np.isin(parts[part].y, lacking))[0])
            yield Finding(
                "error",
                "class_not_in_train",
                len(lacking),
                _shown(dataset, part, first),
                "Give training examples of them, or leave them out.",
                f"Classes of {part} without training {dataset.examples}: "
                f"{listed(quoted(names[c]) for c in lacking)}.",
            )
    used, of_part, or_more = in_train, "", ""
    if use.max_train_samples is not None and splits is not None:
        used = np.bincount(splits.train.y, minlength=len(names))
        of_part = f" among the {len(splits.train):,} that max_train_samples leaves"
        or_more = ", train on more"
    small = np.flatnonzero((in_train > 0) & (used < MIN_OF_CLASS))
    if len(small):
        least = int(small[used[small].argmin()])
        yield Finding(
            "warning",
            "few_of_class",
            len(small),
            f"{names[least]}: {count(int(used[least]), noun)}",
            f"Give more of them{or_more}, or join small classes into one.",
            f"{len(small)} of {len(names)} classes "
            f"{'has' if len(small) == 1 else 'have'} fewer than {MIN_OF_CLASS} "
            f"training {dataset.examples}{of_part}.",
        )
    yield from _imbalance(dataset, use, in_train, counts["test"])
    asks = use.is_own and not use.numbers_are_classes and len(names) > 2
    if asks and all(map(_is_number, names)):
        yield Finding(
            "warning",
            "numeric_labels",
            len(names),
            listed(names[:5]),
            "If they are classes: numeric_labels_are_classes: true; if they are a "
            "quantity: task: regression.",
            "All labels are numbers: classes, or a quantity?",
        )


def _imbalance(
    dataset: Dataset, use: Use, in_train: IntArray, in_test: IntArray
) -> Iterator[Finding]:
    present = in_train[in_train > 0]
    is_uneven = present.max() > IMBALANCED * present.min()
    if not is_uneven or not follows_shares(use.metric, dataset.n_classes):
        return
    largest = int(in_train.argmax())
    smallest = int(np.where(in_train, in_train, np.inf).argmin())
    names = dataset.class_names
    share = in_test[largest] / max(1, in_test.sum())
    yield Finding(
        "warning",
        "imbalance",
        int(in_train[largest]),
        f"{names[largest]}: {in_train[largest]:,}, {names[smallest]}: "
        f"{in_train[smallest]:,}",
        "Set study: {metric: balanced_accuracy} and defaults: {class_weights: "
        "balanced}.",
        f"The largest class has {present.max() / present.min():.1f} times as many "
        f"training {dataset.examples} as the smallest. Always answering "
        f"{quoted(names[largest])} has a test accuracy of {share:.4f}, and a balanced "
        f"accuracy of {1 / np.count_nonzero(in_test):.4f}.",
    )


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _test_size(dataset: Dataset, use: Use) -> Iterator[Finding]:
    half = half_width(dataset.test.y, use.metric)
    if use.margin is None or half is None or half <= use.margin:
        return
    n = len(dataset.test)
    needed = f"about {n * (half / use.margin) ** 2:,.0f}" if use.margin else "more"
    yield Finding(
        "warning",
        "test_size",
        n,
        "",
        f"Give {needed} test {dataset.examples}, or a larger confirm.margin; "
        "differences of two models on the same examples are known better than this.",
        f"A 95 % interval of {use.metric.replace('_', ' ')} {SUPPOSED_ACCURACY:g} over "
        f"{count(n, f'test {dataset.example}')} reaches ±{half:.4f}, farther than the "
        f"suite's margin of {use.margin:g}.",
    )


# Copies, lengths, groups


def _copies(dataset: Dataset) -> Iterator[Finding]:
    parts = dataset.parts
    noun = dataset.example
    prints = {name: part.fingerprints for name, part in parts.items()}
    within = {
        name: np.setdiff1d(
            np.arange(len(values)), np.unique(values, return_index=True)[1]
        )
        for name, values in prints.items()
    }
    n_within = sum(map(len, within.values()))
    if n_within:
        first = next(name for name, copies in within.items() if len(copies))
        numbers = ", ".join(f"{len(c):,} in {part}" for part, c in within.items())
        yield Finding(
            "warning",
            "copies_within_parts",
            n_within,
            _shown(dataset, first, int(within[first][0])),
            "Remove them if they are no repeats of their own; they count more than "
            "once, but are never divided between train and validation.",
            f"{count(n_within, noun)} {_are(n_within)} equal to an earlier one of the "
            f"same part ({numbers}).",
        )
    for one, other in combinations(parts, 2):
        copies = np.flatnonzero(np.isin(prints[other], prints[one]))
        if len(copies):
            yield Finding(
                "warning",
                "copies_between_parts",
                len(copies),
                _shown(dataset, other, int(copies[0])),
                f"Remove them from {one if other == 'test' else other}: scores on "
                "examples seen in training are too good.",
                f"{count(len(copies), noun)} of {other} {_are(len(copies))} also in "
                f"{one}.",
            )


def _two_labels(dataset: Dataset) -> Iterator[Finding]:
    prints = [part.fingerprints for part in dataset.parts.values()]
    y = np.concatenate([part.y for part in dataset.parts.values()])
    _, texts = np.unique(np.concatenate(prints), return_inverse=True)
    # Each text with each of its labels, sorted by text.
    pairs, n_of_pair = np.unique(texts * dataset.n_classes + y, return_counts=True)
    of_text, starts = np.unique(pairs // dataset.n_classes, return_index=True)
    is_two = np.diff(starts, append=len(pairs)) > 1
    if not is_two.any():
        return
    n_right = int(np.maximum.reduceat(n_of_pair, starts).sum())
    members = np.flatnonzero(np.isin(texts, of_text[is_two]))
    first = members[texts[members] == texts[members[0]]]
    labels = listed(quoted(dataset.class_names[c]) for c in np.unique(y[first]))
    part, i = _place(dataset, int(first[0]))
    yield Finding(
        "warning",
        "two_labels",
        len(members),
        f"{_shown(dataset, part, i)} has the labels {labels}",
        "Correct the labels, or remove such examples.",
        f"{count(len(members), dataset.example)} ({int(is_two.sum()):,} different) are "
        "there with more than one label: no model has an accuracy above "
        f"{n_right / len(y):.4f} on all parts together.",
    )


def _short(dataset: Dataset) -> Iterator[Finding]:
    """Report texts without words, and series of a single step."""
    is_vectors = dataset.kind == VECTORS
    short = {
        name: np.flatnonzero(part.lengths <= 1) for name, part in dataset.parts.items()
    }
    n = sum(map(len, short.values()))
    if not n:
        return
    part = next(name for name, found in short.items() if len(found))
    i = int(short[part][0])
    label = _target(dataset, dataset.parts[part], i)
    yield Finding(
        "warning",
        "single_steps" if is_vectors else "empty_texts",
        n,
        f"{part} {i}, {label}",
        "Remove them, or look whether the right columns are read.",
        f"{count(n, dataset.example)} {'has' if n == 1 else 'have'} "
        + ("a single step or none." if is_vectors else "no words."),
    )


def _groups(dataset: Dataset) -> Iterator[Finding]:
    if dataset.groups is None:
        return
    for part, groups in dataset.other_groups.items():
        inside = np.flatnonzero(np.isin(groups, dataset.groups))
        if len(inside):
            n = len(np.unique(groups[inside]))
            yield Finding(
                "warning",
                "shared_groups",
                n,
                _shown(dataset, part, int(inside[0])),
                "Divide the parts by group, or leave split out: groups then stay "
                "together.",
                f"{count(n, 'group')} of {part} ({count(len(inside), 'example')}) "
                f"{_are(n)} also in train.",
            )


def _truncated(dataset: Dataset, use: Use) -> Iterator[Finding]:
    if dataset.train.shortest is not None:
        return  # Sequences of a memory task have every length.
    cut = [(limit, *truncation(dataset.train, limit)) for limit in use.sequence_lengths]
    if not cut or cut[-1][1] <= MAX_TRUNCATED or cut[-1][2] <= MAX_LOST:
        return
    longest = int(dataset.train.lengths.argmax())
    each = "; ".join(
        f"length {limit:,}: {share:.1%} cut, {lost:.1%} of all steps lost"
        for limit, share, lost in cut
    )
    enough = int(np.quantile(dataset.train.lengths, 1 - MAX_TRUNCATED))
    yield Finding(
        "warning",
        "truncated",
        int((dataset.train.lengths > cut[-1][0]).sum()),
        f"train {longest}: {count(int(dataset.train.lengths[longest]), 'step')}",
        f"Try a sequence_length of {enough:,}, or where to cut: truncating: pre, post "
        "or head_tail.",
        f"Training {dataset.examples} are longer than the suite's lengths ({each}).",
    )


# Windows of series


def _windows(dataset: Dataset, use: Use) -> Iterator[Finding]:
    """Report what is missing or left out, and what is too little for an answer."""
    about = dataset.forecast
    if about["n_missing"]:
        yield Finding(
            "warning",
            "missing_values",
            about["n_missing"],
            "",
            "Fill in what can be known at the time; never from later values.",
            f"{count(about['n_missing'], 'value')} of {about['n_values']:,} are "
            f"missing, in {count(about['series_with_missing'], 'series')}: they are "
            "masked in inputs.",
        )
    for key, why in (
        ("n_without_targets", "a target is missing"),
        ("n_without_inputs", "every input is missing"),
    ):
        left = {part: of[key] for part, of in about["parts"].items() if of[key]}
        if left:
            each = listed(f"{n:,} of {part}" for part, n in left.items())
            yield Finding(
                "warning",
                key.removeprefix("n_"),
                sum(left.values()),
                "",
                "A shorter horizon loses fewer.",
                f"Windows are left out because {why}: {each}.",
            )
    if about["left_out"]:
        name, reason = next(iter(about["left_out"].items()))
        yield Finding(
            "warning",
            "series_left_out",
            len(about["left_out"]),
            f"{name}: {reason}",
            "Give longer series, or another season.",
            f"{count(len(about['left_out']), 'series')} have no scale.",
        )
    n_origins = len(set(about["test"]["position"]))
    if n_origins < MIN_ORIGINS:
        yield Finding(
            "warning",
            "few_origins",
            n_origins,
            "",
            "Raise n_windows, or lower step.",
            f"There are {count(n_origins, 'test origin')}: intervals over times will "
            "be wide.",
        )
    longest = max(use.sequence_lengths, default=0)
    if longest > about["window"]:
        yield Finding(
            "warning",
            "short_window",
            about["window"],
            "",
            f"Set window: {longest:,}, or a smaller sequence_length.",
            f"The windows have {count(about['window'], 'step')}, fewer than the "
            f"suite's sequence_length of {longest:,}.",
        )


# Words


def _unknown(dataset: Dataset, splits: Splits, use: Use) -> Iterator[Finding]:
    n_ids = _n_ids(dataset)
    counts = np.zeros(n_ids, np.int64)
    for block in _blocks(splits.val):
        counts += np.bincount(_ids(dataset, block), minlength=n_ids)
    counts[START] = 0
    n = int(counts.sum())
    known = [int(counts[INDEX_FROM:size].sum()) for size in use.vocabulary_sizes]
    if not n or not known or 1 - known[-1] / n <= MAX_UNKNOWN:
        return
    each = "; ".join(
        f"size {size:,}: {1 - k / n:.1%}"
        for size, k in zip(use.vocabulary_sizes, known, strict=True)
    )
    words = splits.fitted.words if isinstance(splits.fitted, Vocabulary) else ()
    yield Finding(
        "warning",
        "unknown_words",
        n - known[-1],
        "",
        "Give a larger vocabulary_size or more training examples"
        + (f" (train has {count(len(words), 'word')})" if words else "")
        + ".",
        f"Of validation's {n:,} words these are unknown at the suite's vocabulary "
        f"({each}).",
    )


def _without_vectors(dataset: Dataset, splits: Splits, use: Use) -> Iterator[Finding]:
    """Report an embedding file that lacks most of what train consists of."""
    if dataset.embedding is None or not use.vocabulary_sizes:
        return
    covered = coverage(dataset.embedding, splits.train, use.vocabulary_sizes[-1])
    if covered["n_tokens_found"] >= MIN_WITH_VECTORS * covered["n_tokens"]:
        return
    fitted = splits.fitted
    words = fitted.words if isinstance(fitted, Vocabulary) else dataset.vocabulary
    ids, _ = dataset.embedding.rows_of(fitted, use.vocabulary_sizes[-1])
    lacking = np.setdiff1d(np.arange(covered["n_words"]) + INDEX_FROM + 1, ids)[:5]
    yield Finding(
        "warning",
        "words_without_vector",
        covered["n_words"] - covered["n_words_found"],
        listed(quoted(words[i - INDEX_FROM - 1]) for i in lacking),
        "Give vectors for the language and spelling of the data (tokens: words makes "
        "them lower case); such words have random vectors, which embedding: frozen "
        "never trains.",
        f"Of the embedding file {dataset.embedding.name}: {coverage_text(covered)}.",
    )


_CONTINUATION = "\x80-\x9f¡-º¼-¿€‚ƒ„†‡ˆ‰Š‹ŒŽ˜™š›œžŸ"
_MARKS: tuple[tuple[str, str, str, re.Pattern[str]], ...] = (
    (
        "wrong_encoding",
        "characters of a wrong encoding",
        "Read and write the file as UTF-8 where it is made.",
        # UTF-8 read as Latin-1 or Windows-1252, perhaps in lower case; U+FFFD.
        re.compile(f"�|[Ãã][{_CONTINUATION}]|[Ââ][¡-º¼-¿]|â€"),
    ),
    (
        "html",
        "HTML tags or entities",
        "Remove them, unless they matter (html.unescape, BeautifulSoup).",
        re.compile(
            r"^(br|href|nbsp|quot)$|</?[a-z]+\d?/?>|^<(a|br|div|img|p|span)$|href=|"
            r"&(amp|quot|nbsp|lt|gt|#\d+);",
            re.IGNORECASE,
        ),
    ),
    (
        "control_characters",
        "NULs or other control characters",
        "Remove them where the file is made.",
        re.compile("[\x00-\x08\x0e-\x1f\x7f]"),
    ),
)


def _marks(dataset: Dataset) -> Iterator[Finding]:
    """Report wrong encoding, HTML and control characters."""
    characters = dataset.tokenizer == "characters"
    flags = np.zeros(_n_ids(dataset), np.uint8)
    for word, token in index_of(dataset.vocabulary).items():
        flags[token] = sum({1 << bit for bit, _ in _marks_in(word)})

    def of_block(block: Sequences) -> npt.NDArray[np.uint8]:
        return _any_of(flags[_ids(dataset, block)], block)

    read = _marks_of_characters(dataset) if characters else of_block
    marked = {name: _of_each(part, read) for name, part in dataset.parts.items()}
    n_examples = sum(map(len, dataset.parts.values()))
    for bit, (name, what, advice, _) in enumerate(_MARKS):
        of_part = {p: np.flatnonzero(each & (1 << bit)) for p, each in marked.items()}
        n = sum(map(len, of_part.values()))
        if n <= (MIN_HTML * n_examples if name == "html" else 0):
            continue
        part = next(p for p, each in of_part.items() if len(each))
        i = int(of_part[part][0])
        shown = _shown(dataset, part, i)
        ids = np.minimum(dataset.parts[part][i], len(flags) - 1)
        if not characters:
            word = ids[(flags[ids] & (1 << bit)) > 0][0]
            shown = f"{quoted(dataset.vocabulary[word - INDEX_FROM - 1])} in {shown}"
        yield Finding(
            "warning",
            name,
            n,
            shown,
            advice,
            f"{count(n, dataset.example)} {'has' if n == 1 else 'have'} {what}.",
        )


def _marks_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield the bit of each mark in a text or a word, and its place."""
    for bit, (*_, pattern) in enumerate(_MARKS):
        for found in pattern.finditer(text):
            yield bit, found.start()


def _marks_of_characters(
    dataset: Dataset,
) -> Callable[[Sequences], npt.NDArray[np.uint8]]:
    characters = np.full(_n_ids(dataset), "\n")
    characters[INDEX_FROM + 1 : -1] = dataset.vocabulary

    def of_block(block: Sequences) -> npt.NDArray[np.uint8]:
        text = characters[_ids(dataset, block)].tobytes().decode("utf-32-le")
        marks = np.zeros(len(block), np.uint8)
        for bit, place in _marks_in(text):
            marks[np.searchsorted(block.starts, place, "right") - 1] |= 1 << bit
        return marks

    return of_block


def _telling_words(dataset: Dataset) -> Iterator[Finding]:
    """Report words that alone tell a class: found on a sample, counted on train."""
    train = dataset.train
    step = max(1, len(train) // _SAMPLE)
    sample = train.take(np.arange(0, len(train), step)).copied()
    n_ids = _n_ids(dataset)
    of_row = np.repeat(np.arange(len(sample)), sample.lengths)
    # Each word once for each text that has it; faster than np.unique.
    pairs = np.sort(of_row * n_ids + _ids(dataset, sample))
    texts, words = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], n_ids)
    n_with = np.bincount(words, minlength=n_ids)
    n_of_class = np.bincount(sample.y, minlength=dataset.n_classes)
    for label in np.flatnonzero(n_of_class >= MIN_TOLD):
        with_word = np.bincount(words[sample.y[texts] == label], minlength=n_ids)
        tells = (with_word >= TELLING * n_of_class[label]) & (
            with_word >= TELLING * n_with
        )
        tells[[*range(INDEX_FROM + 1), n_ids - 1]] = False
        for word in np.flatnonzero(tells)[:1]:
            yield _telling_word(dataset, int(word), int(label))


def _telling_word(dataset: Dataset, word: int, label: int) -> Finding:
    train = dataset.train
    has = _of_each(train, lambda block: _any_of(block.values == word, block)) > 0
    is_class = train.y == label
    n = int((has & is_class).sum())
    name = quoted(dataset.class_names[label])
    return Finding(
        "warning",
        "telling_word",
        n,
        _shown(dataset, "train", int(np.flatnonzero(has & is_class)[0])),
        "If a new text would not have it, remove it: the task is then not the one "
        "that is measured.",
        f"The word {quoted(dataset.vocabulary[word - INDEX_FROM - 1])} is in {n:,} of "
        f"{int(is_class.sum()):,} training {dataset.examples} of class {name}, and in "
        f"{int((has & ~is_class).sum()):,} of all others.",
    )


def _names(dataset: Dataset) -> Iterator[Finding]:
    """Report texts that are one word each, almost all different: an id column."""
    train = dataset.train
    n_different = len(np.unique(train.fingerprints))
    is_one = train.lengths == 2
    if is_one.mean() >= TELLING and n_different >= TELLING * len(train):
        yield Finding(
            "warning",
            "ids_as_texts",
            int(is_one.sum()),
            _shown(dataset, "train", int(np.flatnonzero(is_one)[0])),
            "Name the column of the texts with text.",
            f"Almost every {dataset.example} is a single word that no other has, as in "
            "a column of ids.",
        )


# Vectors


def _channels(dataset: Dataset) -> Iterator[Finding]:
    n_channels = len(dataset.channels)
    low, high = np.full(n_channels, np.inf), np.full(n_channels, -np.inf)
    for block in _blocks(dataset.train):
        # As minimum and maximum, but of the values that are there.
        low = np.fmin(low, np.fmin.reduce(block.values, axis=0))
        high = np.fmax(high, np.fmax.reduce(block.values, axis=0))
    constant = np.flatnonzero(low == high)
    if len(constant):
        yield Finding(
            "warning",
            "constant_channels",
            len(constant),
            f"{dataset.channels[constant[0]]}: always {low[constant[0]]:g}",
            "Leave them out: values.",
            f"{count(len(constant), 'channel')} of {n_channels} "
            f"{_are(len(constant))} constant in train.",
        )
    for name, part in dataset.parts.items():
        lacks = _of_each(part, lambda b: _any_of(~np.isfinite(b.values).all(axis=1), b))
        missing = np.flatnonzero(lacks)
        if len(missing):
            yield Finding(
                "error",
                "missing_values",
                len(missing),
                _shown(dataset, name, int(missing[0])),
                "Fill them in, or remove such examples.",
                f"{count(len(missing), dataset.example)} of {name} "
                f"{'has' if len(missing) == 1 else 'have'} values that are missing or "
                "not finite.",
            )


def _telling_values(dataset: Dataset) -> Iterator[Finding]:
    """Report values that number the rows, or whose order alone is that of the classes.

    Every step of series of one length is looked at, otherwise the first step.
    """
    train = dataset.train
    step = max(1, len(train) // _SAMPLE)
    index = np.arange(0, len(train), step)
    starts, lengths = train.starts[index], train.lengths[index]
    # Of numbers, values that number the rows alone are reported.
    y = np.zeros(len(index), np.int64) if dataset.is_numeric else train.y[index]
    n_of_class = np.unique(y, return_counts=True)[1]
    is_told = len(n_of_class) > 1 and n_of_class.min() >= MIN_TOLD
    if lengths.min() < 1:
        return
    n_steps = int(lengths[0]) if (lengths == lengths[0]).all() else 1
    for offset in range(n_steps):
        values = np.asarray(train.values[starts + offset])
        for channel, name in enumerate(dataset.channels):
            column = values[:, channel]
            order = np.argsort(column, kind="stable")
            is_new = np.diff(column[order]) > 0
            changes = np.diff(y[order]) != 0
            is_by_class = (
                is_told
                and changes.sum() == len(n_of_class) - 1
                and is_new[changes].all()
            )
            is_row_number = (
                step == 1
                and len(column) >= MIN_EXAMPLES
                and is_new.all()
                and (column == np.round(column)).all()
                and np.ptp(column) < 2 * len(column)
            )
            if is_by_class or is_row_number:
                what = "tell the class" if is_by_class else "number the rows"
                yield Finding(
                    "warning",
                    "telling_values" if is_by_class else "row_numbers",
                    len(column),
                    f"{column[0]:g} in {_shown(dataset, 'train', 0)}",
                    "If it is an id or was made from the label, leave it out: values.",
                    f"The values of channel {name} at step {offset + 1} alone {what}.",
                )
                return


# Helpers


def _blocks(sequences: Sequences) -> Iterator[Sequences]:
    for start in range(0, len(sequences), _BLOCK):
        index = np.arange(start, min(start + _BLOCK, len(sequences)))
        # A copy of its own even where all are stored in this order.
        yield sequences.take(index).copied()


def _of_each(
    sequences: Sequences, of_block: Callable[[Sequences], npt.NDArray[np.uint8]]
) -> npt.NDArray[np.uint8]:
    """Return what `of_block` gives for each sequence, of shape (n_sequences,)."""
    blocks = [of_block(block) for block in _blocks(sequences)]
    return np.concatenate([np.zeros(0, np.uint8), *blocks])


def _any_of(flags: npt.ArrayLike, block: Sequences) -> npt.NDArray[np.uint8]:
    """Return for each sequence the bits that any of its steps has."""
    # The last flag is for sequences without steps, which reduceat cannot reduce.
    padded = np.append(np.asarray(flags, np.uint8), np.uint8(0))
    found = np.bitwise_or.reduceat(padded, block.starts)
    return np.where(block.lengths > 0, found, 0).astype(np.uint8)


def _n_ids(dataset: Dataset) -> int:
    """Return one more than the largest that `_ids` returns."""
    return INDEX_FROM + 2 + len(dataset.vocabulary)


def _ids(dataset: Dataset, block: Sequences) -> npt.NDArray[np.int32]:
    """Return token ids; those without a word in the vocabulary are the largest."""
    return np.minimum(block.values, _n_ids(dataset) - 1).astype(np.int32)


def _place(dataset: Dataset, i: int) -> tuple[str, int]:
    """Return part and index in it of example `i` of all parts together."""
    for name, part in dataset.parts.items():
        if i < len(part):
            return name, i
        i -= len(part)
    raise IndexError(i)


def _shown(dataset: Dataset, part: str, i: int) -> str:
    sequences = dataset.parts[part]
    text = dataset.text(sequences, i, max_words=_SHOWN_WORDS)
    label = _target(dataset, sequences, i)
    return f"{part} {i:,}, {shortened(label, 30)}: {shortened(text, _SHOWN)}"


def _target(dataset: Dataset, sequences: Sequences, i: int) -> str:
    """Return an example's class, or its numbers."""
    if dataset.is_numeric:
        return listed(f"{value:g}" for value in sequences.y[i].tolist())
    return dataset.class_names[int(sequences.y[i])]


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
