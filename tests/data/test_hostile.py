"""Files from anybody: each test tries an attack, which ends in one message."""

from __future__ import annotations

import ast
import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from archives import TINY, add, load_imdb, write_archive
from commands import run
from conftest import ROOT

from lstm_bench.data import imdb, imdb_archive
from lstm_bench.data.registry import load_dataset
from lstm_bench.errors import DatasetError, SuiteError
from lstm_bench.suites import suite
from lstm_bench.suites.suite import load_suite, suite_from_text
from lstm_bench.suites.yaml_file import SuiteLoader
from lstm_bench.system.folders import cache_folder


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("LSTM_BENCH_DATA", raising=False)


class Bomb:
    """Unpickled, it makes a file: the proof that a pickle was read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


# The source


FORBIDDEN = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "extract",
    "extractall",
    "unpack_archive",
    "read_pickle",
    "unsafe_load",
    "full_load",
    "load_all",
    "enable_unsafe_deserialization",
}


def test_no_module_unpickles_unpacks_or_loads_yaml_unsafely():
    loaders, pickles, unsafe = [], [], []
    for file in sorted((ROOT / "lstm_bench").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "")]
                parts = {str(name).split(".")[0] for name in names}
                # To send work out, not to load files.
                if set(names) <= {"joblib", "Parallel", "delayed", "parallel_config"}:
                    parts.discard("joblib")
                assert not parts & FORBIDDEN, (file, parts)
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            assert name not in FORBIDDEN_CALLS, (file, node.lineno, name)
            for keyword in node.keywords:
                text = ast.unparse(keyword.value)
                if keyword.arg == "Loader":
                    loaders.append(text)
                if keyword.arg == "allow_pickle" and text != "False":
                    pickles.append(file.name)
                if keyword.arg == "safe_mode" and text != "True":
                    unsafe.append(file.name)
    assert loaders == ["SuiteLoader"]
    assert issubclass(SuiteLoader, suite.yaml.SafeLoader)
    # Keras's own file, whose hash is known; see the tests of npz below.
    assert pickles == ["imdb.py"]
    assert unsafe == []


# Archives


def hostile_archive(folder: Path, *members: tarfile.TarInfo | tuple[str, bytes]):
    """Write the tiny archive with `members` before its own."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / imdb.ARCHIVE, "w:gz", format=tarfile.PAX_FORMAT) as file:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                file.addfile(member)
            else:
                add(file, *member)
        for name, text in TINY.items():
            add(file, f"aclImdb/{name}", text.encode())


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        ("../../escaped.txt", b"evil"),
        ("/tmp/aclImdb/train/pos/7_7.txt", b"evil"),
        ("aclImdb/train/pos/../../../../7_7.txt", b"evil"),
        ("aclImdb/train/pos/..\\7_7.txt", b"evil"),
        special("aclImdb/train/pos/8_8.txt", tarfile.SYMTYPE, "/etc/passwd"),
        special("aclImdb/train/pos/8_8.txt", tarfile.SYMTYPE, "../../../secret"),
        special("aclImdb/train/pos/8_8.txt", tarfile.LNKTYPE, "/etc/passwd"),
        special("aclImdb/train/pos", tarfile.SYMTYPE, "/tmp"),
        special("aclImdb/train/pos/8_8.txt", tarfile.FIFOTYPE),
        special("aclImdb/train/pos/8_8.txt", tarfile.CHRTYPE),
        special("aclImdb/train/pos/8_8.txt", tarfile.BLKTYPE),
    ],
    ids=lambda m: m[0] if isinstance(m, tuple) else f"{m.type!r} {m.linkname}",
)
def test_a_member_that_leads_elsewhere_is_passed_over(tmp_path, member):
    write_archive(tmp_path / "clean", TINY)
    hostile_archive(tmp_path / "hostile", member)
    clean = load_imdb(tmp_path / "clean")
    before = files_below(tmp_path)
    assert load_imdb(tmp_path / "hostile").digest == clean.digest
    new = files_below(tmp_path) - before
    # The parsed reviews are kept; nothing was unpacked.
    assert {path.suffix for path in new} == {".npy", ".json"}
    assert all(cache_folder("imdb") in path.parents for path in new)


def test_links_in_an_unpacked_folder_are_passed_over(tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "9_9.txt").write_text("private words")
    clean, folder = tmp_path / "clean", tmp_path / "folder"
    for name, text in TINY.items():
        for root in (clean, folder):
            file = root / "aclImdb" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    (folder / "aclImdb/train/pos/9_9.txt").symlink_to(secret / "9_9.txt")
    assert load_imdb(folder).digest == load_imdb(clean).digest
    whole = tmp_path / "whole" / "aclImdb"
    whole.mkdir(parents=True)
    for name in ("train", "test"):
        (whole / name).symlink_to(folder / "aclImdb" / name)
    with pytest.raises(DatasetError, match="expected reviews in"):
        load_imdb(whole.parent)


def bomb(first_block: bytes, n_mib: int) -> bytes:
    """Return a gzip of `first_block` and then so many MiB of zeros."""
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as file:
        file.write(first_block)
        for _ in range(n_mib):
            file.write(bytes(1 << 20))
    return packed.getvalue()


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # 1.1 GiB from 1 MB; in a file that is read, in one that is not, and after all.
        (bomb(header("aclImdb/train/pos/1_9.txt", 1 << 40), 1), "at most 1,048,576 by"),
        (bomb(header("aclImdb/other", 1 << 40), 1100), "bytes when uncompressed"),
        (bomb(bytes(1024), 1100), "bytes when uncompressed"),
        # Headers that are read whole.
        (bomb(header("x", 1 << 30, tarfile.XHDTYPE), 1), "header of 1,073,741,824"),
        (bomb(header("x", 1 << 30, tarfile.XGLTYPE), 1), "header of 1,073,741,824"),
        (bomb(header("x", 1 << 30, tarfile.GNUTYPE_LONGNAME), 1), "header of 1,073,74"),
        (bomb(header("x", -1024), 1), "header of -1,024"),
        (bomb(header("x", 0, tarfile.XHDTYPE) * 5000, 1), "recursion"),
        (bomb(header("x", 0, tarfile.GNUTYPE_LONGNAME) * 5000, 1), "recursion"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bomb_is_refused_by_the_command_before_it_goes_off(
    tmp_path, write_suite, monkeypatch, capfd, content, message
):
    (tmp_path / imdb.ARCHIVE).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    before = files_below(tmp_path)
    assert run("data", "info", "imdb", "--data-dir", ".") == 2
    said = capfd.readouterr().err
    assert message in said
    began = "reading imdb (up to a minute the first time) ...\n"
    assert said.startswith(f"{began}error: imdb:")
    assert "Traceback" not in said
    assert files_below(tmp_path) == before


def test_too_many_members_and_too_much_text_are_refused(tmp_path, monkeypatch):
    hostile_archive(tmp_path, *[(f"aclImdb/{i}", b"") for i in range(20)])
    monkeypatch.setattr(imdb_archive, "MAX_MEMBERS", 10)
    with pytest.raises(DatasetError, match="at most 10 members"):
        load_imdb(tmp_path)
    monkeypatch.setattr(imdb_archive, "MAX_MEMBERS", 1000)
    monkeypatch.setattr(imdb_archive, "MAX_TEXT_BYTES", 20)
    with pytest.raises(DatasetError, match="at most 20 bytes of text"):
        load_imdb(tmp_path)
    assert not cache_folder("imdb").exists()


def test_the_limits_leave_room_for_the_real_archive():
    assert imdb_archive.MAX_MEMBERS >= 3 * 100_031
    assert imdb_archive.MAX_TEXT_BYTES >= 3 * 65_000_000
    assert imdb_archive.MAX_ARCHIVE_BYTES >= 3 * 300_000_000
    assert imdb_archive.MAX_REVIEW_BYTES >= 3 * 14_000
    assert imdb.MAX_DOWNLOAD_BYTES >= 3 * 17_464_789
    assert imdb.MAX_INDEX_BYTES >= 3 * 1_641_221


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"[" * 200_000, "JSON object of words"),
        (b'{"a": ' * 200_000, "JSON object of words"),
        (b" " * (imdb.MAX_INDEX_BYTES + 1), "at most 16,777,216 bytes"),
    ],
    ids=["deep lists", "deep objects", "large"],
)
def test_a_hostile_word_index_is_refused(tmp_path, index, message):
    write_archive(tmp_path, TINY)
    (tmp_path / imdb.INDEX).write_bytes(index)
    with pytest.raises(DatasetError, match=message):
        load_imdb(tmp_path)


# npz and npy


def test_pickles_in_kerass_npz_are_not_read(tmp_path):
    mark = tmp_path / "read"
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    rows = np.array([Bomb(mark)], dtype=object)
    y = np.array([0])
    np.savez(folder / imdb.NPZ, x_train=rows, y_train=y, x_test=rows, y_test=y)
    with pytest.raises(DatasetError, match="expected SHA-256 6966"):
        load_dataset("imdb")
    assert not mark.exists()
    # It would go off: the test is able to fail.
    with np.load(folder / imdb.NPZ, allow_pickle=True) as arrays:
        arrays["x_train"]
    assert mark.exists()


def write_zip_bomb(path: Path, member: str, n_mib: int) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member, "w", force_zip64=True) as file,
    ):
        for _ in range(n_mib):
            file.write(bytes(1 << 20))


def test_a_zip_bomb_as_npz_is_not_unpacked(tmp_path, monkeypatch):
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    write_zip_bomb(folder / imdb.NPZ, "x_train.npy", 300)
    with pytest.raises(DatasetError, match="expected SHA-256 6966"):
        load_dataset("imdb")
    monkeypatch.setattr(imdb, "MAX_DOWNLOAD_BYTES", 1000)
    with pytest.raises(DatasetError, match="got a larger file"):
        load_dataset("imdb")


# YAML

LAUGHS = "\n".join(
    [
        "l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]",
        *(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 12)),
    ]
)
MERGES = "\n".join(
    [
        "m0: &m0 {a: 1}",
        *(f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 10)}]}}" for i in range(12)),
    ]
).replace("*m-1", "*m0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "got '&l0'; write the value out"),
        (MERGES, "got '&m0'; write the value out"),
        ("a: &few [2, 3]\nb: 1", "expected no anchor or alias, got '&few'"),
        ("a: &a x", "line 1, column 4"),
        ("a: *a", "expected no anchor or alias, got '*a'; write the value out"),
        ("a: " + "[" * 100_000, "more than 20 levels"),
        ("a: " + "{b: " * 100_000, "more than 20 levels"),
        ("\n".join(" " * i + "a:" for i in range(900)), "more than 20 levels"),
        ("a: " + "- " * 5000, "not valid YAML"),
        ("a: " + "9" * 10_000, "an integer of more than 40 characters"),
        ("a: 0x" + "f" * 10_000, "an integer of more than 40 characters"),
        ("a: 2001-99-99", "not valid YAML"),
        ("a: !!python/object/apply:os.system [touch read]", "not valid YAML"),
        ("a: !!python/name:os.system", "not valid YAML"),
        ("!!python/object/new:type {args: [a, [], {}]}", "not valid YAML"),
        ("a: !!binary 'é'", "not valid YAML"),
        ("? [a]\n: 1", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        (f"a: {'x' * (1 << 20)}", "at most 1,048,576 bytes"),
        ("a: 1\n---\na: 2", "not valid YAML"),
    ],
)
def test_a_hostile_suite_is_refused_in_one_message(
    text, message, write_suite, tmp_path, monkeypatch, capfd
):
    write_suite(text=text)
    monkeypatch.chdir(tmp_path)
    assert run("suites", "check", "tiny.yaml") == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.startswith("error: tiny.yaml")
    assert "Traceback" not in said
    assert len(said) < 2000
    # So is one that a store holds.
    with pytest.raises(SuiteError, match="as logged"):
        suite_from_text("tiny", text)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_suite_that_never_ends_is_read_no_further_than_its_limit(tmp_path):
    file = tmp_path / "tiny.yaml"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(SuiteError, match="at most 1,048,576 bytes"):
        load_suite(file)


def test_an_override_is_read_as_safely(tiny_suite):
    for value in ("[" * 5000, "9" * 10_000, "!!python/name:os.system", "2001-99-99"):
        with pytest.raises(SuiteError, match="--set units"):
            tiny_suite.with_overrides([f"units={value}"])
