"""How many threads the environment lets a process use."""

from __future__ import annotations

import threading

import pytest

from lstm_bench.errors import LstmBenchError
from lstm_bench.system.threads import (
    LENT_VARIABLE,
    VARIABLE,
    lend_threads,
    n_cores,
    n_kernel_threads,
    n_threads,
    thread_variables,
)


@pytest.mark.parametrize("value", ["0", "-3", "x", "1.5", "1025", str(2**31)])
def test_what_is_no_number_of_threads_is_refused(value, monkeypatch):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(LstmBenchError, match=f"{VARIABLE}: .* got '{value}'"):
        n_threads()


def test_a_long_number_of_threads_is_refused_in_a_short_message(monkeypatch):
    monkeypatch.setenv(VARIABLE, "9" * 5000)
    with pytest.raises(LstmBenchError, match="expected a whole number") as error:
        n_threads()
    assert len(str(error.value)) < 300


def test_threads_are_what_the_environment_says_else_all_cores(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert n_threads() == n_cores()
    monkeypatch.setenv(VARIABLE, thread_variables(3)[VARIABLE])
    assert n_threads() == 3


def test_threads_that_are_lent_are_the_kernel_s_alone(monkeypatch):
    monkeypatch.setenv(VARIABLE, "3")
    # Or what is lent below would stay so after the test.
    monkeypatch.setenv(LENT_VARIABLE, "0")
    assert n_kernel_threads() == 3
    lend_threads(2)
    assert (n_threads(), n_kernel_threads()) == (3, 5)
    lend_threads(0)
    assert n_kernel_threads() == 3


def test_a_team_takes_what_it_is_lent_and_gives_it_back():
    from lstm_bench.packed.team import Team

    n_threads = 1
    team = Team(lambda: n_threads)

    def at_once():
        """Return how many threads meet, each at a piece of work of its own."""
        barrier = threading.Barrier(n_threads)
        seen = set()

        def work():
            barrier.wait(timeout=60)
            seen.add(threading.get_ident())

        team.do([work] * n_threads)
        return len(seen)

    for n_threads in (1, 3, 2, 1):
        assert team.n_threads == at_once() == n_threads
