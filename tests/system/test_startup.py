"""What a shell, a container or a folder sets changes no result and ends nothing."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, TINY_SUITE

from lstm_bench.system import startup
from lstm_bench.system.environment import ambient_settings, describe_environment

PACKAGE = ROOT / "lstm_bench"
# What a command imports; an empty file of one of these names would end it.
MODULES = (
    *("alembic", "click", "csv", "flask", "json", "keras", "logging", "matplotlib"),
    *("mlflow", "numba", "numpy", "optuna", "pandas", "pydantic", "queue", "random"),
    *("rich", "scipy", "sklearn", "sqlalchemy", "statistics", "tensorflow", "uvicorn"),
    *("lstm_bench", "yaml"),
)


def python(
    code: str, variables: dict[str, str] | None = None, *options: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**os.environ, **(variables or {})},
        capture_output=True,
        check=True,
    )


def run(
    *arguments: str, cwd: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    script = Path(sys.executable).with_name("lstm-bench")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    return subprocess.run(
        [str(script), *arguments],
        env={**kept, **(variables or {})},
        cwd=cwd,
        capture_output=True,
    )


# Output


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_settle_output_lets_any_text_pass_any_console(encoding):
    text = "−0.0136 ± 2 · “ü” ☃ \\udc80"
    code = (
        "import sys\nfrom lstm_bench.system import startup\n"
        "startup.settle_output()\n"
        f"print('{text}'); print('{text}', file=sys.stderr)"
    )
    done = python(code, {"PYTHONIOENCODING": encoding})
    expected = {
        "ascii": '-0.0136 +/- 2 * "\\xfc" \\u2603 \\udc80',
        "latin-1": '-0.0136 ± 2 · "ü" \\u2603 \\udc80',
        "cp1252": "-0.0136 ± 2 · “ü” \\u2603 \\udc80",
        "utf-8": "−0.0136 ± 2 · “ü” ☃ \\udc80",
    }[encoding]
    assert done.stdout.decode(encoding).rstrip() == expected
    assert done.stderr == done.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_commands_end_well_whatever_the_console_can_show(tmp_path, variables):
    text = TINY_SUITE.replace("a tiny study", "−1 ± ☃")
    (tmp_path / "tiny.yaml").write_text(text, encoding="utf-8")
    done = run("suites", "show", "tiny.yaml", cwd=tmp_path, variables=variables)
    assert done.returncode == 0, done.stderr
    # Click itself writes UTF-8 where a console claims to know ASCII alone.
    assert b"-1 " in done.stdout or "−1 ± ☃".encode() in done.stdout
    failed = run("suites", "check", "−☃.yaml", cwd=tmp_path, variables=variables)
    assert failed.returncode == 2
    assert b"no such suite file" in failed.stderr
    assert b"Traceback" not in failed.stderr


def test_every_text_file_and_pipe_is_opened_with_its_encoding():
    wrong = []
    for file in sorted([*PACKAGE.rglob("*.py"), *ROOT.glob("benchmarks/**/*.py")]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and lacks_encoding(node):
                wrong.append(f"{file.name}:{node.lineno}")
    assert wrong == []


def lacks_encoding(call: ast.Call) -> bool:
    function = call.func
    name = function.id if isinstance(function, ast.Name) else None
    attribute = function.attr if isinstance(function, ast.Attribute) else None
    keywords = {keyword.arg for keyword in call.keywords}
    if "encoding" in keywords or None in keywords:
        return False
    if attribute in ("read_text", "write_text"):
        return not (attribute == "read_text" and call.args)
    if name == "open":
        modes = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "mode")]
        texts = [m.value for m in modes if isinstance(m, ast.Constant)]
        return not any("b" in text for text in texts)
    is_process = attribute in ("run", "Popen", "check_call", "check_output")
    return is_process and bool({"text", "universal_newlines"} & keywords)


# The environment


def test_settle_unsets_what_is_empty_and_sets_what_is_listed():
    empty = (
        *("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI"),
        *("LSTM_BENCH_THREADS", "LSTM_BENCH_CACHE", "LSTM_BENCH_DATA"),
        *("KERAS_BACKEND", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "XDG_CACHE_HOME"),
    )
    kept = {"CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "none_such", "TF_X": "1"}
    code = (
        "import os\nfrom lstm_bench.system.startup import settle\nsettle()\n"
        "import json\nprint(json.dumps(dict(os.environ)))"
    )
    found = json.loads(python(code, {**dict.fromkeys(empty, ""), **kept}).stdout)
    assert not set(empty) & set(found)
    assert found["CUDA_VISIBLE_DEVICES"] == ""
    assert found["TF_X"] == "1"
    assert {name: found[name] for name in startup.SET} == startup.SET


def test_the_environment_records_what_may_change_a_result(monkeypatch):
    for name in list(os.environ):
        if startup.is_listed(name, startup.RECORDED):
            monkeypatch.delenv(name)
    assert ambient_settings() == {}
    recorded = {
        "KERAS_NNX_ENABLED": "1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_DETERMINISTIC_OPS": "1",
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
        "OMP_NUM_THREADS": "3",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Haswell",
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONHASHSEED": "5",
    }
    other = {
        "KERAS_HOME": "/home/somebody/keras",
        "PYTHONHASHSEED_X": "1",
        "AWS_SECRET_ACCESS_KEY": "no",
    }
    for name, value in {**recorded, **other}.items():
        monkeypatch.setenv(name, value)
    assert describe_environment()["settings"] == recorded


def test_settings_show_no_path_and_no_password(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--dump_to=/home/somebody/x --a=1")
    monkeypatch.setenv("TF_CONFIG", "http://me:secret@host")
    settings = ambient_settings()
    assert settings["XLA_FLAGS"] == "--dump_to=PATH --a=1"
    assert "secret" not in settings["TF_CONFIG"]


def test_settings_say_that_python_leaves_out_asserts():
    code = (
        "from lstm_bench.system.environment import ambient_settings as f\n"
        "print(f().get('PYTHONOPTIMIZE'))"
    )
    assert python(code, {}, "-O").stdout.strip() == b"1"
    assert python(code, {"PYTHONOPTIMIZE": "2"}).stdout.strip() == b"2"
    assert python(code, {"PYTHONOPTIMIZE": ""}).stdout.strip() == b"None"


def test_figures_are_the_same_whatever_matplotlibrc_says(tmp_path):
    rc = tmp_path / "matplotlibrc"
    rc.write_text(
        "figure.dpi: 30\nlines.linewidth: 9\nfont.size: 30\naxes.facecolor: red\n"
        "axes.formatter.use_locale: True\nsavefig.pad_inches: 3\n"
    )
    code = (
        "from lstm_bench.report.figures.curves import Curve, plot_curves\n"
        "from lstm_bench.report.figures.style import figure_svg\n"
        "curve = Curve('a', 'a', 'black', [1, 2], [0.001, 20000])\n"
        "print(figure_svg(plot_curves([curve], 'y')))"
    )
    one = python(code, {"MATPLOTLIBRC": str(rc)}).stdout
    assert b"<svg" in one
    assert one == python(code).stdout


# Nobody's home


def strangers_command(*command: str) -> list[str]:
    """Return `command` as a user without a name, who may read what root may."""
    powers = "+dac_override,+dac_read_search"
    return [
        *("setpriv", "--reuid", "54321", "--clear-groups"),
        *("--inh-caps", powers, "--ambient-caps", powers, *command),
    ]


def can_be_a_stranger() -> bool:
    if os.name != "posix" or os.getuid() != 0 or shutil.which("setpriv") is None:
        return False
    command = strangers_command(sys.executable, "-c", "")
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def everybodys_folder() -> Iterator[Path]:
    """A folder that everybody may write to, as they may not below pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


HOME_OF = """
import os, sys
from lstm_bench.errors import LstmBenchError
from lstm_bench.system.startup import settle
try:
    settle()
    print(os.environ["HOME"])
except LstmBenchError as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(not can_be_a_stranger(), reason="needs root and setpriv")
def test_a_user_without_name_and_home_gets_a_folder_that_is_named(everybodys_folder):
    (everybodys_folder / "tiny.yaml").write_text(TINY_SUITE)
    temporary = everybodys_folder
    folder = temporary / "lstm-bench-home-54321"
    variables = {**os.environ, "TMPDIR": str(temporary)}
    for name in ("LSTM_BENCH_CACHE", "USER", "LOGNAME", "LNAME", "USERNAME", "HOME"):
        variables.pop(name, None)

    def call(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            strangers_command(*command),
            env={**variables, **more},
            cwd=everybodys_folder,
            capture_output=True,
            encoding="utf-8",
        )

    for more in ({}, {"HOME": ""}, {"HOME": "/proc"}, {"HOME": "/proc/nonexistent"}):
        done = call(sys.executable, "-c", HOME_OF, **more)
        assert done.stdout == f"{folder}\n", done.stderr
        assert f"{folder} serves as the home directory" in done.stderr
    # It loads MLflow, which asks for the home directory when it is imported.
    done = call(
        str(Path(sys.executable).with_name("lstm-bench")), "report", "tiny.yaml"
    )
    assert done.returncode == 2, done.stderr
    assert "lstm-bench sweep" in done.stderr and "Traceback" not in done.stderr
    # One that somebody else has made first is not trusted.
    folder.rename(temporary / "away")
    folder.mkdir()
    done = call(sys.executable, "-c", HOME_OF)
    assert "belongs to another user; set HOME" in done.stderr


# The whole of it


@pytest.mark.slow
def test_a_hostile_place_gives_the_results_of_a_plain_one(tmp_path):
    """A worker among empty modules, with a keras.json, on an ASCII console."""
    text = TINY_SUITE.replace("units: [2, 3, 4]", "units: [2]").replace(
        "n_trials: 3", "sampler: grid, n_trials: 2"
    )
    plain, hostile = tmp_path / "plain", tmp_path / "−hostile"
    for folder in (plain, hostile):
        folder.mkdir()
        (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    for name in MODULES:
        (hostile / f"{name}.py").touch()
    (hostile / "matplotlibrc").write_text("font.size: nonsense\nbackend: none_such\n")
    keras_home = tmp_path / "keras"
    keras_home.mkdir()
    settings = {"floatx": "float16", "epsilon": 0.001, "backend": "jax"}
    (keras_home / "keras.json").write_text(
        json.dumps({**settings, "image_data_format": "channels_first"})
    )
    variables = {
        "KERAS_HOME": str(keras_home),
        "PYTHONIOENCODING": "ascii",
        "MPLBACKEND": "module://none_such",
        **dict.fromkeys(("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"), ""),
        **dict.fromkeys(("MLFLOW_TRACKING_URI", "LSTM_BENCH_THREADS"), ""),
    }
    arguments = ("sweep", "tiny.yaml", "--workers", "1")
    # Without it TensorFlow decides by the processor, and results differ by some 1e-9.
    given = {"TF_ENABLE_ONEDNN_OPTS": "1"}
    for folder, more in ((plain, given), (hostile, {**variables, **given})):
        done = run(*arguments, cwd=folder, variables=more)
        assert done.returncode == 0, done.stderr.decode()
        assert b"died" not in done.stdout
    assert scores(plain) == scores(hostile)
    (recorded,) = {
        json.loads(file.read_text(encoding="utf-8"))["settings"].get(
            "TF_ENABLE_ONEDNN_OPTS"
        )
        for file in hostile.glob("mlruns/**/environment.json")
    }
    assert recorded == "1"


def scores(folder: Path) -> dict[str, list[dict[str, float]]]:
    """Return each configuration's curve without its times."""
    found = {}
    for file in folder.glob("mlruns/**/curves.json"):
        config = file.with_name("config.json").read_text(encoding="utf-8")
        epochs = json.loads(file.read_text(encoding="utf-8"))["epochs"]
        found[config] = [
            {k: v for k, v in epoch.items() if k.startswith(("train_", "val_"))}
            for epoch in epochs
        ]
    assert len(found) == 2
    return found
