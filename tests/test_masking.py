"""No password reaches what a command prints, writes or shows in the process list."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time

import psutil
import pytest
from commands import run
from conftest import ROOT, TINY_SUITE
from mlflow import MlflowClient
from mlflow_server import MlflowServer, free_port
from processes import holding, listening

from lstm_bench.errors import LstmBenchError, TrackingError
from lstm_bench.masking import (
    bare_url,
    known_secrets,
    mask_text,
    mask_url,
    printable,
)
from lstm_bench.stores import check_address
from lstm_bench.system.console import LastingConsole

PASSWORD = "S3cretPw-x91"


@pytest.mark.parametrize(
    ("url", "masked", "bare"),
    [
        ("sqlite:////a/b.db", "sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("http://h:5000", "http://h:5000", "http://h:5000"),
        (
            "postgresql://u:pw@h:1/db",
            "postgresql://u:***@h:1/db",
            "postgresql://h:1/db",
        ),
        ("http://:pw@h/x?y=1", "http://:***@h/x?y=1", "http://h/x"),
        ("http://h/?token=pw&y=1", "http://h/?token=***&y=1", "http://h/"),
        ("pg://h/d?user=u&password=pw", "pg://h/d?user=u&password=***", "pg://h/d"),
        ("pg://u:p@/#? w@h/d", "pg://u:***@h/d", "pg://u:***@h/d"),
        ("a@pg://u:pw@h/d", "a@pg://u:***@h/d", "a@pg://u:***@h/d"),
    ],
)
def test_mask_url_keeps_the_user_and_hides_the_password(url, masked, bare):
    assert mask_url(url) == masked
    assert bare_url(url) == bare


def test_mask_text_hides_passwords_of_addresses_and_known_secrets(monkeypatch):
    assert mask_text("no 'http://u:p1@h/x', nor pg://v:p2@h", ()) == (
        "no 'http://u:***@h/x', nor pg://v:***@h"
    )
    text = "expected sqlite:///FILE.db or http://HOST:PORT, got 'a@b'; token = 3"
    assert mask_text(text, ()) == text
    monkeypatch.setenv("LSTM_BENCH_STORAGE", "pg://u:a%40b%2Fc@h/d")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://u:xyz@h")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "pass word")
    # Three letters alone would stand in many a word.
    assert {"a%40b%2Fc", "a@b/c", "pass word", "pass%20word"} <= set(known_secrets())
    assert "xyz" not in known_secrets()
    assert mask_text("a@b/c a%40b%2Fc pass word pass%20word xyz") == (
        "*** *** *** *** xyz"
    )
    assert str(LstmBenchError("bad port 'a@b/c'")) == "bad port '***'"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{PASSWORD}@{PASSWORD}@h/db",
        f"http://u:12/{PASSWORD}@h",
        f"http://u:{PASSWORD}#1@h",
        f"http://u:[{PASSWORD}@h",
        f"sqlite:///x.db?password={PASSWORD}",
        f"http://u:{PASSWORD}@h:port",
    ],
)
def test_check_address_refuses_what_readers_read_differently(url):
    with pytest.raises(TrackingError) as error:
        check_address(url, "--storage")
    assert PASSWORD not in str(error.value)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lstm_bench", *arguments]


def environment(**more: str) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    own.pop("LSTM_BENCH_STORAGE", None)
    return own | {"MLFLOW_DISABLE_TELEMETRY": "true", **more}


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--storage", "postgresql://u:PW@127.0.0.1:9/d"], {}),
        (["--storage=postgresql://u:PW@127.0.0.1:9/d"], {}),
        (["--storage", "sqlite:///o.db?password=PW"], {}),
        (["--tracking-uri", "http://u:PW@127.0.0.1:9"], {}),
        (["--tracking-uri", "http://127.0.0.1:9/?token=PW"], {}),
        (["--tracking-uri", "what://u:PW@h/d"], {}),
        (["--trials", "http://u:PW@h"], {}),
        (["tiny@postgresql://u:PW@/x@127.0.0.1:9/d"], {}),
        (["--storage", "pg://u:PW@h/d"], {"MLFLOW_RUN_ID": "the-run"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_password_on_the_command_line_is_refused(
    tmp_path, monkeypatch, capfd, arguments, variables
):
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    arguments = [argument.replace("PW", PASSWORD) for argument in arguments]
    assert run("sweep", "tiny.yaml", *arguments) == 2
    said = capfd.readouterr()
    for name in (
        *("LSTM_BENCH_STORAGE", "MLFLOW_TRACKING_URI", "~/.pgpass"),
        *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
        *variables.values(),
    ):
        assert name in said.err
    assert PASSWORD not in said.out + said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["sweep", "tiny.yaml"], {"LSTM_BENCH_STORAGE": "postgresql://u:PW@h:9/d"}),
        (["sweep", "tiny.yaml"], {"LSTM_BENCH_STORAGE": "pg://u:PW@h/d"}),
        (["sweep", "tiny.yaml"], {"LSTM_BENCH_STORAGE": "sqlite:///o.db?password=PW"}),
        (["sweep", "tiny.yaml"], {"MLFLOW_TRACKING_URI": "http://u:PW@127.0.0.1:9"}),
        (["sweep", "tiny.yaml"], {"MLFLOW_TRACKING_URI": "file:///u?token=PW"}),
        (["sweep", "tiny.yaml"], {"MLFLOW_TRACKING_URI": "what://u:PW@h/d"}),
        (["sweep", "tiny.yaml"], {"MLFLOW_TRACKING_URI": "http://u:PW@h:x"}),
        (["report", "tiny"], {"MLFLOW_TRACKING_URI": "postgresql://u:PW@/x@h:9/d"}),
        (["ui"], {"MLFLOW_TRACKING_URI": "http://u:PW@127.0.0.1:9"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_errors_print_and_leave_no_password(
    tmp_path, monkeypatch, capfd, arguments, variables
):
    (tmp_path / "tiny.yaml").write_text(TINY_SUITE)
    monkeypatch.chdir(tmp_path)
    for name in ("LSTM_BENCH_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("PW", PASSWORD))
    assert run(*arguments) == 2
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    assert PASSWORD not in said.out + said.err
    assert holding(tmp_path, PASSWORD) == []


DEFECT = """
import logging, os, warnings
from lstm_bench.cli import main as cli
from lstm_bench.suites import suite
def broken(*a, **k):
    url = os.environ["LSTM_BENCH_STORAGE"]
    logging.getLogger("x").error("retrying %s", url)
    warnings.warn(url)
    raise ZeroDivisionError("at " + url.partition("u:")[2].partition("@")[0])
suite.load_suite = broken
cli.main()
"""


def test_masked_output_hides_passwords_in_tracebacks_logs_and_warnings(tmp_path):
    url = f"pg://u:{PASSWORD}@h/d"
    done = subprocess.run(
        [sys.executable, "-c", DEFECT, "sweep", "x"],
        cwd=tmp_path,
        env=environment(LSTM_BENCH_STORAGE=url),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "ZeroDivisionError: at ***" in done.stderr
    assert "retrying pg://u:***@h/d" in done.stderr
    assert "UserWarning" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def titles() -> str:
    """Return the command lines of this process's children, theirs included."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            found += process.cmdline()
        except psutil.Error:
            continue
    return "\n".join(found)


class Titles(threading.Thread):
    """Watches the command lines of all children, a moment after they start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.2):
            self.seen.append(titles())


@pytest.mark.slow
def test_sweep_leaves_the_password_nowhere(tmp_path, monkeypatch, capfd):
    server_folder, folder = tmp_path / "server", tmp_path / "here"
    server_folder.mkdir()
    folder.mkdir()
    (folder / "tiny.yaml").write_text(TINY_SUITE)
    server = MlflowServer(server_folder)
    watch = Titles()
    said = ""
    try:
        server.start()
        # MLflow's server passes over a login that nobody asked for.
        url = f"http://user:{PASSWORD}@127.0.0.1:{server.port}"
        sweeping = subprocess.Popen(
            command("sweep", "tiny.yaml", "--trials", "1"),
            cwd=folder,
            env=environment(MLFLOW_TRACKING_URI=url),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watch.start()
        said += sweeping.communicate()[0]
        assert sweeping.returncode == 0, said
        monkeypatch.chdir(folder)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        for arguments in (("report", "tiny.yaml"), ("ui",)):
            assert run(*arguments) == 0
            said += "".join(capfd.readouterr())
    finally:
        watch.stopped.set()
        server.stop()
    assert PASSWORD not in said
    assert any("sweep" in seen for seen in watch.seen)
    assert not any(PASSWORD in seen for seen in watch.seen)
    assert {"server.db", "artifacts"} <= {p.name for p in server_folder.iterdir()}
    assert holding(tmp_path, PASSWORD) == []
    page = (folder / "reports" / "tiny" / "index.html").read_text()
    assert f"{server.uri}/#/experiments/" in page


def test_ui_knows_which_hosts_are_open_to_others(tmp_path, capfd):
    from lstm_bench.ui import check_free, is_this_machine_alone

    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
        assert is_this_machine_alone(host)
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        assert not is_this_machine_alone(host)
    with pytest.raises(TrackingError, match="--host: expected an address of this"):
        check_free("192.0.2.1", free_port())


@pytest.mark.slow
def test_ui_warns_where_others_can_reach_it(tmp_path):
    port = free_port()
    store = f"sqlite:///{tmp_path}/mlflow.db"
    MlflowClient(store).create_experiment("one")
    said_file = tmp_path / "said"
    with said_file.open("wb") as out:
        process = subprocess.Popen(
            command("ui", "--port", str(port), "--host", "0.0.0.0"),
            stdout=out,
            env=environment(MLFLOW_TRACKING_URI=store, PYTHONUNBUFFERED="1"),
        )
    try:
        for _ in range(600):
            said = said_file.read_text()
            if "Ctrl-C" in said or process.poll() is not None:
                break
            time.sleep(0.2)
        assert listening(process.pid, port) == {"0.0.0.0"}
        # The store's address, which may hold a password, is no argument.
        for child in psutil.Process(process.pid).children(recursive=True):
            assert store not in child.cmdline()
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert "no authentication by default" in said
    assert "--app-name basic-auth" in said


def test_printable_escapes_what_controls_a_terminal():
    text = "\x1b[31mred\x9b \r \ud800 \u202e and\ttab\nline é"
    assert printable(text) == ("\\x1b[31mred\\x9b \\r \\ud800 \\u202e and\ttab\nline é")


def test_mask_text_is_fast_on_a_long_text():
    # With a scheme of any length this took a minute.
    text = "x" * 100_000 + "sqlite://user:pass-word@host"
    start = time.process_time()
    assert mask_text(text).endswith("sqlite://user:***@host")
    assert time.process_time() - start < 10


def test_printable_is_applied_to_all_that_commands_print():
    shown = io.StringIO()
    LastingConsole(file=shown).print("\x1b[31mred", markup=False)
    assert shown.getvalue() == "\\x1b[31mred\n"
    package = ROOT / "lstm_bench"
    prints = [p.name for p in package.rglob("*.py") if "click.echo(" in p.read_text()]
    assert prints == ["output.py"]
    assert (package / "cli" / "output.py").read_text().count("click.echo(") == 1
