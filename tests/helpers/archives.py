"""Archives of a few reviews in the layout of the Large Movie Review Dataset."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from lstm_bench.data import imdb
from lstm_bench.data.dataset import Dataset
from lstm_bench.data.registry import load_dataset

TINY = {
    "train/pos/0_9.txt": 'Great, GREAT film!<br />The "plot": good',
    "train/pos/10_10.txt": "good film",
    "train/pos/2_8.txt": "film\tgood\nfilm it's",
    "train/neg/0_1.txt": "bad film",
    "test/pos/0_10.txt": "good unseen film",
    "test/neg/0_2.txt": "bad film",
}


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write_archive(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / imdb.ARCHIVE
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            add(archive, f"aclImdb/{name}", text.encode())
    return path


def load_imdb(folder: Path) -> Dataset:
    return load_dataset("imdb", {}, folder)
