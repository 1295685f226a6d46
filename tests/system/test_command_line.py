"""Printed commands run as they are copied."""

from __future__ import annotations

import shlex

import pytest
from commands import parsed

from lstm_bench.system.command_line import command_line

SUITE = "my suites/it's one.yaml"
GIVEN = {
    "--data-dir": "/data/all of it",
    "--tracking-uri": "sqlite:///here & there.db",
    "--storage": "postgresql://me@host/trials?sslmode=require",
    "--out": "reports/$(echo 1)",
    "--workers": "3",
    "--trials": "4",
}


@pytest.mark.parametrize("name", ["confirm", "report", "train", "doctor"])
def test_command_line_has_the_options_that_were_given(name):
    given = shlex.join(
        ["lstm-bench", "sweep", SUITE, *(w for pair in GIVEN.items() for w in pair)]
    )
    running = parsed(given)
    with running:
        line = command_line(name, SUITE)
    printed = parsed(line)
    shared = running.params.keys() & printed.params.keys()
    assert "tracking_uri" in shared
    for key in shared - {"suite", "names"}:
        assert printed.params[key] == running.params[key]
    assert printed.params.get("suite", SUITE) == SUITE


def test_command_line_has_no_option_that_was_not_given():
    with parsed("lstm-bench sweep quick"):
        assert command_line("confirm", "quick") == "lstm-bench confirm quick"


def test_command_line_takes_an_address_that_was_not_given():
    uri = "http://me:S3cret@host:5000"
    line = "lstm-bench sync --tracking-uri http://me@host:5000"
    assert command_line("sync", tracking_uri=uri) == line
    with parsed("lstm-bench sweep quick --tracking-uri http://other"):
        assert command_line("sync", tracking_uri=uri) == line
