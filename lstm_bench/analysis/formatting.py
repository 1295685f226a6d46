"""Formatting of values: plain Python values, labels, shell commands and URLs."""

from __future__ import annotations

import math
import shlex
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.data.registry import WITHOUT_FOLDER
from lstm_bench.suites.config import CONFIG_FIELDS, TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.results import Results


def config_of_row(row: Any) -> TrialConfig:
    """Return the configuration in the hyperparameter columns of `row`."""
    return TrialConfig.model_validate({f: plain(row[f]) for f in CONFIG_FIELDS})


def train_command(results: Results, config: TrialConfig) -> str:
    """Return the shell command that trains `config`, with its non-default fields."""
    suite = results.suite
    words = ["lstm-bench", "train", suite.path, *data_option(results)]
    return shlex.join([*words, *settings(suite, config)])


def settings(suite: Suite, config: TrialConfig) -> list[str]:
    """Return the ``--set`` options of `config`'s non-default fields."""
    defaults = suite.defaults.model_dump()
    return [
        word
        for field, value in config.model_dump().items()
        if value != defaults[field]
        for word in ("--set", f"{field}={_yaml(value)}")
    ]


def data_option(results: Results) -> list[str]:
    """Return ``--data-dir DIR`` where the data is in a folder that was named."""
    needs_none = results.suite.dataset.name in WITHOUT_FOLDER
    if needs_none or results.dataset.get("synthetic"):
        return []
    return ["--data-dir", "DIR"]


def train_commands(results: Results, runs: pd.DataFrame) -> list[str]:
    """Return the `train_command` of every row of `runs`, on its replicate.

    It works by column, since most fields have their default in every row.
    """
    suite = results.suite
    begin = shlex.join(["lstm-bench", "train", suite.path, *data_option(results)])
    parts: list[list[str]] = [
        [begin] if replicate == 0 else [begin, f"--replicate {replicate}"]
        for replicate in runs["replicate"].tolist()
    ]
    for field, default in suite.defaults.model_dump().items():
        values = runs[field].tolist()
        if values.count(default) == len(values):
            continue
        for words, value in zip(parts, map(plain, values), strict=True):
            if value != default:
                words.append(_setting(field, value))
    return [" ".join(words) for words in parts]


def _setting(field: str, value: Any) -> str:
    return "--set " + shlex.quote(f"{field}={_yaml(value)}")


def run_url(results: Results, experiment_id: Any, run_id: Any) -> str | None:
    """Return the URL of the run's page on the MLflow server; None without a server."""
    url = results.tracking_url
    if not url or not url.startswith(("http://", "https://")):
        return None
    page = f"#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"
    return f"{url.rstrip('/')}/{page}"


def value_label(value: Any) -> str:
    """Return a hyperparameter's value as it is written in a suite."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _yaml(value: Any) -> str:
    text = value_label(value) if not isinstance(value, float) else repr(value)
    # YAML 1.1 parses 1e-05 as text: its floats need a decimal point.
    if isinstance(value, float) and "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return text


def plain(value: Any) -> Any:
    """Return a DataFrame's scalar as a plain Python value, None if missing."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
