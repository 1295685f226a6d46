"""``lstm-bench data``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lstm_bench.cli.options import data_dir_option
from lstm_bench.cli.output import announce_reading, echo, filled
from lstm_bench.text import count, listed, plural, quoted

if TYPE_CHECKING:
    from lstm_bench.data.check import Finding
    from lstm_bench.data.dataset import Dataset
    from lstm_bench.suites.suite import Suite


@click.group()
def data() -> None:
    """Describe a dataset, or check the data of a suite."""


@data.command()
@click.argument("name")
@data_dir_option
def info(name: str, data_dir: Path | None) -> None:
    """Describe dataset NAME: sizes, classes, lengths, duplicates."""
    from lstm_bench.data.dataset import describe_dataset
    from lstm_bench.data.registry import load_dataset

    announce_reading(name)
    about = describe_dataset(load_dataset(name, data_dir=data_dir))
    echo(f"{about['name']}: {about['description']}")
    echo(f"source: {about['source']}")
    echo(f"digest (SHA-256 of values and labels): {about['digest']}")
    _echo_parts(about)
    if about["best_possible_accuracy"] is not None:
        echo(f"best possible accuracy: {about['best_possible_accuracy']:.4f}")
    for note in about["notes"]:
        echo(f"note: {note}")


@data.command()
@click.argument("suite")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
)
@data_dir_option
@click.pass_context
def check(
    context: click.Context, suite: str, as_json: bool, data_dir: Path | None
) -> None:
    """Check whether the data of SUITE are fit for an answer.

    The exit code is 1 if there are errors. Warnings need not be faults; each has a
    count, an example and what to do.
    """
    from lstm_bench.suites.suite import load_suite
    from lstm_bench.training.check import check_suite

    loaded = load_suite(suite)
    announce_reading(loaded.dataset.name, loaded.data_name)
    dataset, about, findings = check_suite(loaded, data_dir)
    n_errors = sum(finding.level == "error" for finding in findings)
    n_warnings = len(findings) - n_errors
    if as_json:
        found = {
            "suite": loaded.name,
            "data": about or None,
            "n_errors": n_errors,
            "n_warnings": n_warnings,
            "findings": [asdict(finding) for finding in findings],
        }
        # Line by line: a line break within a line would be escaped.
        for line in json.dumps(found, indent=2, allow_nan=False).splitlines():
            echo(line)
    else:
        if dataset is not None:
            _echo_data(loaded, dataset, about)
        echo_findings(findings)
    context.exit(1 if n_errors else 0)


def _echo_data(suite: Suite, dataset: Dataset, about: dict[str, Any]) -> None:
    """Print what the data are, and what is left of them at the suite's lengths."""
    from lstm_bench.data.check import truncation
    from lstm_bench.data.embedding import coverage_text, file_text
    from lstm_bench.training.prepare import values_of

    echo(filled(f"{suite.name}: {about['description']}"))
    _echo_parts(about)
    lengths = () if dataset.forecast else values_of(suite, "sequence_length")
    for limit in lengths:
        cut, lost = truncation(dataset.train, limit)
        echo(
            f"at sequence_length {limit:,}: {cut:.1%} of train {dataset.examples} are "
            f"cut, {lost:.1%} of their steps lost"
        )
    if (embedding := about.get("embedding")) is not None:
        echo(filled(f"embedding file: {file_text(embedding)}"))
        for covered in embedding["coverage"]:
            echo(filled(coverage_text(covered)))
    for note in about["notes"]:
        echo(filled(f"note: {note}"))


def _echo_parts(about: dict[str, Any]) -> None:
    """Print the sizes, classes, lengths and copies of every part."""
    if about["forecast"]:
        _echo_windows(about["forecast"])
        return
    if about["kind"] == "tokens":
        echo(f"vocabulary: {about['vocabulary_words']:,} words")
    else:
        echo(filled(f"vectors of {count(len(about['channels']), 'channel')}"))
    for part in ("train", "validation", "test"):
        if part not in about:
            continue
        facts = about[part]
        classes = listed(
            f"{n:,} {quoted(name) if ',' in name else name}"
            for name, n in facts["classes"].items()
        )
        targets = listed(
            f"{name} {t['mean']:.4g} ± {t['std']:.4g}, {t['min']:.4g} to {t['max']:.4g}"
            for name, t in facts["targets"].items()
        )
        examples = plural(about["example"])
        echo(filled(f"{part}: {facts['n']:,} {examples} ({classes or targets})"))
        quantiles = ", ".join(
            f"{q} {v:g}" for q, v in facts["length_quantiles"].items()
        )
        steps = "tokens" if about["kind"] == "tokens" else "steps"
        line = f"length in {steps}: mean {facts['length_mean']:.1f}, {quantiles}"
        echo(filled(line, "  "))
        echo(f"  duplicates within it: {facts['n_copies']:,}")
    examples = plural(about["example"])
    echo(f"test {examples} that are also in train: {about['n_test_in_train']}")


def _echo_windows(about: dict[str, Any]) -> None:
    """Print how the windows of series are divided."""
    echo(
        filled(
            f"{count(about['n_series'], 'series')}: {count(about['window'], 'step')} "
            f"before an origin are known, {count(about['horizon'], 'step')} from it on "
            f"are forecast; a season has {count(about['season'], 'step')}"
        )
    )
    for part, of in about["parts"].items():
        every = "" if part == "train" else f", every {count(about['step'], 'step')}"
        echo(
            f"{part}: {count(of['n'], 'window')}, origins {of['first_origin']} to "
            f"{of['last_origin']}{every}"
        )
    if about["refit"]:
        echo("refit: models are trained again at every test origin")


def echo_findings(findings: Sequence[Finding]) -> None:
    """Print the faults of data with an example and advice, and how many there are."""
    for finding in findings:
        echo(filled(f"{finding.level}: {finding.text}"))
        if finding.example:
            echo(filled(f"e.g. {finding.example}", "  "))
        if finding.advice:
            echo(filled(f"-> {finding.advice}", "  "))
    n_errors = sum(finding.level == "error" for finding in findings)
    n_warnings = len(findings) - n_errors
    echo(f"{count(n_errors, 'error')}, {count(n_warnings, 'warning')}")
