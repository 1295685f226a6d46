"""Save a training's state after each epoch, so that a killed training can resume.

One file has everything that the next epoch depends on: weights, optimizer, the states
of dropout's random generators and of the generator of the order, the history, and the
best weights so far. It is replaced in one step, so it is always complete.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm_bench import __version__
from lstm_bench.arrays import FloatArray
from lstm_bench.system.files import replacing
from lstm_bench.system.folders import cache_folder
from lstm_bench.training.result import History


@dataclass
class State:
    """The state of a training between two epochs.

    Attributes
    ----------
    variables : list of ndarray
        Values of the model's and then the optimizer's variables, in their order.
    rng : dict
        State of the generator that orders the examples.
    best_weights : list of ndarray or None
        Weights of the best epoch, if training stops early.
    val_proba, best_proba : float64 ndarray
        Predictions, as `Steps.predict` returns them, of the last epoch, and of the best
        (None without early stopping).
    engines : list of str
        Engines of the LSTMs so far: one per process, in order.
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
    """The checkpoint file of one training."""

    file: Path

    @classmethod
    def of(
        cls, study: str, config_id: str, replicate: int, n_subset: int | None = None
    ) -> Checkpoint:
        """Return the checkpoint of a training, perhaps on a subset, in the cache.

        Other versions of Keras or of this package, which may number variables
        differently, use other files.
        """
        from importlib.metadata import version

        of = "" if n_subset is None else f"-{n_subset}"
        name = f"{config_id}-{replicate}{of}-{__version__}-{version('keras')}.npz"
        return cls(cache_folder("checkpoints", study, name))

    def save(self, state: State) -> None:
        """Write `state`; if the process is killed meanwhile, the previous one stays."""
        arrays: dict[str, Any] = {
            **{f"variable_{i}": v for i, v in enumerate(state.variables)},
            **{f"best_{i}": v for i, v in enumerate(state.best_weights or ())},
            "val_proba": state.val_proba,
            "metadata": np.frombuffer(
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
        with replacing(self.file) as partial, partial.open("wb") as stream:
            np.savez(stream, **arrays)

    def load(self) -> State | None:
        """Return the last saved state; None if there is none."""
        if not self.file.is_file():
            return None
        with np.load(self.file, allow_pickle=False) as arrays:
            metadata = json.loads(arrays["metadata"].tobytes())
            n_best = metadata["n_best"]
            return State(
                History(metadata["epochs"], metadata["best_epoch"]),
                [arrays[f"variable_{i}"] for i in range(metadata["n_variables"])],
                metadata["rng"],
                [arrays[f"best_{i}"] for i in range(n_best)] if n_best else None,
                arrays["val_proba"],
                arrays.get("best_proba"),
                metadata["engines"],
            )

    def discard(self) -> None:
        """Remove the file: the training has ended."""
        self.file.unlink(missing_ok=True)
