"""The 50,000 labelled IMDB reviews (Maas et al., ACL 2011), with Keras's word ids.

Sources, in this order: the authors' raw archive, Keras's cached file, a download of
Keras's file. Each gives the ids that ``keras.datasets.imdb.load_data()`` returns
without a cap of the vocabulary.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import urllib.request
from collections import Counter
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import (
    Dataset,
    Sequences,
    Sizes,
    from_lists,
    sequences_digest,
)
from lstm_bench.data.imdb_archive import (
    ARCHIVE,
    ARCHIVE_SHA256,
    FOLDER,
    WHAT_TO_DO,
    Texts,
    read_texts,
    review_files,
)
from lstm_bench.errors import DatasetError
from lstm_bench.inference import INDEX_FROM, START, tokenize
from lstm_bench.system.files import file_sha256, files_digest, replacing
from lstm_bench.system.folders import cache_folder

DESCRIPTION = (
    "IMDB film reviews, 25,000 to train on and 25,000 to test on, half of them "
    "positive (Large Movie Review Dataset, Maas et al., ACL 2011)."
)
INDEX = "imdb_word_index.json"
NPZ = "imdb.npz"
NPZ_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/imdb.npz"
NPZ_SHA256 = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
DOWNLOAD_TIMEOUT_S = 30.0
# Limits on untrusted files: several times the real sizes, and within a laptop's
# memory. imdb.npz has 17 MB.
MAX_DOWNLOAD_BYTES = 1 << 27
# 88,584 words in 1.6 MB.
MAX_INDEX_BYTES = 1 << 24

# Part of the cache key: increase it when parsing gives other ids.
_FORMAT = 3
# The numbers of the reviews are kept as groups.
_ARRAYS = ("values", "offsets", "y", "groups")
_VOCABULARY = "vocabulary.json"
_CLASSES = ("negative", "positive")
_FULL_COUNT = 25_000


class Options(BaseModel):
    """Options under ``dataset.options``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: Literal["keras", "words_and_punctuation"] = Field(
        "keras",
        description="How a review is divided: keras gives the ids of "
        "`keras.datasets.imdb` (lower case, without punctuation); "
        "words_and_punctuation has each punctuation mark as a token, and words of each "
        "split's own training reviews.",
    )
    block: int = Field(
        1,
        ge=1,
        le=12_500,
        description="Reviews of one class whose numbers in the archive are in one "
        "block of so many are never divided between train and validation: reviews of "
        "one film have neighbouring numbers. 1: each is divided by itself.",
    )

    @property
    def tokenizer(self) -> str:
        """One of `inference.TOKENIZERS`."""
        return "words" if self.tokens == "keras" else self.tokens


def sizes(options: Options) -> Sizes:
    """Return the number of classes; a folder may contain a subset of the reviews."""
    return Sizes(n_classes=len(_CLASSES))


def load(options: Options, data_dir: Path | None, seed: int) -> Dataset:
    """Load the reviews from the first available source.

    Parameters
    ----------
    options : Options
    data_dir : Path or None
        Folder with ``aclImdb_v1.tar.gz`` or an unpacked ``aclImdb``, or that
        folder itself; None: the variable LSTM_BENCH_DATA, then Keras's file.
    seed : int
        Not used: loading is deterministic.

    Raises
    ------
    DatasetError
        A given folder lacks the data, the data are damaged, or no source is available.
    """
    from_environment = os.environ.get("LSTM_BENCH_DATA")
    if data_dir is not None:
        return _from_raw(data_dir, f"data_dir {data_dir}", options)
    if from_environment:
        where = f"LSTM_BENCH_DATA={from_environment}"
        return _from_raw(Path(from_environment), where, options)
    if options != Options():
        raise DatasetError(
            "imdb: dataset.options: tokens and block need the reviews' own texts and "
            f"numbers, which Keras's file lacks; {WHAT_TO_DO}"
        )
    folder = _keras_folder()
    if not (folder / NPZ).exists():
        _download(folder / NPZ)
    return _from_npz(folder / NPZ)


def _from_raw(folder: Path, where: str, options: Options) -> Dataset:
    archive = folder / ARCHIVE
    unpacked = folder if folder.name == FOLDER else folder / FOLDER
    if not archive.is_file() and not unpacked.is_dir():
        raise DatasetError(
            f"imdb: {where}: expected {ARCHIVE} or a folder {FOLDER}, found neither; "
            f"{WHAT_TO_DO}"
        )
    raw = archive if archive.is_file() else unpacked
    index_path = raw.parent / INDEX
    notes = []
    try:
        index_bytes = _read_index(index_path)
        if raw.is_dir():
            digest = files_digest(raw, review_files(raw))
            source = f"unpacked folder {FOLDER}"
        else:
            digest = file_sha256(raw)
            is_published = digest == ARCHIVE_SHA256
            source = f"{ARCHIVE} (SHA-256 {digest}), " + (
                "the published file" if is_published else "not the published file"
            )
        if options.tokens != "keras":
            index_bytes = None
        cache = cache_folder("imdb", _cache_key(digest, index_bytes, options.tokens))
        cached = _read_cache(cache)
        if cached is None:
            texts = read_texts(raw)
            index = _word_index(index_bytes, index_path)
            cached = _parse(texts, index, options.tokenizer)
            try:
                _write_cache(cache, *cached)
            except OSError as error:
                notes.append(
                    "The parsed reviews could not be cached: "
                    f"{error.strerror or type(error).__name__}."
                )
    except OSError as error:
        raise DatasetError(
            f"imdb: {raw}: expected readable reviews, got {error}; {WHAT_TO_DO}"
        ) from error
    train, test, vocabulary = cached
    if options.tokens != "keras":
        tokenized = "words and punctuation marks"
    else:
        tokenized = "tokenized as Keras"
    if index_bytes is None and options.tokens == "keras":
        notes.append(
            f"No {INDEX} beside the reviews: words are ranked by their count in "
            "train, which gives Keras's order up to ties."
        )
    source = f"{source}; {tokenized}"
    return _dataset(train, test, vocabulary, source, notes, options)


def _dataset(
    train: Sequences,
    test: Sequences,
    vocabulary: tuple[str, ...],
    source: str,
    notes: list[str],
    options: Options,
) -> Dataset:
    groups: dict[str, IntArray] = {}
    for name, part in (("train", train), ("test", test)):
        if options.block > 1 and part.groups is not None:
            # The numbers, which begin anew in each class, and the class.
            groups[name] = 2 * (part.groups // options.block) + part.y
    train, test = (replace(part, groups=None) for part in (train, test))
    for name, part in (("train", train), ("test", test)):
        counts = np.bincount(part.y, minlength=2)
        if len(part) != _FULL_COUNT:
            notes.append(
                f"Not the full dataset: {name} has {len(part):,} reviews "
                f"({counts[1]:,} positive) where {_FULL_COUNT:,} are expected."
            )
    return Dataset(
        name="imdb",
        description=DESCRIPTION,
        train=train,
        test=test,
        class_names=_CLASSES,
        vocabulary=vocabulary,
        digest=sequences_digest(train, test),
        source=source,
        example="review",
        tokenizer=options.tokenizer,
        fits_vocabulary=options.tokens != "keras",
        groups=groups.pop("train", None),
        other_groups=groups,
        notes=tuple(notes),
    )


# Raw text


def _read_index(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    content = _read_at_most(path, MAX_INDEX_BYTES)
    if content is None:
        raise DatasetError(
            f"imdb: {path}: expected at most {MAX_INDEX_BYTES:,} bytes, got more; "
            "replace the file by Keras's, or remove it to rank words by their count"
        )
    return content


def _read_at_most(path: Path, n_bytes: int) -> bytes | None:
    """Return the content of `path`; None if it is longer than `n_bytes`."""
    with path.open("rb") as file:
        content = file.read(n_bytes + 1)
    return content if len(content) <= n_bytes else None


def _word_index(content: bytes | None, path: Path) -> dict[str, int] | None:
    """Return word -> rank; the ranks are 1, 2, ... without gaps."""
    if content is None:
        return None
    try:
        index = json.loads(content)
        ranks = sorted(index.values())
        is_index = ranks == list(range(1, len(ranks) + 1))
    except (ValueError, AttributeError, TypeError, RecursionError):
        is_index = False
    if not is_index:
        raise DatasetError(
            f"imdb: {path}: expected a JSON object of words to ranks 1, 2, ... each "
            "once, got something else; replace the file by Keras's, or remove it to "
            "rank words by their count"
        )
    ranks_by_word: dict[str, int] = index
    return ranks_by_word


def _parse(
    texts: Texts, index: dict[str, int] | None, tokenizer: str
) -> tuple[Sequences, Sequences, tuple[str, ...]]:
    words = {
        key: [tokenize(text, tokenizer) for _, _, text in reviews]
        for key, reviews in texts.items()
    }
    if index is None:
        counts: Counter[str] = Counter()
        for y in (0, 1):
            for review in words["train", y]:
                counts.update(review)
        # Stable: equally frequent words keep the order of their first occurrence.
        ranked = [word for word, _ in counts.most_common()]
        if tokenizer != "words":
            # Each split has the words of its own train; the others only need an id.
            tested = (w for y in (0, 1) for review in words["test", y] for w in review)
            ranked += [word for word in dict.fromkeys(tested) if word not in counts]
        index = {word: rank for rank, word in enumerate(ranked, 1)}
    ids = {word: rank + INDEX_FROM for word, rank in index.items()}
    parts = []
    for part in ("train", "test"):
        lists = [
            [START, *(ids[word] for word in review if word in ids)]
            for y in (0, 1)
            for review in words[part, y]
        ]
        labels = np.repeat([0, 1], [len(words[part, y]) for y in (0, 1)])
        numbers = [number for y in (0, 1) for number, _, _ in texts[part, y]]
        parts.append(replace(from_lists(lists, labels), groups=np.array(numbers)))
    return parts[0], parts[1], tuple(sorted(index, key=index.__getitem__))


# Cache of parsed reviews


def _cache_key(digest: str, index_bytes: bytes | None, tokens: str) -> str:
    index_digest = hashlib.sha256(index_bytes).hexdigest() if index_bytes else "none"
    key = f"format {_FORMAT}\n{digest}\nindex {index_digest}\n{tokens}"
    return hashlib.sha256(key.encode()).hexdigest()


def _write_cache(
    folder: Path, train: Sequences, test: Sequences, vocabulary: tuple[str, ...]
) -> None:
    for name, part in (("train", train), ("test", test)):
        for array in _ARRAYS:
            file = folder / f"{name}-{array}.npy"
            with replacing(file) as partial, partial.open("wb") as stream:
                np.save(stream, getattr(part, array))
    # Written last: if it exists, the other files do.
    with replacing(folder / _VOCABULARY) as partial:
        partial.write_text(json.dumps(vocabulary), encoding="utf-8")


def _read_cache(folder: Path) -> tuple[Sequences, Sequences, tuple[str, ...]] | None:
    """Return what `_write_cache` wrote, memory-mapped and so shared by processes."""
    if not (folder / _VOCABULARY).exists():
        return None
    train, test = (
        Sequences(
            **{array: _mapped(folder / f"{name}-{array}.npy") for array in _ARRAYS}
        )
        for name in ("train", "test")
    )
    vocabulary = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))
    return train, test, tuple(vocabulary)


# Keras's file


def _mapped(file: Path) -> Any:
    return np.asarray(np.load(file, mmap_mode="r"))


def _keras_folder() -> Path:
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def _download(target: Path) -> None:
    """Download Keras's file to `target`, which exists only once it is complete."""
    n_bytes = 0
    try:
        with replacing(target) as partial:
            with (
                partial.open("wb") as file,
                urllib.request.urlopen(NPZ_URL, timeout=DOWNLOAD_TIMEOUT_S) as response,
            ):
                while chunk := response.read(1 << 20):
                    n_bytes += len(chunk)
                    if n_bytes > MAX_DOWNLOAD_BYTES:
                        break
                    file.write(chunk)
            got = file_sha256(partial)
            if got != NPZ_SHA256:
                raise DatasetError(
                    f"imdb: download of {NPZ_URL}: expected SHA-256 {NPZ_SHA256}, got "
                    f"{got} after {n_bytes:,} bytes; try again, or {WHAT_TO_DO}"
                )
    except (OSError, HTTPException) as error:
        raise DatasetError(
            f"imdb: download of {NPZ_URL}: expected Keras's {NPZ}, got "
            f"{type(error).__name__}: {error}; try again, or {WHAT_TO_DO}"
        ) from error


def _from_npz(path: Path) -> Dataset:
    content = _read_at_most(path, MAX_DOWNLOAD_BYTES)
    got = "a larger file" if content is None else hashlib.sha256(content).hexdigest()
    # The file contains pickles, which can run code: nothing is unpickled before the
    # hash of the same bytes has matched.
    if content is None or got != NPZ_SHA256:
        raise DatasetError(
            f"imdb: {path}: expected SHA-256 {NPZ_SHA256}, got {got}; remove the file "
            f"so that it is fetched again, or {WHAT_TO_DO}"
        )
    with np.load(io.BytesIO(content), allow_pickle=True) as arrays:
        train, test = (_keras_part(arrays, part) for part in ("train", "test"))
    index_path = path.parent / INDEX
    index_bytes = _read_index(index_path)
    index = _word_index(index_bytes, index_path) or {}
    notes = [] if index else [f"No {INDEX} beside {NPZ}: words cannot be shown."]
    vocabulary = tuple(sorted(index, key=index.__getitem__))
    return _dataset(train, test, vocabulary, f"Keras's {NPZ}", notes, Options())


def _keras_part(arrays: Any, part: str) -> Sequences:
    ranks = arrays[f"x_{part}"]
    return from_lists(
        [[START, *(rank + INDEX_FROM for rank in review)] for review in ranks],
        arrays[f"y_{part}"],
    )
