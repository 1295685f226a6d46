"""Parsed data as a folder of arrays, which worker processes share memory-mapped.

The folder's name is a digest of everything in it, so that a worker that has it, here or
on another machine, has the same data.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.data.dataset import Dataset, Embedding, Sequences, Units
from lstm_bench.errors import OutputError
from lstm_bench.system.files import new_folder
from lstm_bench.system.folders import cache_folder

ABOUT = "about.json"
PARTS = ("train", "test", "validation", "later")
ARRAYS = ("values", "offsets", "y", "index", "shortest")
EMBEDDING = ("ids", "vectors")
UNITS = ("level", "scale", "origin")
_TUPLES = ("class_names", "vocabulary", "notes", "channels", "output_names")

Array = npt.NDArray[Any]


def kept_folder(digest: str) -> Path:
    """Return the folder for data of that digest in this machine's cache."""
    return cache_folder("data", digest)


def keep(dataset: Dataset) -> str:
    """Write a dataset to the cache, unless it is there; return its folder's digest.

    Raises
    ------
    OutputError
        The cache cannot be written.
    """
    arrays, about = _arrays(dataset), _about(dataset)
    digest = _digest(about, arrays)
    folder = kept_folder(digest)
    if not folder.exists():
        try:
            with new_folder(folder) as partial:
                _write(partial, about, arrays)
        except OSError as error:
            if folder.exists():
                # Another command wrote the same data meanwhile.
                return digest
            raise OutputError(
                f"{folder.parent}: the parsed data, which workers read there, cannot "
                f"be written ({error.strerror}); make room, or name another folder in "
                "LSTM_BENCH_CACHE"
            ) from error
    return digest


def open_kept(digest: str) -> Dataset | None:
    """Return the dataset of that digest from the cache, its arrays memory-mapped."""
    folder = kept_folder(digest)
    if not folder.exists():
        return None
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    opened: dict[str, Array] = {}

    def array(name: str) -> Array | None:
        stored = about["stored"].get(name)
        if stored is None:
            return None
        if stored not in opened:
            opened[stored] = _mapped(folder / f"{stored}.npy")
        return opened[stored]

    def sequences(part: str) -> Sequences:
        arrays = {name: array(f"{part}-{name}") for name in ARRAYS}
        units, level = None, array(f"{part}-level")
        if level is not None:
            scale, origin = (array(f"{part}-{name}") for name in UNITS[1:])
            season = about["forecast"]["season"]
            units = Units(level, scale, origin, season)  # type: ignore[arg-type]
        return replace(Sequences(**arrays), units=units)  # type: ignore[arg-type]

    parts = {part: sequences(part) for part in PARTS if array(f"{part}-y") is not None}
    values = {key: tuple(about[key]) for key in _TUPLES}
    others = {
        name.removeprefix("other-"): array(name)
        for name in about["stored"]
        if name.startswith("other-")
    }
    plain = {
        key: value
        for key, value in about.items()
        if key not in (*_TUPLES, "stored", "embedding")
    }
    embedding = None
    if about["embedding"] is not None:
        rows: dict[str, Any] = {name: array(f"embedding-{name}") for name in EMBEDDING}
        embedding = Embedding(**rows, **about["embedding"])
    return Dataset(
        **{**plain, **values, **parts},
        embedding=embedding,
        groups=array("groups"),
        times=array("times"),
        other_groups=others,  # type: ignore[arg-type]
    )


def _arrays(dataset: Dataset) -> dict[str, Array]:
    parts = {part: getattr(dataset, part) for part in PARTS}
    parts = {part: of for part, of in parts.items() if of is not None}
    arrays: dict[str, Array | None] = {
        f"{part}-{name}": getattr(sequences, name)
        for part, sequences in parts.items()
        for name in ARRAYS
    }
    for part, sequences in parts.items():
        if sequences.units is not None:
            for name in UNITS:
                arrays[f"{part}-{name}"] = getattr(sequences.units, name)
    arrays |= {"groups": dataset.groups, "times": dataset.times}
    arrays |= {f"other-{name}": a for name, a in dataset.other_groups.items()}
    if dataset.embedding is not None:
        arrays |= {f"embedding-{n}": getattr(dataset.embedding, n) for n in EMBEDDING}
    return {name: array for name, array in arrays.items() if array is not None}


def _about(dataset: Dataset) -> dict[str, Any]:
    arrays = (*PARTS, "groups", "times", "other_groups")
    about = {
        field.name: getattr(dataset, field.name)
        for field in fields(dataset)
        if field.name not in arrays
    }
    if dataset.embedding is not None:
        about["embedding"] = {
            field.name: getattr(dataset.embedding, field.name)
            for field in fields(dataset.embedding)
            if field.name not in EMBEDDING
        }
    return about


def _digest(about: dict[str, Any], arrays: dict[str, Array]) -> str:
    text = json.dumps(about, sort_keys=True, default=dict)
    digest = hashlib.sha256(text.encode())
    for name, array in arrays.items():
        # The dataset's own digest, which `about` has, covers the values.
        if not name.endswith("-values"):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _write(folder: Path, about: dict[str, Any], arrays: dict[str, Array]) -> None:
    stored: dict[str, str] = {}
    written: dict[int, str] = {}
    for name, array in arrays.items():
        # Parts of one file share their arrays.
        if id(array) not in written:
            written[id(array)] = name
            _write_array(folder / f"{name}.npy", array)
        stored[name] = written[id(array)]
    text = json.dumps({**about, "stored": stored}, default=dict, ensure_ascii=False)
    (folder / ABOUT).write_text(text, encoding="utf-8")


def _write_array(file: Path, array: Array) -> None:
    source = _file_of(array)
    if source is not None:
        try:
            # Two names for one file instead of twice its size.
            os.link(source, file)
        except OSError:
            pass  # Another file system, or one without links: copied below.
        else:
            return
    np.save(file, array, allow_pickle=False)


def _file_of(array: Array) -> Path | None:
    """Return the .npy file that `array` maps as a whole, or None."""
    # Loaders give plain views of what they have mapped.
    mapped = array if isinstance(array, np.memmap) else array.base
    if not isinstance(mapped, np.memmap) or mapped.filename is None:
        return None
    file = Path(mapped.filename)
    if file.suffix != ".npy":
        return None
    whole = _mapped(file)
    is_whole = mapped.offset == whole.offset and _form(array) == _form(whole)
    return file if is_whole else None


def _form(array: Array) -> tuple[Any, ...]:
    return array.shape, array.strides, array.dtype


def _mapped(file: Path) -> np.memmap[Any, Any]:
    array: np.memmap[Any, Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return array


def kept_files(digest: str) -> Iterator[Path]:
    """Yield the files of a dataset in the cache; ``about.json`` last."""
    folder = kept_folder(digest)
    yield from sorted(folder.glob("*.npy"))
    yield folder / ABOUT
