"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lstm_bench.text import listed, quoted

Callback = Callable[[click.Context, click.Parameter, Any], Any]


def or_empty(inner: click.ParamType[Any]) -> Callback:
    """Parse an option as `inner`; an empty one (unset, from `mlflow run`) is None."""
    return read_by(lambda: inner)


def read_by(make_type: Callable[[], click.ParamType[Any]]) -> Callback:
    """Return a callback that parses an option as a click type; empty is None."""

    def convert(context: click.Context, option: click.Parameter, value: Any) -> Any:
        if value is None or value == "":
            return None
        read = make_type().convert(value, option, context)
        # Ranges accept NaN, since every comparison with it is false.
        if isinstance(read, float) and not math.isfinite(read):
            raise click.BadParameter(
                f"expected a finite number, got {quoted(value)}", context, option
            )
        return read

    return convert


def as_in_suite(part: str, field: str, **bounds: Any) -> Callback:
    """Parse an option within the bounds of the suite's `field` of `part`.

    Parameters
    ----------
    bounds
        Arguments of click's range types, which replace the suite's bounds.
    """

    def make_type() -> click.ParamType[Any]:
        from lstm_bench.suites.suite import bounds_of

        is_float, own = bounds_of(part, field)
        return (click.FloatRange if is_float else click.IntRange)(**own | bounds)

    return read_by(make_type)


class _Time(click.ParamType[float]):
    """``30m``, ``2h``, ``90s`` or minutes without a unit, as seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smh]?)", value.strip())
        unit_s = {"s": 1, "": 60, "m": 60, "h": 3600}
        if found is None or float(found[1]) <= 0:
            self.fail(
                f"expected a time such as 30m, 2h or 900s, got {quoted(value)}",
                param,
                ctx,
            )
        return float(found[1]) * unit_s[found[2]]


TIME = _Time()


def http_url(
    context: click.Context, option: click.Parameter, value: str | None
) -> str | None:
    """Parse an option that is an http(s) address."""
    if value is None or value.startswith(("http://", "https://")):
        return value
    raise click.BadParameter(
        f"expected an address such as http://127.0.0.1:5000, got {quoted(value)}"
    )


tracking_uri_option = click.option(
    "--tracking-uri",
    metavar="URI",
    callback=or_empty(click.STRING),
    help="MLflow tracking URI: sqlite:///FILE or http://HOST:PORT. "
    "[default: $MLFLOW_TRACKING_URI or sqlite:///mlflow.db]",
)


data_dir_option = click.option(
    "--data-dir",
    metavar="DIR",
    callback=or_empty(click.Path(path_type=Path)),
    help="Folder with the raw data. [default: $LSTM_BENCH_DATA]",
)


storage_option = click.option(
    "--storage",
    metavar="URL",
    callback=or_empty(click.STRING),
    help="Optuna storage URL. [default: $LSTM_BENCH_STORAGE or sqlite:///optuna.db]",
)


def study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a command that trains for a study.

    They have the names of the parameters that `run_sweep` and `run_confirmation` share.
    """
    for option in reversed(
        (
            data_dir_option,
            click.option(
                "--workers",
                "n_workers",
                metavar="N",
                callback=or_empty(click.IntRange(min=1, max=1024)),
                help="Processes that train in parallel. [default: one per core, if "
                "memory allows; with --scheduler, one per worker of the cluster]",
            ),
            click.option(
                "--scheduler",
                metavar="ADDRESS",
                callback=or_empty(click.STRING),
                help="Dask cluster: tcp://HOST:PORT. [default: this machine]",
            ),
            tracking_uri_option,
            storage_option,
            click.option(
                "--out",
                metavar="DIR",
                callback=or_empty(click.Path(path_type=Path)),
                help="Folder for the report. [default: reports/SUITE]",
            ),
        )
    ):
        command = option(command)
    return command


def chosen_formats(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[str, ...]:
    """Parse formats separated by commas; empty means all."""
    from lstm_bench.report.render import FORMATS

    names = tuple(
        dict.fromkeys(n.strip() for n in (value or "").split(",") if n.strip())
    )
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise click.BadParameter(
            f"expected some of {', '.join(FORMATS)}, separated by commas, got "
            f"{listed(map(repr, unknown))}",
            context,
            option,
        )
    return names or FORMATS
