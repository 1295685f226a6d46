"""How many threads the environment lets a process use."""

from __future__ import annotations

import pytest

from lstm_bench.errors import LstmBenchError
from lstm_bench.threads import VARIABLE, n_cores, n_threads, thread_variables


@pytest.mark.parametrize("value", ["0", "-3", "x", "1.5", "1025", str(2**31)])
def test_what_is_no_number_of_threads_is_refused(value, monkeypatch):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(LstmBenchError, match=f"{VARIABLE}: .* got '{value}'"):
        n_threads()


def test_threads_are_what_the_environment_says_else_all_cores(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert n_threads() == n_cores()
    monkeypatch.setenv(VARIABLE, thread_variables(3)[VARIABLE])
    assert n_threads() == 3
