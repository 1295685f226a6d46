"""``lstm-bench publish``."""

from __future__ import annotations

from pathlib import Path

import click

from lstm_bench.cli.options import or_empty, tracking_uri_option
from lstm_bench.cli.output import open_console, say


@click.command()
@click.argument("suites", nargs=-1, required=True, metavar="SUITE...")
@tracking_uri_option
@click.option(
    "--out",
    metavar="DIR",
    callback=or_empty(click.Path(path_type=Path)),
    help="Folder for README.md and published/. [default: reports]",
)
@click.option(
    "--allow-synthetic",
    is_flag=True,
    help="Publish studies of synthetic data too.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Replace reports that are published already.",
)
def publish(
    suites: tuple[str, ...],
    tracking_uri: str | None,
    out: Path | None,
    allow_synthetic: bool,
    replace: bool,
) -> None:
    """Write reports to commit with a project, and an index of them.

    Each SUITE's report is made from MLflow alone and written to
    reports/published/SUITE, with a summary.json. reports/README.md lists every
    published study, also those of earlier commands. A report that is there is replaced
    only with --replace. Nothing is written if a file would show a path of this machine.
    """
    from lstm_bench.publish.publish import check_publication
    from lstm_bench.publish.publish import publish as publish_studies
    from lstm_bench.stores import store_errors
    from lstm_bench.suites.suite import load_suite
    from lstm_bench.system.folders import make_folder
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.load import load_results

    loaded = [load_suite(suite) for suite in suites]
    folder = out if out is not None else Path("reports")
    check_publication(loaded, folder, allow_synthetic=allow_synthetic, replace=replace)
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        studies = [load_results(uri, suite) for suite in loaded]
    done = publish_studies(
        studies,
        make_folder(folder, "--out"),
        allow_synthetic=allow_synthetic,
        replace=replace,
    )
    console = open_console()
    for page in done.pages:
        say(console, f"published: {page}")
    say(console, f"index: {done.index}")
    for warning in done.warnings:
        say(console, f"warning: {warning}")
