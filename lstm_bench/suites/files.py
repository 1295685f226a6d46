"""Where suites are: the user's own in benchmarks/, and those that are shipped."""

from __future__ import annotations

from pathlib import Path

from lstm_bench.errors import OutputError

SUITE_FOLDER = Path("benchmarks")
_IN_WHEEL = Path(__file__).parent / "shipped"
# An editable install has those of its checkout.
SHIPPED = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).parents[2] / SUITE_FOLDER


def suite_file(path: str | Path) -> Path:
    """Return the file that a path, or a suite's bare name, means."""
    file = Path(path)
    if file.is_file() or file.name != str(path) or file.suffix:
        return file
    own, shipped = (folder / f"{path}.yaml" for folder in (SUITE_FOLDER, SHIPPED))
    return shipped if shipped.is_file() and not own.is_file() else own


def own_suites() -> list[Path]:
    """Return the suite files in the working directory's ``benchmarks/``."""
    return sorted(SUITE_FOLDER.glob("*.yaml"))


def shipped_suites() -> list[Path]:
    """Return the shipped suites whose bare names mean them here.

    A file in ``benchmarks/`` comes before a shipped suite of the same name.
    """
    return [file for file in sorted(SHIPPED.glob("*.yaml")) if _is_shipped(file)]


def _is_shipped(file: Path) -> bool:
    return suite_file(file.stem) == file


def suite_names() -> list[str]:
    """Return the bare names of the suites here."""
    return sorted(file.stem for file in (*own_suites(), *shipped_suites()))


def copy_suite(file: Path, destination: Path) -> Path:
    """Copy a suite's file to edit it; return the new one.

    Parameters
    ----------
    destination : Path
        A file that does not exist yet, or a folder.

    Raises
    ------
    OutputError
        There is such a file already, or it cannot be written.
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
