"""Prepare a command's environment before large packages are imported.

Settings of the shell, a container or the home directory must neither change a result
nor end a command. Each such setting is either fixed here (or, for Keras and matplotlib,
in `lstm_bench.models.backend` and `lstm_bench.report.figures.style`), or listed in
`RECORDED`, and `lstm_bench.system.environment` records it with the result.
"""

from __future__ import annotations

import codecs
import getpass
import io
import locale
import os
import sys
import tempfile
from pathlib import Path

from lstm_bench.errors import LstmBenchError

# Set regardless of the shell; child processes inherit them.
SET = {
    # Figures go to files. A missing backend would end the import.
    "MPLBACKEND": "agg",
    # Otherwise an empty optuna.py in the working folder would be imported as Optuna.
    "PYTHONSAFEPATH": "1",
}
# Variables of Keras, TensorFlow, BLAS, OpenMP and Numba that may change a result or its
# computing time. A name that ends in _ is a prefix.
RECORDED = (
    *("KERAS_", "TF_", "XLA_", "NVIDIA_TF32_OVERRIDE"),
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "NUMEXPR_", "NUMBA_"),
    "PYTHONHASHSEED",
)
# Of those, the ones that change no result, or that this program or a library sets.
NOT_RECORDED = (
    *("KERAS_HOME", "KERAS_BACKEND", "NUMBA_CACHE_DIR"),
    *("TF_CPP_MIN_LOG_LEVEL", "TF_CPP_MAX_VLOG_LEVEL", "TF_CPP_VMODULE"),
    *("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "KMP_WARNINGS"),
)
# Empty counts as unset; but an empty CUDA_VISIBLE_DEVICES hides all GPUs.
EMPTY_IS_UNSET = (
    *("LSTM_BENCH_", "MLFLOW_", *RECORDED),
    *("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"),
)
# Replacements for characters that a console cannot show.
PLAIN = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "x", "·": "*", "±": "+/-", "…": "..."}
    | dict.fromkeys("“”„", '"')
    | dict.fromkeys("‘’", "'")
)
SPELLED = "lstm_bench.spelled"


def is_listed(name: str, listed: tuple[str, ...]) -> bool:
    """Whether `listed` has a variable, by its name or by a prefix that ends in _."""
    return any(
        name.startswith(entry) if entry.endswith("_") else name == entry
        for entry in listed
    )


def settle() -> None:
    """Set up this process's environment as the package requires.

    Raises
    ------
    LstmBenchError
        There is no home directory, and none can be created.
    """
    for name in [n for n, value in os.environ.items() if not value]:
        if is_listed(name, EMPTY_IS_UNSET):
            del os.environ[name]
    os.environ.update(SET)
    # As when Python started; a library may have applied the shell's locale since.
    locale.setlocale(locale.LC_NUMERIC, "C")
    _settle_home()


def settle_output() -> None:
    """Let standard output and error accept every text, whatever their encoding.

    A character that the encoding lacks is replaced (``-`` for a minus sign) or
    written as its number.
    """
    codecs.register_error(SPELLED, _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLED)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def _settle_home() -> None:
    """Set a home directory and a user if the system has none, as in containers.

    MLflow, Keras, matplotlib and Numba ask for both when they are imported.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"uid-{os.getuid()}"
    home = os.path.expanduser("~")
    if os.path.isabs(home) and os.access(home, os.W_OK | os.X_OK):
        return
    given = f"HOME={home} cannot be written" if os.path.isabs(home) else "no HOME"
    folder = Path(tempfile.gettempdir()) / f"lstm-bench-home-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat().st_uid
    except OSError as error:
        raise LstmBenchError(
            f"{given}, and {folder} cannot be made ({error.strerror}); set HOME to a "
            "folder that can be written"
        ) from error
    if owner != os.getuid() or folder.is_symlink():
        # Its owner could have put files there for this user to load.
        raise LstmBenchError(
            f"{given}, and {folder} belongs to another user; set HOME to a folder "
            "of your own"
        )
    print(f"{given}: {folder} serves as the home directory", file=sys.stderr)
    os.environ["HOME"] = str(folder)
