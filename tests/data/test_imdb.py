from __future__ import annotations

import gzip
import http.server
import json
import mmap
import os
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from archives import TINY, add, load_imdb, write_archive
from conftest import ROOT
from pydantic import ValidationError

from lstm_bench.data import imdb, imdb_archive, synthetic, word_order
from lstm_bench.data.dataset import (
    Dataset,
    Sequences,
    copies_in,
    from_lists,
    sequences_digest,
)
from lstm_bench.data.registry import (
    OWN,
    dataset_module,
    dataset_names,
    dataset_options,
    load_dataset,
)
from lstm_bench.errors import DatasetError
from lstm_bench.inference import INDEX_FROM


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("LSTM_BENCH_DATA", raising=False)


def words(dataset: Dataset, part: str, i: int) -> str:
    return dataset.text(getattr(dataset, part), i)


# Contract


@pytest.mark.parametrize("name", sorted({*dataset_names()} - {*OWN}))
def test_every_dataset_keeps_the_contract(name: str, tmp_path: Path) -> None:
    write_archive(tmp_path, TINY)
    module = dataset_module(name)
    assert module.DESCRIPTION.endswith(".")
    with pytest.raises(ValidationError):
        dataset_options(name, {"no_such_option": 1})
    dataset = load_dataset(name, {}, tmp_path, seed=3)
    assert dataset.name == name
    parts = [dataset.train, dataset.validation, dataset.test]
    assert dataset.digest == sequences_digest(*(part for part in parts if part))
    assert str(tmp_path) not in " ".join([dataset.source, *dataset.notes])
    assert len(set(dataset.vocabulary)) == len(dataset.vocabulary)
    for part in (dataset.train, dataset.test):
        assert part.offsets.dtype == np.int64
        assert part.offsets[0] == 0
        assert part.offsets[-1] == len(part.values)
        if dataset.is_numeric:
            assert part.y.dtype == np.float64
            assert part.y.shape == (len(part), dataset.n_targets)
            assert np.isfinite(part.y).all()
        else:
            assert part.y.dtype == np.int64
            assert set(part.y) == set(range(dataset.n_classes))
        if dataset.kind == "vectors":
            assert part.values.dtype == np.float32
            assert part.values.shape[1] == len(dataset.channels)
            assert np.isfinite(part.values).all()
            continue
        assert part.values.dtype == np.int32
        assert (part.values[part.offsets[:-1]] == 1).all()
        assert (part.values == 1).sum() == len(part)
        assert not np.isin(part.values, (0, 2, 3)).any()
        assert part.values.max() <= len(dataset.vocabulary) + 3


def test_digest_sees_ids_boundaries_labels_and_parts() -> None:
    parts = [
        from_lists([[1, 4], [1]], [0, 1]),
        from_lists([[1], [4, 1]], [0, 1]),
        from_lists([[1, 4], [1]], [1, 1]),
        from_lists([[1, 5], [1]], [0, 1]),
    ]
    assert len({sequences_digest(a, b) for a in parts for b in parts}) == 16


def test_from_lists_wants_one_label_per_sequence() -> None:
    with pytest.raises(ValueError, match="1 sequences and 2 labels"):
        from_lists([[1]], [0, 1])


# Synthetic


def rule_labels(dataset: Dataset, part: str) -> list[int]:
    sequences = getattr(dataset, part)
    return [
        synthetic.true_label([dataset.vocabulary[t - 4] for t in sequences[i][1:]])
        for i in range(len(sequences))
    ]


def test_synthetic_depends_on_the_seed_and_nothing_else() -> None:
    a, b, other = (load_dataset("synthetic", seed=s) for s in (5, 5, 6))
    assert a.digest == b.digest
    assert a.vocabulary == b.vocabulary
    assert a.digest != other.digest


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("is good film", 1),
        ("is not good film", 0),
        ("is not very bad film", 1),
        ("is good but really bad film", 0),
        ("not the film is good here but", 1),
        ("is good film is bad plot is bad cast", 0),
    ],
)
def test_rule_reads_negation_and_contrast(text: str, label: int) -> None:
    assert synthetic.true_label(text.split()) == label


def test_rule_rejects_a_text_without_a_verdict() -> None:
    with pytest.raises(ValueError, match="3 words"):
        synthetic.true_label(["the", "film", "is"])


def test_rule_is_exact_without_noise_and_reaches_the_ceiling_with_it() -> None:
    clean = load_dataset("synthetic", {"label_noise": 0.0}, seed=1)
    assert clean.best_possible_accuracy == 1.0
    assert rule_labels(clean, "train") == list(clean.train.y)
    assert rule_labels(clean, "test") == list(clean.test.y)
    noisy = load_dataset("synthetic", {"label_noise": 0.2, "n_test": 4000}, seed=1)
    assert noisy.best_possible_accuracy == pytest.approx(0.8)
    # Standard deviation sqrt(0.8 * 0.2 / 4000) = 0.0063.
    accuracy = np.mean(np.array(rule_labels(noisy, "test")) == noisy.test.y)
    assert accuracy == pytest.approx(0.8, abs=0.025)


def test_synthetic_lengths_are_like_imdbs() -> None:
    lengths = load_dataset("synthetic", {"n_train": 8000}).train.lengths - 1
    assert lengths.mean() == pytest.approx(234, rel=0.05)
    assert np.median(lengths) == pytest.approx(175, rel=0.05)
    assert lengths.min() >= 10
    assert 1000 < lengths.max() <= 2493


def test_early_cue_share_decides_where_the_verdict_stands() -> None:
    cues = {*synthetic.POSITIVE, *synthetic.NEGATIVE}
    for share in (0.0, 1.0):
        dataset = load_dataset("synthetic", {"early_cue_share": share})
        for i in np.flatnonzero(dataset.train.lengths > 200)[:100]:
            tokens = dataset.train[int(i)][1:]
            text = [dataset.vocabulary[t - 4] for t in tokens]
            places = [k for k, word in enumerate(text) if word in cues]
            if share:
                assert max(places) < synthetic.EARLY_WINDOW
            else:
                assert min(places) >= len(text) - synthetic.TAIL_WINDOW


def test_synthetic_says_so_and_repeats_no_training_review() -> None:
    dataset = load_dataset("synthetic")
    assert dataset.synthetic
    assert "synthetic" in dataset.description.lower()
    assert "synthetic" in dataset.source
    assert "synthetic" in dataset.notes[0]
    assert copies_in(dataset.test, dataset.train).sum() == 0


# Word order


def words_of(dataset: Dataset, part: Sequences, i: int) -> list[str]:
    return [dataset.vocabulary[t - INDEX_FROM - 1] for t in part[i][1:]]


def test_word_order_is_decided_by_the_last_switch_up_to_noise() -> None:
    clean = load_dataset("word_order", {"label_noise": 0.0}, seed=1)
    assert clean.best_possible_accuracy == 1.0
    for part in (clean.train, clean.test):
        texts = [words_of(clean, part, i) for i in range(len(part))]
        assert [word_order.true_label(text) for text in texts] == list(part.y)
        assert {len(text) for text in texts} == set(range(45, 61))
    noisy = load_dataset("word_order", {"label_noise": 0.2, "n_test": 4000}, seed=1)
    assert noisy.best_possible_accuracy == pytest.approx(0.8)
    rule = [
        word_order.true_label(words_of(noisy, noisy.test, i))
        for i in range(len(noisy.test))
    ]
    # Standard deviation sqrt(0.8 * 0.2 / 4000) = 0.0063.
    assert np.mean(np.array(rule) == noisy.test.y) == pytest.approx(0.8, abs=0.025)
    with pytest.raises(ValueError, match="among 2"):
        word_order.true_label(["ba", "fe"])


def test_word_order_depends_on_the_seed_and_nothing_else() -> None:
    a, b, other = (load_dataset("word_order", seed=s) for s in (5, 5, 6))
    assert a.digest == b.digest
    assert a.digest != other.digest
    assert a.synthetic
    assert "synthetic" in a.notes[0]
    assert copies_in(a.test, a.train).sum() == 0


def test_word_order_puts_the_switch_that_decides_anywhere_in_the_last_forty() -> None:
    dataset = load_dataset("word_order", {"n_train": 8000})
    switches = {*word_order.ON, *word_order.OFF}
    texts = [words_of(dataset, dataset.train, i)[::-1] for i in range(8000)]
    after = [next(k for k, w in enumerate(text) if w in switches) for text in texts]
    assert np.bincount(after, minlength=40) == pytest.approx([200] * 40, abs=60)
    n_switches = [sum(w in switches for w in text) for text in texts]
    assert set(n_switches) == {3, 4, 5, 6}


def test_word_order_is_little_more_than_guessing_without_the_order() -> None:
    dataset = load_dataset("word_order", {"label_noise": 0.0, "n_test": 8000})
    counts = [
        np.sign(sum((w in word_order.ON) - (w in word_order.OFF) for w in text))
        for text in (words_of(dataset, dataset.test, i) for i in range(8000))
    ]
    # The majority of n switches, of 3 to 6, ties guessed: 0.75, 0.6875, 0.6875, 0.656.
    right = np.mean((1 + np.array(counts)) / 2 == dataset.test.y)
    tied = np.mean(np.array(counts) == 0)
    assert right + tied / 2 == pytest.approx(0.695, abs=0.02)


# IMDB on a tiny archive


def test_archive_without_index_is_ranked_by_count_in_train(tmp_path: Path) -> None:
    write_archive(tmp_path, TINY)
    dataset = load_imdb(tmp_path)
    # film 5, good 3, great 2, then once each in the order of the sorted files.
    expected = ("film", "good", "great", "bad", "br", "the", "plot", "it's")
    assert dataset.vocabulary == expected
    assert list(dataset.train.y) == [0, 1, 1, 1]
    assert list(dataset.train[0]) == [1, 7, 4]
    assert words(dataset, "train", 1) == "great great film br the plot good"
    assert words(dataset, "train", 2) == "film good film it's"
    assert words(dataset, "test", 1) == "good film"
    # Both: a word that train lacks is left out, which makes the first one equal.
    assert copies_in(dataset.test, dataset.train).sum() == 2
    assert any(imdb.INDEX in note for note in dataset.notes)
    assert any("4 reviews (3 positive)" in note for note in dataset.notes)


def test_archive_is_known_by_its_sha256(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = imdb.file_sha256(write_archive(tmp_path, TINY))
    source = f"aclImdb_v1.tar.gz (SHA-256 {digest}), not the published file"
    assert source in load_imdb(tmp_path).source
    monkeypatch.setattr(imdb, "ARCHIVE_SHA256", digest)
    assert f"{digest}), the published file" in load_imdb(tmp_path).source


def test_archive_with_index_has_its_ids(tmp_path: Path) -> None:
    write_archive(tmp_path, TINY)
    index = {"film": 2, "unseen": 1, "good": 3}
    (tmp_path / imdb.INDEX).write_text(json.dumps(index))
    dataset = load_imdb(tmp_path)
    assert dataset.vocabulary == ("unseen", "film", "good")
    assert list(dataset.test[1]) == [1, 6, 4, 5]
    assert list(dataset.test[0]) == [1, 5]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 2}', '{"a": "1"}', "[1]"])
def test_damaged_index_is_rejected(tmp_path: Path, content: str) -> None:
    write_archive(tmp_path, TINY)
    (tmp_path / imdb.INDEX).write_text(content)
    with pytest.raises(DatasetError, match="expected a JSON object"):
        load_imdb(tmp_path)


def test_unpacked_folder_and_environment_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path / "packed", TINY)
    for name, text in TINY.items():
        path = tmp_path / imdb.FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    digest = load_imdb(tmp_path / "packed").digest
    assert load_imdb(tmp_path).digest == digest
    assert load_imdb(tmp_path / imdb.FOLDER).digest == digest
    monkeypatch.setenv("LSTM_BENCH_DATA", str(tmp_path))
    assert load_dataset("imdb").digest == digest


def test_given_folder_without_data_does_not_go_on(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected aclImdb_v1\.tar\.gz"):
        load_imdb(tmp_path)


def test_missing_class_is_named(tmp_path: Path) -> None:
    files = {k: v for k, v in TINY.items() if not k.startswith("test/neg")}
    write_archive(tmp_path, files)
    with pytest.raises(DatasetError, match="reviews in test/neg"):
        load_imdb(tmp_path)


@pytest.mark.parametrize("kept", [0.3, 0.98])
def test_truncated_archive_is_rejected(tmp_path: Path, kept: float) -> None:
    path = write_archive(tmp_path, TINY)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(DatasetError, match="truncated or damaged"):
        load_imdb(tmp_path)


CONTENTS = {"empty": b"", "text": b"no archive", "no-tar": gzip.compress(b"x" * 2000)}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_something_else_is_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / imdb.ARCHIVE).write_bytes(content)
    with pytest.raises(DatasetError, match=r"truncated or damaged|other three"):
        load_imdb(tmp_path)


def test_hostile_members_are_passed_over(tmp_path: Path) -> None:
    clean = write_archive(tmp_path / "clean", TINY)
    folder = tmp_path / "hostile"
    folder.mkdir()
    with tarfile.open(folder / imdb.ARCHIVE, "w:gz") as archive:
        for name in ("../../x", "/aclImdb/train/pos/7_7.txt", "aclImdb/train/pos/x"):
            add(archive, name, b"evil")
        add(archive, "aclImdb/train/pos/../../../../7_7.txt", b"evil")
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            link = tarfile.TarInfo("aclImdb/train/pos/8_8.txt")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
        for name, text in TINY.items():
            add(archive, f"aclImdb/{name}", text.encode())
    before = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
    assert load_imdb(folder).digest == load_imdb(clean.parent).digest
    after = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
    assert {p for p in after - before if "cache" not in str(p)} == set()


def test_too_much_text_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path, TINY | {"train/pos/5_9.txt": "a" * (1 << 20) + "a"})
    with pytest.raises(DatasetError, match="at most 1,048,576 bytes, got 1,048,577"):
        load_imdb(tmp_path)
    monkeypatch.setattr(imdb_archive, "MAX_ARCHIVE_BYTES", 2000)
    with pytest.raises(DatasetError, match="when uncompressed"):
        load_imdb(tmp_path)
    write_archive(tmp_path, TINY)
    monkeypatch.setattr(imdb_archive, "MAX_ARCHIVE_BYTES", 1 << 30)
    monkeypatch.setattr(imdb_archive, "MAX_TEXT_BYTES", 20)
    with pytest.raises(DatasetError, match="at most 20 bytes of text"):
        load_imdb(tmp_path)


def _root(array):  # type: ignore[no-untyped-def]
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


def test_load_reads_the_cache_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path, TINY)
    n_parsed: Counter[str] = Counter()
    parse = imdb._parse

    def counted(*args):  # type: ignore[no-untyped-def]
        n_parsed["all"] += 1
        return parse(*args)

    monkeypatch.setattr(imdb, "_parse", counted)
    first = load_imdb(tmp_path)
    second = load_imdb(tmp_path)
    assert n_parsed["all"] == 1
    assert (first.digest, first.vocabulary, first.notes) == (
        second.digest,
        second.vocabulary,
        second.notes,
    )
    # Not a copy for each process: the file itself, which they share.
    assert isinstance(_root(second.train.values), mmap.mmap)
    assert not isinstance(second.train.values, np.memmap)
    assert len(list((tmp_path / "cache" / "lstm-bench" / "imdb").iterdir())) == 1


def test_unusable_cache_folder_is_a_note(tmp_path: Path) -> None:
    write_archive(tmp_path, TINY)
    (tmp_path / "cache").write_text("a file, no folder")
    assert any("could not be cached" in note for note in load_imdb(tmp_path).notes)


# IMDB from Keras's file


def test_npz_of_another_hash_is_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    rows = np.array([[1, 2], [3]], dtype=object)
    y = np.array([0, 1])
    path = folder / imdb.NPZ
    np.savez(path, x_train=rows, y_train=y, x_test=rows, y_test=y)
    with pytest.raises(DatasetError, match="expected SHA-256 6966"):
        load_dataset("imdb")
    monkeypatch.setattr(imdb, "NPZ_SHA256", imdb.file_sha256(path))
    dataset = load_dataset("imdb")
    assert list(dataset.train[0]) == [1, 4, 5]
    assert dataset.vocabulary == ()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Length", "1000" if "short" in self.path else "5")
        self.end_headers()
        self.wfile.write(b"wrong")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server_url() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["short", "wrong", "missing", "refused"])
def test_failed_download_says_what_to_do_and_leaves_nothing(
    kind: str, server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://127.0.0.1:1/" if kind == "refused" else f"{server_url}/{kind}"
    monkeypatch.setattr(imdb, "NPZ_URL", url)
    with pytest.raises(DatasetError, match=r"aclImdb_v1\.tar\.gz .*--data-dir"):
        load_dataset("imdb")
    assert list((tmp_path / "keras" / "datasets").iterdir()) == []


# The real reviews

REAL = Path(os.environ.get("LSTM_BENCH_DATA") or ROOT.parent / "shared" / "data")
FIRST_TEN = ("the", "and", "a", "of", "to", "is", "br", "in", "it", "i")
needs_reviews = pytest.mark.skipif(
    not (REAL / imdb.ARCHIVE).is_file() or not (REAL / imdb.INDEX).is_file(),
    reason=f"the real reviews ({imdb.ARCHIVE} and {imdb.INDEX}) are not here; "
    "set LSTM_BENCH_DATA",
)


@needs_reviews
def test_real_reviews_have_kerass_ids() -> None:
    dataset = load_imdb(REAL)
    assert dataset.notes == ()
    assert len(dataset.vocabulary) == 88_584
    assert dataset.vocabulary[:10] == FIRST_TEN
    for part in (dataset.train, dataset.test):
        assert np.bincount(part.y).tolist() == [12_500, 12_500]
    # One token more than words: the start. 63,730 words are not in the index.
    lengths = np.concatenate([dataset.train.lengths, dataset.test.lengths]) - 1
    assert lengths.sum() == 11_751_658 - 63_730
    assert (round(lengths.mean()), np.median(lengths)) == (234, 175)
    assert lengths.max() == 2493
    assert copies_in(dataset.test, dataset.train).sum() == 123
    counts = np.bincount(dataset.train.values, minlength=88_588)[4:]
    assert counts[0] == 336_148
    assert (np.diff(counts[:10_000]) <= 0).all()
    assert (np.diff(counts) > 0).sum() == 23
    found = [
        i
        for i in np.flatnonzero(dataset.train.lengths == 218)
        if dataset.train[int(i)][:7].tolist() == [1, 14, 22, 16, 43, 530, 973]
    ]
    assert len(found) == 1
    assert dataset.train.y[found[0]] == 1


@needs_reviews
def test_real_reviews_without_index_are_ranked_alike_up_to_ties(
    tmp_path: Path,
) -> None:
    (tmp_path / imdb.ARCHIVE).symlink_to(REAL / imdb.ARCHIVE)
    dataset = load_imdb(tmp_path)
    assert len(dataset.vocabulary) == 88_582
    assert dataset.vocabulary[:10] == FIRST_TEN
    counts = np.bincount(dataset.train.values)[4:]
    assert (np.diff(counts) <= 0).all()
    index = json.loads((REAL / imdb.INDEX).read_text())
    rank_of_kerass = [index[word] for word in dataset.vocabulary[:10_000]]
    # Whoever stands elsewhere stands among words of the same count.
    for rank, kerass in enumerate(rank_of_kerass, 1):
        if kerass <= 10_000:
            assert counts[rank - 1] == counts[kerass - 1]


# Options


def test_punctuation_marks_are_tokens_where_it_is_asked_for(tmp_path: Path) -> None:
    write_archive(tmp_path, TINY)
    dataset = load_dataset("imdb", {"tokens": "words_and_punctuation"}, tmp_path)
    assert dataset.tokenizer == "words_and_punctuation"
    assert dataset.fits_vocabulary
    texts = [words(dataset, "train", i) for i in range(4)]
    assert texts == [
        "bad film",
        'great , great film ! the " plot " : good',
        "film good film it's",
        "good film",
    ]
    # A word of test alone has an id of its own, behind all words of train.
    assert dataset.vocabulary[-1] == "unseen"
    assert dataset.vocabulary[:2] == ("film", "good")
    # Keras's ids, whatever was parsed before.
    assert words(load_imdb(tmp_path), "train", 2) == "film good film it's"
    assert words(load_imdb(tmp_path), "train", 1) == "great great film br the plot good"


def test_blocks_of_neighbouring_numbers_are_groups(tmp_path: Path) -> None:
    numbers = {0: "a", 1: "b", 9: "c", 10: "d", 11: "e"}
    files = {
        f"{part}/{y}/{number}_5.txt": f"{part} {y} {word}"
        for part in ("train", "test")
        for y in ("neg", "pos")
        for number, word in numbers.items()
    }
    write_archive(tmp_path, files)
    for _ in range(2):  # parsed, and from the cache
        dataset = load_dataset("imdb", {"block": 10}, tmp_path)
        assert dataset.groups is not None
        assert dataset.groups.tolist() == [0, 0, 0, 2, 2, 1, 1, 1, 3, 3]
        assert dataset.other_groups["test"].tolist() == dataset.groups.tolist()
        assert dataset.train.groups is None
    alone = load_imdb(tmp_path)
    assert alone.groups is None
    assert alone.digest == dataset.digest


def test_options_need_the_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options in ({"block": 10}, {"tokens": "words_and_punctuation"}):
        with pytest.raises(DatasetError, match="which Keras's file lacks"):
            load_dataset("imdb", options)
