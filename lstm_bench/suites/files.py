"""Locate suite files: the user's own in benchmarks/, and the shipped ones."""

from __future__ import annotations

from pathlib import Path

from lstm_bench.errors import OutputError

SUITE_FOLDER = Path("benchmarks")
_IN_WHEEL = Path(__file__).parent / "shipped"
# An editable install uses those of its checkout.
SHIPPED = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).parents[2] / SUITE_FOLDER


def suite_file(path: str | Path) -> Path:
    """Return the file of a suite, given its path or bare name.

    A bare name is looked up in the working directory, in its ``benchmarks/``, and
    among the shipped suites.
    """
    file = Path(path)
    if file.is_file() or file.name != str(path) or file.suffix:
        return file
    own = SUITE_FOLDER / f"{path}.yaml"
    places = (Path(own.name), own, SHIPPED / own.name)
    return next((place for place in places if place.is_file()), own)


def own_suites() -> list[Path]:
    """Return the suite files in the working directory's ``benchmarks/``."""
    return sorted(SUITE_FOLDER.glob("*.yaml"))


def shipped_suites() -> list[Path]:
    """Return the shipped suites that their bare names refer to here.

    A file of one's own takes precedence over a shipped suite of the same name.
    """
    return [file for file in sorted(SHIPPED.glob("*.yaml")) if _is_shipped(file)]


def _is_shipped(file: Path) -> bool:
    return suite_file(file.stem) == file


def suite_names() -> list[str]:
    """Return the bare names of the available suites."""
    return sorted(file.stem for file in (*own_suites(), *shipped_suites()))


def copy_suite(file: Path, destination: Path) -> Path:
    """Copy a suite's file for editing; return the new file.

    Parameters
    ----------
    destination : Path
        A file that does not exist yet, or a folder.

    Raises
    ------
    OutputError
        The file exists already, or cannot be written.
    """
    if destination.is_dir():
        destination /= file.name
    content = file.read_bytes()
    try:
        with destination.open("xb") as copy:
            copy.write(content)
    except FileExistsError as error:
        raise OutputError(
            f"{destination}: expected a new file, got one that exists; edit that one, "
            f"remove it, or name another: lstm-bench suites copy {file.stem} FILE.yaml"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{destination}: cannot be written ({error.strerror}); name another place"
        ) from error
    return destination
