"""Suites and options as they should not be: one short message and exit code 2."""

from __future__ import annotations

import copy
import math
from datetime import date
from typing import Any

import pytest
import yaml
from commands import run

from lstm_bench.errors import LstmBenchError, SuiteError, TrackingError
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.server import own_timeout_s
from lstm_bench.training.baselines import BASELINES
from lstm_bench.ui import check_free

LONG = "x" * 20_000
SPACE = "  units: [2, 3, 4]\n  head: [sigmoid, softmax]"
DATASET = "{name: synthetic, options: {n_train: 240, n_test: 60}}"
STUDY = "{metric: accuracy, n_trials: 3, n_startup_trials: 2, seed: 7}"
DESCRIPTION = "a tiny study for tests"

AXES = [
    "dropout: {low: 0.0, high: 0.5, step: 1.0e-320}",
    "dropout: {low: 0.0, high: 0.5, step: 1.0e-15}",
    "dropout: {low: 0.0, high: 0.5, step: .inf}",
    "dropout: {low: 0.0, high: 0.5, step: .nan}",
    "dropout: {low: 0.0, high: 0.5, step: 0}",
    "dropout: {low: 0.0, high: 0.5, step: -0.1}",
    "dropout: {low: .inf, high: 5}",
    "dropout: {low: -.inf, high: .inf}",
    "dropout: {low: .nan, high: 0.5}",
    "dropout: {low: 0, high: .nan}",
    "dropout: {low: 'inf', high: 'inf'}",
    "dropout: {low: 0, high: 0.99999999999999}",
    "dropout: {low: null, high: 0.5}",
    "dropout: {low: 0, high: 0.5, log: maybe}",
    "dropout: {low: 0, high: 0.5, log: true}",
    "dropout: [0.3, 0.30000000000000004]",
    "dropout: [0.0, -0.0]",
    "dropout: [.nan]",
    "dropout: [.inf]",
    "dropout: [1.0e+400]",
    "dropout: [{}]",
    "learning_rate: {low: 1.0e-3, high: 1.0e+400}",
    "learning_rate: {low: 1.0e-3, high: .inf, log: true}",
    "units: {low: .inf, high: 5}",
    "units: {low: 1, high: .inf}",
    "units: {low: 1, high: 1.0e+400}",
    "units: {low: 1, high: 9, step: .inf}",
    "units: {low: 1, high: 9, step: .nan}",
    "units: {low: true, high: 9}",
    "units: {low: [1], high: {}}",
    "units: {low: 1, high: 999999999999999999999999999999999999999}",
    f"units: {{low: 1, high: '{LONG}'}}",
    f"units: ['{LONG}']",
    f"units: [{', '.join(map(str, range(10_000)))}]",
    f"units: '{LONG}'",
    f"{LONG}: [1]",
    'head: [sigmoid, "\\ud800"]',
    "\n  ".join(f"axis_{i}: [1]" for i in range(2_000)),
]
NAMES = [
    "",
    " ",
    "trial 0",
    "Trial 12",
    "reference small",
    "baseline",
    *BASELINES,
    "majority",
    "a@b",
    "a:b",
    "=SUM(A1)",
    "-x",
    "+x",
    "@x",
    " x",
    "x ",
    "tab\\there",
    "new\\nline",
    "red \\e[31m",
    "\\ud800",
    "\\u202eabc",
    "softmax (pair of reference base)",
    "32 units (trial 6)",
    "published",
    "imdb-1a2b3c4d",
    "x" * 81,
    LONG,
]
STUDIES = [
    "timeout_s: .inf",
    "timeout_s: .nan",
    "timeout_s: 'inf'",
    "timeout_s: 1.0e+300",
    "timeout_s: 0",
    "trial_timeout_s: .inf",
    "trial_memory_gib: .nan",
    "n_trials: .inf",
    "n_trials: 1.0e+400",
    "n_trials: 1000001",
    "n_startup_trials: 99999999999999999999",
    "seed: -1",
    "seed: .nan",
    f"metric: {LONG}",
    "metric: 3",
    "sampler: [tpe]",
    f"sampler: {LONG}",
    f"{LONG}: 1",
    ", ".join(f"key_{i}: 1" for i in range(8_000)),
]
DATASETS = [
    "{name: synthetic, options: {n_train: 200}, validation_fraction: 0.002}",
    "{name: synthetic, validation_fraction: .nan}",
    "{name: synthetic, validation_fraction: 0}",
    "{name: synthetic, validation_fraction: 1.0e-300}",
    "{name: synthetic, max_train_samples: 3}",
    "{name: synthetic, options: {n_train: 20}, validation_fraction: 0.05}",
    "{name: synthetic, options: {label_noise: .nan}}",
    "{name: synthetic, options: {n_train: .inf}}",
    f"{{name: synthetic, options: {{{LONG}: 1}}}}",
    f"{{name: {LONG}}}",
    "{name: ../../etc/passwd}",
    "[synthetic]",
    "3",
]
CONFIRMS = [
    "{margin: .inf}",
    "{margin: .nan}",
    "{margin: 1.0e+400}",
    "{n_replicates: 1001}",
    "{n_best: 0}",
    "{families: [best, best]}",
    "{pairs: {head: sigmoid}}",
    "{pairs: {dropout: [0.3, 0.30000000000000004]}}",
    f"{{pairs: {{{LONG}: [1, 2]}}}}",
    f"{{families: [{', '.join(['all'] * 10_000)}]}}",
]
OTHERS = {
    "description escape": {DESCRIPTION: '"\\e[31mred"'},
    "description C1": {DESCRIPTION: '"\\x9b31m"'},
    "description surrogate": {DESCRIPTION: '"\\ud800"'},
    "description long": {DESCRIPTION: LONG},
    "description list": {DESCRIPTION: f"[{'a, ' * 10_000}]"},
    "key escape": {"study:": '"\\e]0;x\\a": 1\nstudy:'},
    "key long": {"study:": f"? {LONG}\n: 1\nstudy:"},
    "keys": {"study:": "\n".join(f"key_{i}: 1" for i in range(5_000)) + "\nstudy:"},
    "tag long": {DESCRIPTION: f"!!{LONG} a"},
    "alias long": {DESCRIPTION: f"*{LONG}"},
    "published": {
        "study:": "references: {a: {}}\npublished: [{label: a, source: b, "
        "reference: a, epoch_time_s: [.inf]}]\nstudy:"
    },
    "published label": {
        "study:": "references: {a: {}}\npublished: [{label: 'trial 3', source: b, "
        "reference: a}]\nstudy:"
    },
}
SUITES = {
    **{f"space {a[:60]}": {SPACE: f"  {a}"} for a in AXES},
    **{
        f"reference {n[:20]}": {
            "study:": f'references: {{"{n}": {{units: 9}}}}\nstudy:'
        }
        for n in NAMES
    },
    **{f"study {s[:40]}": {STUDY: f"{{{s}}}"} for s in STUDIES},
    **{f"dataset {d[:60]}": {DATASET: d} for d in DATASETS},
    **{f"confirm {c[:40]}": {"study:": f"confirm: {c}\nstudy:"} for c in CONFIRMS},
    **OTHERS,
}


@pytest.mark.parametrize("replace", SUITES.values(), ids=SUITES)
def test_suites_check_answers_a_malformed_suite_in_one_short_message(
    replace, write_suite, tmp_path, monkeypatch, capfd
):
    write_suite(replace)
    monkeypatch.chdir(tmp_path)
    assert run("suites", "check", "tiny.yaml") == 2
    said = capfd.readouterr().err
    assert said.startswith("error: tiny.yaml")
    assert len(said) < 2000
    assert not {c for c in said if c < " " and c != "\n"}


WHOLE = {
    "description": "Everything that a suite may hold.",
    "dataset": {
        "name": "synthetic",
        "options": {"n_train": 200, "n_test": 60, "label_noise": 0.1},
        "validation": "holdout",
        "validation_fraction": 0.2,
        "max_train_samples": 100,
    },
    "defaults": {"embedding_dim": 4, "patience": None, "masking": True, "dropout": 0.1},
    "space": {
        "units": [2, 3],
        "num_layers": {"low": 1, "high": 3, "step": 1},
        "dropout": {"low": 0.1, "high": 0.3, "step": 0.1},
        "learning_rate": {"low": 0.001, "high": 0.1, "log": True},
        "head": {"choices": ["sigmoid", "softmax"]},
    },
    "references": {"a": {"units": 9, "learning_rate": 0.01}},
    "study": {"metric": "accuracy", "n_trials": 3, "timeout_s": 9.0, "seed": 7},
    "confirm": {"n_best": 1, "pairs": {"head": ["sigmoid", "softmax"]}, "margin": 0.1},
    "published": [
        {"label": "b", "source": "c", "reference": "a", "val_accuracy": [0.5]},
    ],
    "checkpoint": True,
    "engine": "auto",
}
ODD = [
    *(None, True, 0, -1, 2.5, 10**39, -0.0, 1e-320, 1e308, math.inf, -math.inf),
    *(math.nan, "", "x", "inf", "\x1b[31m", "\ud800", [], [[]], [None], {}, {"a": 1}),
    *({1: 2}, {"low": 1}, {"low": 0, "high": 0.5, "step": 1e-320}, date(2001, 1, 1)),
    *(b"\xff", {"a"}, [0.1 + 0.2, 0.3], "trial 3"),
]


def paths(part: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value in a suite."""
    inner = part.items() if isinstance(part, dict) else enumerate(part)
    found = []
    for key, value in inner:
        found.append((*above, key))
        if isinstance(value, (dict, list)):
            found += paths(value, (*above, key))
    return found


@pytest.mark.parametrize("path", paths(WHOLE), ids=lambda p: ".".join(map(str, p)))
def test_any_value_anywhere_makes_a_suite_or_one_message(path):
    for odd in ODD:
        raw = copy.deepcopy(WHOLE)
        part: Any = raw
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = odd
        text = yaml.dump(raw)
        try:
            suite = Suite("odd", text, "odd.yaml")
        except SuiteError as error:
            assert str(error).startswith("odd.yaml")
            assert len(str(error)) < 1500
            continue
        # What goes with every suite that is valid.
        assert suite.study_name.startswith("odd-")
        suite.settings_text(suite.defaults)
        assert all(axis.describe() for _, axis in suite.space)
        for number in [suite.study.timeout_s, suite.dataset.validation_fraction]:
            assert number is None or math.isfinite(number)


OPTIONS = [
    ["sweep", "tiny.yaml", "--timeout", "nan"],
    ["sweep", "tiny.yaml", "--timeout", "inf"],
    ["sweep", "tiny.yaml", "--timeout", "1e400"],
    ["sweep", "tiny.yaml", "--timeout", "0"],
    ["sweep", "tiny.yaml", "--trials", "1000001"],
    ["sweep", "tiny.yaml", "--trials", "9" * 5000],
    ["sweep", "tiny.yaml", "--trials", "1e3"],
    ["sweep", "tiny.yaml", "--workers", "9" * 30],
    ["sweep", "tiny.yaml", "--scheduler", LONG],
    ["sweep", "tiny.yaml", f"--{LONG}"],
    ["sweep", "tiny.yaml", "--out", f"out/{LONG}"],
    ["sweep", "tiny.yaml", "--tracking-uri", f"sqlite:///{LONG}"],
    ["sweep", "tiny.yaml", "--storage", f"sqlite:///{LONG}"],
    ["sweep", "tiny.yaml", "--storage", LONG],
    ["report", "tiny.yaml", "--tracking-uri", f"http://{'x' * 300}"],
    ["report", "tiny.yaml", "--tracking-uri", "http://a..b"],
    ["report", "tiny.yaml", "--tracking-uri", "http://["],
    ["report", "tiny.yaml", "--tracking-uri", "http://x:99999999999999999999"],
    ["sweep", "x" * 256],
    ["sweep", f"{'x' * 256}.yaml"],
    ["confirm", "tiny.yaml", "--best", "1001"],
    ["confirm", "tiny.yaml", "--replicates", "1001"],
    ["train", "x" * 256],
    ["train", "tiny.yaml", "--replicate", "1001"],
    ["train", "tiny.yaml", "--set", "dropout=.nan"],
    ["train", "tiny.yaml", "--set", "dropout=1.0e+400"],
    ["train", "tiny.yaml", "--set", f"units={LONG}"],
    ["train", "tiny.yaml", "--set", f"{LONG}=1"],
    ["train", "tiny.yaml", "--set", LONG],
    ["train", "tiny.yaml", "--set", 'head="\\e[31m"'],
    ["train", "tiny.yaml", "--config", "a " * 50_000],
    ["report", "x" * 256],
    ["report", f"{'x' * 256}@sqlite:///m.db"],
    ["report", f"tiny.yaml@sqlite:///{'x' * 256}.db"],
    ["report", "tiny.yaml", "--format", LONG],
    ["report", "tiny.yaml", "--mlflow-url", LONG],
    ["publish", "x" * 256],
    ["compare", "x" * 256, "y"],
    ["compare", f"tiny.yaml:{LONG}", "y"],
    ["ui", "--port", "65536"],
    ["doctor", "x" * 256],
    ["suites", "check", "x" * 256],
    ["suites", "show", LONG],
    ["data", "info", LONG],
    ["data", "info", "imdb", "--data-dir", "x" * 256],
    ["\x1b[31mred"],
    [LONG],
]


@pytest.mark.parametrize("arguments", OPTIONS, ids=lambda a: " ".join(a)[:60])
def test_a_malformed_option_is_answered_in_one_short_message(
    arguments, write_suite, tmp_path, monkeypatch, capfd
):
    write_suite({"study:": "confirm: {n_best: 1}\nstudy:"})
    monkeypatch.chdir(tmp_path)
    for variable in ("MLFLOW_TRACKING_URI", "LSTM_BENCH_STORAGE", "LSTM_BENCH_DATA"):
        monkeypatch.delenv(variable, raising=False)
    assert run(*arguments) == 2
    said = capfd.readouterr().err
    assert "rror: " in said
    assert len(said) < 2200
    assert not {c for c in said if c < " " and c != "\n"}


@pytest.mark.parametrize("host", ["x" * 300, "a..b", "not an address"])
def test_a_host_that_is_none_is_answered_in_one_short_message(host):
    with pytest.raises(TrackingError, match="--host: expected an address") as error:
        check_free(host, 5000)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("value", ["abc", "nan", "1.5", "0", "-1", "9" * 5000])
def test_a_timeout_of_mlflow_that_is_none_is_refused(value, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", value)
    with pytest.raises(LstmBenchError, match="expected a whole number") as error:
        own_timeout_s(120)
    assert len(str(error.value)) < 400
