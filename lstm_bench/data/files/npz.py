"""NumPy's ``.npz`` with series: ``X`` of (cases, time, channels), and ``y``.

Steps at the end that are NaN in all channels are no part of a series. Or flat ``X`` of
(time, channels) with ``lengths``; each name also with ``_train``, ``_validation`` or
``_test`` behind it. Pickles are never read.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.columns import label_text
from lstm_bench.data.files.examples import (
    EMPTY_SERIES,
    NOT_FINITE,
    PART_NAMES,
    Examples,
    Source,
    channel_names,
    label_fault,
)
from lstm_bench.data.files.streams import BLOCK_ROWS
from lstm_bench.errors import DatasetError
from lstm_bench.text import listed

MAX_ARRAY_BYTES = 1 << 33
"""Most bytes of one array: 8 GiB."""
_SUFFIXES = ("", "_train", "_validation", "_val", "_test")
Array = npt.NDArray[Any]


def npz_source(path: Path, needs_label: bool = True) -> Source:
    """Open an ``.npz`` file; without `needs_label`, it may lack ``y``.

    Raises
    ------
    DatasetError
        It is damaged, has pickled objects, lacks an array, or shapes do not fit.
    """
    suffixes = [s for s in _SUFFIXES if f"X{s}" in _names(path)]
    if not suffixes:
        raise DatasetError(
            f"{path}: expected the arrays X and y (or X_train, y_train, ...), found "
            f"{listed(_names(path).values()) or 'none'}; save it with np.savez(FILE, "
            "X=..., y=...)"
        )
    if suffixes[0] == "":
        suffixes = [""]
    sizes = [_shapes(path, suffix, needs_label)[1] for suffix in suffixes]
    if len(set(sizes)) > 1:
        raise DatasetError(
            f"{path}: expected equally many channels in all parts, got "
            f"{listed(map(str, sizes))}; write them alike"
        )

    def blocks(bad: BadRows) -> Iterator[Examples]:
        for suffix in suffixes:
            yield from _blocks(path, suffix, needs_label, bad)

    return Source(path, "vectors", blocks, channel_names(sizes[0]))


def _names(path: Path) -> dict[str, str]:
    """Return the names of the arrays, each by the name with a capital X."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [i.filename.removesuffix(".npy") for i in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise DatasetError(
            f"{path}: expected a readable .npz file, got {error.strerror or error}; "
            "correct the path (relative paths: see --data-dir)"
        ) from error
    return {"X" + name[1:] if name.startswith("x") else name: name for name in members}


def _shapes(path: Path, suffix: str, needs_label: bool) -> tuple[int, int]:
    """Return numbers of cases and channels, after all shapes have been checked."""
    x = _array(path, f"X{suffix}")
    y = _array(path, f"y{suffix}") if needs_label else None
    expected = (
        f"{path}: expected X{suffix} of shape (cases, time, channels) or (cases, "
        f"time), or (time, channels) with lengths{suffix}, and y{suffix} of shape "
        "(cases,)"
    )
    if x.dtype.kind not in "fiub":
        raise DatasetError(f"{expected}; got X of type {x.dtype}; save numbers")
    if f"lengths{suffix}" in _names(path):
        lengths = _array(path, f"lengths{suffix}")
        total = x.ndim in (1, 2) and len(x)
        fits = (
            lengths.dtype.kind in "iu"
            and lengths.ndim == 1
            and x.ndim in (1, 2)
            and (len(lengths) == 0 or int(lengths.min()) >= 0)
            and int(lengths.sum()) == total
        )
        if not fits:
            raise DatasetError(
                f"{expected}; got X of shape {x.shape} and lengths of shape "
                f"{lengths.shape} that do not add up to its first size; correct them"
            )
        n_cases, n_channels = len(lengths), x.shape[1] if x.ndim == 2 else 1
    elif x.ndim in (2, 3):
        n_cases, n_channels = len(x), x.shape[2] if x.ndim == 3 else 1
    else:
        raise DatasetError(f"{expected}; got X of shape {x.shape}; reshape it")
    if n_channels == 0:
        raise DatasetError(f"{expected}; got X of shape {x.shape}; give channels")
    if y is not None and y.shape != (n_cases,):
        raise DatasetError(
            f"{expected}; got X of shape {x.shape} and y of shape {y.shape}; give one "
            "label per case"
        )
    return n_cases, n_channels


def _blocks(
    path: Path, suffix: str, needs_label: bool, bad: BadRows
) -> Iterator[Examples]:
    x = _array(path, f"X{suffix}")
    has_lengths = f"lengths{suffix}" in _names(path)
    if has_lengths:
        lengths = _array(path, f"lengths{suffix}").astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        x = x.reshape(len(x), -1)
    elif x.ndim == 2:
        x = x[:, :, None]
    n_cases, _ = _shapes(path, suffix, needs_label)
    y = _array(path, f"y{suffix}").tolist() if needs_label else [""] * n_cases
    part = PART_NAMES.get(suffix.removeprefix("_"))
    found = Examples()
    for i, cell in enumerate(y):
        bad.n_read += 1
        # What float32 cannot hold becomes infinite, and so a bad row.
        with np.errstate(over="ignore"):
            series = (x[offsets[i] : offsets[i + 1]] if has_lengths else x[i]).astype(
                np.float32
            )
        if not has_lengths:
            # Series of different lengths are filled up with NaN at their ends.
            there = np.flatnonzero(~np.isnan(series).all(axis=1))
            series = series[: there[-1] + 1 if len(there) else 0]
        label = label_text(cell)
        fault = label_fault(label, bad.is_numeric) if needs_label else None
        if fault is None and not len(series):
            fault = EMPTY_SERIES, ""
        if fault is None and not np.isfinite(series).all():
            step, channel = np.argwhere(~np.isfinite(series))[0]
            fault = NOT_FINITE, f"step {step + 1} of channel {channel + 1}"
        if fault is not None:
            bad.add(path, f"case {i + 1} of X{suffix}", *fault)
            continue
        found.values.append(series)
        found.labels.append(label)
        found.parts += [] if part is None else [part]
        if len(found.labels) == BLOCK_ROWS:
            yield found
            found = Examples()
    yield found


def _array(path: Path, name: str) -> Array:
    """Return an array, after its size and type have been checked."""
    names = _names(path)
    if name not in names:
        raise DatasetError(
            f"{path}: expected an array {name}, found {listed(names.values())}; save "
            "it with np.savez(FILE, X=..., y=...)"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{names[name]}.npy")
            with archive.open(member) as stream:
                _check_header(path, name, stream, member.file_size)
            with archive.open(member) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        KeyError,
        ValueError,
        EOFError,
        OSError,
        zlib.error,
    ) as error:
        raise _damaged(path, error) from error


def _check_header(path: Path, name: str, stream: Any, size: int) -> None:
    """Read an array's header, so that no size in it fills the memory."""
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise DatasetError(
            f"{path}: {name}: expected numbers or strings, got an array of objects, "
            "which is a pickle that could run code, and is not read; save series of "
            "different lengths as flat X with lengths"
        )
    n_bytes = dtype.itemsize
    for axis in shape:
        n_bytes *= int(axis)
    if n_bytes > MAX_ARRAY_BYTES:
        raise DatasetError(
            f"{path}: {name}: expected at most {MAX_ARRAY_BYTES:,} bytes, got "
            f"{n_bytes:,}; give a part of the cases"
        )
    if n_bytes > size:
        raise ValueError(f"{name} has {size:,} bytes where its shape needs {n_bytes:,}")


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"{path}: expected a complete .npz file, got a truncated or damaged one "
        f"({error}); save it again"
    )
