"""Word vectors from a GloVe or word2vec text file, for the words of a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_bench.arrays import Float32Array
from lstm_bench.data.dataset import Embedding, Sequences, value_blocks
from lstm_bench.data.files.streams import binary
from lstm_bench.errors import DatasetError
from lstm_bench.inference import INDEX_FROM
from lstm_bench.text import count, listed, quoted

MAX_DIM = 4096
"""Of `embedding_dim`."""
MAX_LINE = 1 << 20
"""Most bytes of a line: `MAX_DIM` numbers have a tenth of them."""
_UTF8_BOM = b"\xef\xbb\xbf"
_SHOWN = 80


def find_embedding_file(file: str, folders: Sequence[Path]) -> Path:
    """Return the path of an embedding file.

    Parameters
    ----------
    folders : sequence of Path
        Where a relative path may start; the first that has the file counts.

    Raises
    ------
    DatasetError
        None of them has it.
    """
    paths = list(dict.fromkeys(folder / file for folder in folders))
    for path in paths:
        if path.is_file():
            return path
    raise DatasetError(
        f"dataset.embedding_file: expected a file, found none at "
        f"{listed(map(str, paths), ' or ')}; correct the path (a relative one starts "
        "from --data-dir or LSTM_BENCH_DATA, else from the suite's folder)"
    )


def read_embedding(path: Path, vocabulary: Sequence[str]) -> Embedding:
    """Read the vectors of the words in `vocabulary`, line by line.

    A line is a word and its numbers, divided by white space. A first line of two
    integers, as word2vec and fastText write it, is the number of words and of
    dimensions. Words are compared as they are. Of a word that occurs twice the first
    vector counts. The numbers of other words are counted, but not read.

    Parameters
    ----------
    path : Path
        Decompressed if its name ends in .gz.
    vocabulary : sequence of str
        As in `Dataset`: the word of rank r has id r + 3.

    Raises
    ------
    DatasetError
        The file cannot be read, a line is malformed, the file is shorter than its first
        line has it, or it has none of the words.
    """
    ids = {
        word.encode(errors="surrogatepass"): INDEX_FROM + rank
        for rank, word in enumerate(vocabulary, start=1)
    }
    found: list[int] = []
    vectors: list[Float32Array] = []
    digest = hashlib.sha256()
    dim, n_words, n_declared = 0, 0, None
    first_words: list[bytes] = []
    with binary(path) as stream:
        lines = iter(lambda: stream.readline(MAX_LINE), b"")
        for number, line in enumerate(lines, start=1):
            digest.update(line)
            if number == 1:
                line = line.removeprefix(_UTF8_BOM)
                n_declared, dim = _first_line(path, line)
                if n_declared is not None:
                    continue
            # From the right: GloVe's largest file has words with a space.
            fields = line.rsplit(None, dim)
            if not fields:
                continue
            if len(fields) != dim + 1 or _ends_in_number(fields[0]):
                raise _malformed(
                    path, number, f"a word and {count(dim, 'number')}", line
                )
            n_words += 1
            if len(first_words) < 3:
                first_words.append(fields[0])
            token = ids.pop(fields[0], None)
            if token is not None:
                found.append(token)
                vectors.append(_vector(path, number, line, fields[1:]))
    if not n_words:
        raise DatasetError(
            f"{path}: expected words and their numbers, got none; get the file again"
        )
    if n_declared not in (None, n_words):
        raise DatasetError(
            f"{path}: expected {n_declared:,} words, as in its first line, got "
            f"{n_words:,}; the file is incomplete, get it again"
        )
    if not found:
        words = listed(quoted(word.decode(errors="replace")) for word in first_words)
        raise DatasetError(
            f"{path}: expected words of the data, found none among "
            f"{count(n_words, 'word')} ({words}), where the data have "
            f"{listed(map(quoted, vocabulary[:3]))}; give vectors for the same "
            "language and spelling"
        )
    return Embedding(
        np.array(found, np.int32),
        np.stack(vectors),
        path.name,
        digest.hexdigest(),
        n_words,
    )


def _first_line(path: Path, line: bytes) -> tuple[int | None, int]:
    """Return the number of words, None if it is not given, and of dimensions."""
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        n_words, dim = map(int, fields)
    else:
        n_words, dim = None, len(fields) - 1
        if dim > 0:
            _vector(path, 1, line, fields[1:])
    if not 1 <= dim <= MAX_DIM:
        expected = f"a word and 1 to {MAX_DIM:,} numbers"
        raise _malformed(path, 1, expected, line)
    return n_words, dim


def _ends_in_number(word: bytes) -> bool:
    """Whether a word has a space and a number after it, which is one too many."""
    rest = word.split()
    if len(rest) < 2:
        return False
    try:
        float(rest[-1])
    except ValueError:
        return False
    return True


def _vector(
    path: Path, number: int, line: bytes, fields: Sequence[bytes]
) -> Float32Array:
    try:
        vector = np.array([*map(float, fields)], np.float32)
    except ValueError:
        vector = np.array([np.nan], np.float32)
    if not np.isfinite(vector).all():
        expected = f"a word and {count(len(fields), 'finite number')}"
        raise _malformed(path, number, expected, line)
    return vector


def _malformed(path: Path, number: int, expected: str, line: bytes) -> DatasetError:
    text = line[:_SHOWN].decode(errors="replace").rstrip()
    n = len(line.split())
    return DatasetError(
        f"{path}: line {number:,}: expected {expected}, got {count(n, 'field')} "
        f"({quoted(text)}); give vectors as GloVe's or word2vec's text format has "
        "them, unpacked or as .gz"
    )


def coverage(
    embedding: Embedding, train: Sequences, vocabulary_size: int
) -> dict[str, int]:
    """Return how many words of a model's vocabulary an embedding file has.

    Parameters
    ----------
    train : Sequences
        The training sequences of a split.

    Returns
    -------
    dict
        ``n_words``: different words of `train` within the vocabulary; ``n_tokens``:
        how often they occur there; ``n_words_found`` and ``n_tokens_found``: of those
        that the file has; and ``vocabulary_size``.
    """
    counts = np.zeros(vocabulary_size + 1, np.int64)
    for values in value_blocks(train):
        # Rarer words count for the last id, which no model has.
        within = np.minimum(values, vocabulary_size)
        counts += np.bincount(within, minlength=vocabulary_size + 1)
    counts[: INDEX_FROM + 1] = counts[vocabulary_size] = 0
    ids, _ = embedding.rows_of(train.fitted, vocabulary_size)
    found = counts[ids]
    return {
        "vocabulary_size": vocabulary_size,
        "n_words": int(np.count_nonzero(counts)),
        "n_words_found": int(np.count_nonzero(found)),
        "n_tokens": int(counts.sum()),
        "n_tokens_found": int(found.sum()),
    }


def describe_embedding(
    embedding: Embedding, train: Sequences, vocabulary_sizes: Sequence[int]
) -> dict[str, Any]:
    """Return an embedding file's name, digest and coverage as plain JSON types."""
    return {
        "name": embedding.name,
        "digest": embedding.digest,
        "dim": embedding.dim,
        "n_words": embedding.n_words,
        "coverage": [coverage(embedding, train, size) for size in vocabulary_sizes],
    }


def file_text(described: Mapping[str, Any]) -> str:
    """Return which file it is, of what `describe_embedding` returned."""
    return (
        f"{described['name']} (SHA-256 {described['digest']}), "
        f"{count(described['n_words'], 'word')} with {described['dim']:,} numbers each"
    )


def coverage_text(covered: Mapping[str, Any]) -> str:
    """Return what `coverage` returned, in words."""
    of_words = covered["n_words_found"] / max(1, covered["n_words"])
    of_tokens = covered["n_tokens_found"] / max(1, covered["n_tokens"])
    return (
        f"at vocabulary_size {covered['vocabulary_size']:,} the file has "
        f"{covered['n_words_found']:,} of {count(covered['n_words'], 'word')} "
        f"({of_words:.1%}), {of_tokens:.1%} of their occurrences in train"
    )
