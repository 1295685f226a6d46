"""A training's state after each epoch, so that a killed one goes on where it was.

One file holds everything that the next epoch depends on: weights, optimizer, the
states of dropout's random generators, the order's generator, the history, and the best
weights so far. It replaces the one before in a single step, so it is always whole.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from lstm_bench import __version__
from lstm_bench.arrays import FloatArray
from lstm_bench.errors import StoredError
from lstm_bench.system.folders import cache_folder
from lstm_bench.text import first_line
from lstm_bench.training.result import History


@dataclass
class State:
    """What a training is made of between two epochs.

    Attributes
    ----------
    variables : list of ndarray
        Values of the model's and then the optimizer's variables, in their order.
    rng : dict
        State of the generator that orders the reviews.
    best_weights : list of ndarray or None
        Of the best epoch, where training stops early.
    val_proba, best_proba : float64 ndarray of shape (n_val, n_classes)
        Of the last epoch, and of the best (None without early stopping).
    engines : list of str
        What computed the LSTMs so far: one of each process, in order.
    """

    history: History
    variables: list[Any]
    rng: dict[str, Any]
    best_weights: list[Any] | None
    val_proba: FloatArray
    best_proba: FloatArray | None
    engines: list[str]


@dataclass(frozen=True)
class Checkpoint:
    """The file of one training."""

    file: Path

    @classmethod
    def of(cls, study: str, config_id: str, replicate: int) -> Checkpoint:
        """Return the checkpoint of a training, in the cache.

        Another version of Keras or of this package may number its variables
        differently, and has files of its own.
        """
        from importlib.metadata import version

        name = f"{config_id}-{replicate}-{__version__}-{version('keras')}.npz"
        return cls(cache_folder("checkpoints", study, name))

    def save(self, state: State) -> None:
        """Write `state`; a kill meanwhile leaves the one before."""
        arrays: dict[str, Any] = {
            **{f"variable_{i}": v for i, v in enumerate(state.variables)},
            **{f"best_{i}": v for i, v in enumerate(state.best_weights or ())},
            "val_proba": state.val_proba,
            "said": np.frombuffer(
                json.dumps(
                    {
                        "epochs": state.history.epochs,
                        "best_epoch": state.history.best_epoch,
                        "rng": state.rng,
                        "n_variables": len(state.variables),
                        "n_best": len(state.best_weights or ()),
                        "engines": state.engines,
                    }
                ).encode(),
                dtype=np.uint8,
            ),
        }
        if state.best_proba is not None:
            arrays["best_proba"] = state.best_proba
        content = io.BytesIO()
        np.savez(content, **arrays)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        begun = self.file.with_name(f".{self.file.name}.new")
        with open(begun, "wb") as file:
            file.write(content.getvalue())
            file.flush()
            os.fsync(file.fileno())
        begun.replace(self.file)

    def load(self) -> State | None:
        """Return the state that was saved last; None of none.

        Raises
        ------
        StoredError
            The file is damaged.
        """
        if not self.file.is_file():
            return None
        with self._opened() as arrays:
            said = json.loads(arrays["said"].tobytes())
            n_best = said["n_best"]
            return State(
                History(said["epochs"], said["best_epoch"]),
                [arrays[f"variable_{i}"] for i in range(said["n_variables"])],
                said["rng"],
                [arrays[f"best_{i}"] for i in range(n_best)] if n_best else None,
                arrays["val_proba"],
                arrays.get("best_proba"),
                _engines(said),
            )

    def engines(self) -> list[str]:
        """Return what computed the epochs that were saved, in order; [] of none.

        Raises
        ------
        StoredError
            The file is damaged.
        """
        if not self.file.is_file():
            return []
        with self._opened() as arrays:
            return _engines(json.loads(arrays["said"].tobytes()))

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            # Opened here: numpy leaves a damaged archive open.
            with (
                self.file.open("rb") as stream,
                np.load(stream, allow_pickle=False) as arrays,
            ):
                yield arrays
        except (
            *(OSError, ValueError, LookupError, TypeError, AttributeError),
            *(EOFError, MemoryError, RecursionError, BadZipFile, zlib.error),
        ) as error:
            raise StoredError(
                f"{self.file}: expected the state of a training ({first_line(error)})"
            ) from error

    def discard(self) -> None:
        """Remove the file: the training has ended."""
        self.file.unlink(missing_ok=True)


def _engines(said: dict[str, Any]) -> list[str]:
    # Those saved before engines were kept do not say.
    engines: list[str] = said.get("engines", [])
    return engines
