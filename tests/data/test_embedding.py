"""Embedding files: both formats, bad lines, coverage, and what suites do with them."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run

from lstm_bench.data.dataset import how_different, short_identity
from lstm_bench.data.embedding import coverage, coverage_text, read_embedding
from lstm_bench.data.folder import keep, kept_files, open_kept
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import make_splits
from lstm_bench.errors import DatasetError, SuiteError
from lstm_bench.inference import OUT_OF_VOCABULARY
from lstm_bench.open_study import load_data
from lstm_bench.suites.suite import load_suite
from lstm_bench.training.prepare import load_dataset_of, prepare
from lstm_bench.workers.job import put_end, put_part
from lstm_bench.workers.progress import LoggedProgress

GLOVE = b"the 1 2.5\nof -3e-1 4\nfilm 5 6\n"
VOCABULARY = ("film", "unheard", "the")


def write(folder: Path, content: bytes, name: str = "vectors.txt") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


FORMATS = {
    "GloVe": GLOVE,
    "word2vec": b"3 2\n" + GLOVE.replace(b"\n", b" \n"),
    "byte order mark": b"\xef\xbb\xbf" + GLOVE,
    "Windows lines and tabs": GLOVE.replace(b"\n", b"\r\n").replace(b" ", b"\t"),
    "blank last line": GLOVE + b"\n",
    "a word with a space": GLOVE + b"at name@example.com 7 7\n",
    "a word twice": GLOVE + b"film 9 9\n",
    "other bytes": GLOVE + b"\xff\xfe 9 9\n",
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("is_compressed", [False, True])
def test_read_embedding_keeps_the_words_of_the_vocabulary(
    tmp_path, name, is_compressed
):
    content = FORMATS[name]
    file = write(tmp_path, content)
    if is_compressed:
        file = write(tmp_path, gzip.compress(content), "vectors.txt.gz")
    embedding = read_embedding(file, VOCABULARY)
    vectors = dict(zip(embedding.ids.tolist(), embedding.vectors.tolist(), strict=True))
    # Ids are ranks + 3.
    assert vectors == {4: [5.0, 6.0], 6: [1.0, 2.5]}
    assert embedding.vectors.dtype == np.float32
    assert (embedding.dim, embedding.name) == (2, file.name)
    assert embedding.digest == hashlib.sha256(content).hexdigest()
    n_more = name in ("a word with a space", "a word twice", "other bytes")
    assert embedding.n_words == 3 + n_more


MALFORMED = {
    "too few numbers": (b"the 1 2\nof 3\n", "line 2: expected a word and 2 numbers"),
    "too many numbers": (b"the 1 2\nof 3 4 5\n", "line 2: expected a word and 2"),
    "no number": (b"the 1 2\nfilm 3 x\n", "line 2: expected a word and 2 finite"),
    "infinite": (b"the 1 2\nfilm 3 inf\n", "line 2: expected a word and 2 finite"),
    "a text": (b"I love this film\n", "line 1: expected a word and 3 finite numbers"),
    "one column": (b"text,label\n", "line 1: expected a word and 1 to 4,096 numbers"),
    "no dimension": (b"7 0\nthe\n", "line 1: expected a word and 1 to 4,096 numbers"),
    "word2vec's .bin": (b"9 300\nthe \x00\x01", "line 2: expected a word and 300"),
    "incomplete": (b"4 2\n" + GLOVE, "expected 4 words, as in its first line, got 3"),
    "empty": (b"", "expected words and their numbers, got none"),
    "German": (b"der 1 2\n", "found none among 1 word ('der'), where the data have"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_read_embedding_refuses_a_malformed_file_with_its_line(tmp_path, name):
    content, expected = MALFORMED[name]
    file = write(tmp_path, content)
    with pytest.raises(DatasetError) as caught:
        read_embedding(file, VOCABULARY)
    assert str(caught.value).startswith(f"{file}: ")
    assert expected in str(caught.value)


def test_read_embedding_refuses_a_truncated_gzip_file(tmp_path):
    file = write(tmp_path, gzip.compress(GLOVE)[:-9], "vectors.txt.gz")
    with pytest.raises(DatasetError, match="expected a complete gzip file"):
        read_embedding(file, VOCABULARY)


TEXTS = [
    ("pos", f"good good good film n{i}") if i % 2 else ("neg", f"bad bad film n{i}")
    for i in range(40)
]
OWN = "".join(f"{label},{text}\n" for label, text in [("label", "text"), *TEXTS])
SUITE = """
description: do word vectors help?
dataset: {file: own.csv, embedding_file: vectors.txt, validation_fraction: 0.5}
defaults: {embedding_dim: 2, sequence_length: 4, max_epochs: 1, batch_size: 8, units: 2}
space: {embedding: [random, pretrained, frozen], vocabulary_size: [6, 100]}
study: {metric: accuracy, n_trials: 6, sampler: grid}
engine: stock
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own.csv").write_text(OWN)
    write(tmp_path, b"good 1 2\nworst 9 9\nbad 3 4\nsad 0 1\n")
    file = tmp_path / "own.yaml"
    file.write_text(SUITE)
    return file


def trained_on(dataset, index):
    """Return the splits of a dataset that has no other training examples."""
    return make_splits(
        replace(dataset, train=dataset.train.take(index)),
        root_seed=0,
        replicate=0,
        validation_fraction=0.5,
        max_train_samples=None,
        validates_on_test=True,
    )


def test_coverage_counts_words_and_their_occurrences_in_train(own):
    dataset = load_dataset_of(load_suite(own), None)
    five = [np.flatnonzero(dataset.train.y == label)[:5] for label in (0, 1)]
    train = trained_on(dataset, np.concatenate(five)).train
    # good 15, film and bad 10 each, and ten words once.
    counts = {"vocabulary_size": 100, "n_words": 13, "n_words_found": 2}
    counts |= {"n_tokens": 45, "n_tokens_found": 25}
    assert coverage(dataset.embedding, train, 100) == counts
    assert coverage_text(counts) == (
        "at vocabulary_size 100 the file has 2 of 13 words (15.4%), 55.6% of their "
        "occurrences in train"
    )
    # Ids 4 and 5 alone: good, and film or bad.
    small = coverage(dataset.embedding, train, 6)
    assert (small["n_words"], small["n_tokens"]) == (2, 25)
    assert small["n_tokens_found"] == {1: 15, 2: 25}[small["n_words_found"]]


def test_rows_of_are_those_of_the_splits_vocabulary(own):
    dataset = load_dataset_of(load_suite(own), None)
    negative = np.flatnonzero(dataset.train.y == 0)
    fitted = trained_on(dataset, negative).fitted
    # Train lacks good; bad is the most frequent word.
    ids, vectors = dataset.embedding.rows_of(fitted, 100)
    assert (ids.tolist(), vectors.tolist()) == ([4], [[3.0, 4.0]])
    assert fitted.words[0] == "bad"
    good = dataset.vocabulary.index("good") + 4
    assert fitted.ids[good] == OUT_OF_VOCABULARY
    # The id 4 is the first beyond a vocabulary of 4.
    assert len(dataset.embedding.rows_of(fitted, 4)[0]) == 0


def test_a_worker_without_the_file_gets_its_vectors_with_the_data(
    own, tmp_path, monkeypatch
):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "here"))
    dataset = load_dataset_of(load_suite(own), None)
    digest = keep(dataset)
    files = {file.name: file.read_bytes() for file in kept_files(digest)}
    other = replace(dataset.embedding, vectors=dataset.embedding.vectors + 1)
    assert keep(replace(dataset, embedding=other)) != digest
    assert keep(replace(dataset, embedding=None)) != digest
    (tmp_path / "vectors.txt").unlink()
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "there"))
    assert open_kept(digest) is None
    for name, content in files.items():
        put_part(digest, name, 0, content)
    put_end(digest)
    got = open_kept(digest).embedding
    np.testing.assert_array_equal(got.vectors, dataset.embedding.vectors)
    np.testing.assert_array_equal(got.ids, dataset.embedding.ids)
    assert (got.name, got.digest, got.n_words) == (
        "vectors.txt",
        dataset.embedding.digest,
        4,
    )


def test_the_command_begins_with_the_files_coverage_and_logs_it(own):
    said: list[str] = []
    prepared = load_data(load_suite(own), None, LoggedProgress(said.append))
    file = (own.parent / "vectors.txt").read_bytes()
    digest = hashlib.sha256(file).hexdigest()
    assert (
        f"embedding file: vectors.txt (SHA-256 {digest}), 4 words with 2 numbers each"
    ) in said
    (small, large) = prepared.about_data["embedding"]["coverage"]
    assert (small["vocabulary_size"], large["vocabulary_size"]) == (6, 100)
    assert large["n_words"] == len(prepared.splits.fitted.words)
    assert large["n_words_found"] == 2
    assert coverage_text(small) in said and coverage_text(large) in said


def test_data_check_has_the_coverage_and_warns_of_a_low_one(own, capsys):
    assert run("data", "check", str(own)) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "embedding file: vectors.txt" in out
    assert "at vocabulary_size 100 the file has 2 of" in out
    assert "random vectors" not in out
    write(own.parent, b"bad 3 4\n")
    assert run("data", "check", str(own), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["data"]["embedding"]["n_words"] == 1
    finding = next(f for f in found["findings"] if f["name"] == "words_without_vector")
    (_, large) = found["data"]["embedding"]["coverage"]
    assert (finding["level"], finding["n"]) == ("warning", large["n_words"] - 1)
    assert "'good'" in finding["example"] and "'film'" in finding["example"]


# Suites


def suite_with(file: Path, old: str, new: str):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return load_suite(file)


def test_an_embedding_that_needs_a_file_is_refused_without_one(own):
    with pytest.raises(SuiteError, match=r"space\.embedding: pretrained needs word"):
        suite_with(own, "embedding_file: vectors.txt, ", "")
    text = own.read_text().replace("embedding: [random, pretrained, frozen], ", "")
    own.write_text(text)
    suite = load_suite(own)
    with pytest.raises(SuiteError, match="--set: embedding: frozen needs word vectors"):
        suite.with_overrides(["embedding=frozen"])


def test_a_file_that_no_training_uses_is_refused(own):
    with pytest.raises(SuiteError, match="embedding_file: no training uses it"):
        suite_with(own, "embedding: [random, pretrained, frozen], ", "")


def test_a_file_is_part_of_the_studys_name_only_where_there_is_one(own, write_suite):
    name = load_suite(own).study_name
    (own.parent / "other.txt").write_bytes(GLOVE)
    assert suite_with(own, "vectors.txt", "other.txt").study_name != name
    # As it was before there were embedding files.
    former = {"defaults:": "defaults:\n  embedding_gradient: per_occurrence"}
    suite = load_suite(write_suite(former))
    assert suite.study_name == "tiny-e511a6fb"
    assert suite.defaults.config_id == "3054feb482d7"


DIMS = {
    "space": (
        "embedding_dim: 2,",
        "",
        "defaults.embedding_dim: expected 2, the length",
    ),
    "axis": (
        "space: {",
        "space: {embedding_dim: [2, 8], ",
        "space.embedding_dim: expected 2, .* got 8",
    ),
    "reference": (
        "study:",
        "references: {big: {embedding_dim: 8, embedding: frozen}}\nstudy:",
        "references.big: expected 2, .* got 8",
    ),
    "pair": (
        "study:",
        "confirm: {pairs: {embedding_dim: [2, 8]}}\nstudy:",
        "confirm.pairs.embedding_dim: expected 2, .* got 8",
    ),
    "pair of a reference": (
        "study:",
        "references: {big: {embedding_dim: 8}}\n"
        "confirm: {pairs: {embedding: [random, frozen]}}\nstudy:",
        "references.big: expected 2, .* got 8",
    ),
}


@pytest.mark.parametrize("name", DIMS)
def test_vectors_of_another_length_than_embedding_dim_are_refused(own, name):
    old, new, expected = DIMS[name]
    suite = suite_with(own, old, new)
    with pytest.raises(SuiteError, match=expected):
        prepare(suite, None)


def test_random_embeddings_may_have_another_length(own):
    reference = "references: {big: {embedding_dim: 8}}\nstudy:"
    suite = suite_with(own, "study:", reference)
    assert prepare(suite, None).dataset.embedding.dim == 2
    config = suite.with_overrides(["embedding_dim=8"])
    assert prepare(suite, None, config).dataset.embedding.dim == 2
    config = suite.with_overrides(["embedding_dim=8", "embedding=frozen"])
    with pytest.raises(SuiteError, match=r"embedding_dim: expected 2, .* got 8"):
        prepare(suite, None, config)


def test_data_without_words_are_refused(own):
    own.write_text(
        own.read_text()
        .replace("file: own.csv", "name: digits")
        .replace(", vocabulary_size: [6, 100]", "")
        .replace("defaults: {", "defaults: {head: softmax, ")
    )
    with pytest.raises(SuiteError, match=r"expected data of words, .* got vectors"):
        prepare(load_suite(own), None)


def test_a_file_is_looked_for_in_the_data_folder_then_beside_the_suite(own, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "own.csv").write_text(OWN)
    suite = load_suite(own)
    assert load_dataset_of(suite, folder).embedding.n_words == 4
    (folder / "vectors.txt").write_bytes(b"good 1 2\n")
    assert load_dataset_of(suite, folder).embedding.n_words == 1
    (folder / "vectors.txt").unlink()
    (tmp_path / "vectors.txt").unlink()
    with pytest.raises(DatasetError, match="embedding_file: expected a file, found no"):
        load_dataset_of(suite, folder)


def test_identity_tells_other_data_from_another_file(own):
    dataset = load_dataset_of(load_suite(own), None)
    data, file = dataset.digest[:12], dataset.embedding.digest[:12]
    now = short_identity(dataset.identity)
    assert now == f"{data}+{file}"
    assert how_different("a" * 12, now) == f"other data (digest {'a' * 12}, now {data})"
    assert how_different(f"{data}+{'b' * 12}", now) == (
        f"another embedding file (SHA-256 {'b' * 12}, now {file})"
    )
    generated = load_dataset("synthetic", {"n_train": 20, "n_test": 20})
    assert generated.identity == generated.digest
