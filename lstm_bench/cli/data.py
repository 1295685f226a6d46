"""``lstm-bench data``."""

from __future__ import annotations

from pathlib import Path

import click

from lstm_bench.cli.options import data_dir_option
from lstm_bench.cli.output import announce_reading, echo


@click.group()
def data() -> None:
    """Describe the datasets."""


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
    echo(f"digest (SHA-256 of ids and labels): {about['digest']}")
    echo(f"vocabulary: {about['vocabulary_words']:,} words")
    for part in ("train", "test"):
        facts = about[part]
        classes = ", ".join(f"{n:,} {name}" for name, n in facts["classes"].items())
        echo(f"{part}: {facts['n']:,} {about['example']}s ({classes})")
        quantiles = ", ".join(
            f"{q} {v:g}" for q, v in facts["length_quantiles"].items()
        )
        echo(f"  length in tokens: mean {facts['length_mean']:.1f}, {quantiles}")
        echo(f"  duplicates within it: {facts['n_copies']:,}")
    echo(f"test {about['example']}s that are also in train: {about['n_test_in_train']}")
    if about["best_possible_accuracy"] is not None:
        echo(f"best possible accuracy: {about['best_possible_accuracy']:.4f}")
    for note in about["notes"]:
        echo(f"note: {note}")
