"""Which workers are replaced, with workers that only say how they ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lstm_bench.errors import LstmBenchError
from lstm_bench.workers import pool


class Seat:
    def __init__(self, number):
        self.number = number
        self.code = None
        self.errors = ["error: the store is locked"]

    def ended(self):
        return self.code

    def lines(self):
        return []

    def close(self):
        pass


class Crew(pool.ReplacingCrew):
    def _new(self, number):
        return Seat(number)

    def _what(self, place, code):
        return f"code {code}"

    def watched(self):
        return []

    def _died(self, place, reason):
        pass

    def _check(self, place):
        pass


@pytest.fixture
def crew(monkeypatch):
    """A crew of two workers, whose replacements begin at once."""
    monkeypatch.setattr(pool, "RETRY_S", 0.0)
    done = []
    store = SimpleNamespace(
        finished=lambda: done, confirm=SimpleNamespace(finished=lambda: [])
    )
    crew = Crew(store, None, SimpleNamespace(say=lambda line: None))
    for _ in range(2):
        crew._start()
    return crew, done


def give_up(crew, number):
    """Let a worker end because it cannot go on; return who is there then."""
    (seat,) = (seat for seat in crew.places if seat.number == number)
    seat.code = 2
    crew.look()
    return [seat.number for seat in crew.places]


def test_a_worker_that_gives_up_is_replaced_while_one_of_the_first_is_there(crew):
    crew, _ = crew
    assert give_up(crew, 2) == [1, 3]
    assert give_up(crew, 3) == [1, 4]


def test_workers_that_all_give_up_do_not_replace_each_other_without_end(crew):
    crew, _ = crew
    assert give_up(crew, 2) == [1, 3]
    with pytest.raises(LstmBenchError, match=r"^the store is locked$"):
        give_up(crew, 1)


def test_a_finished_training_makes_up_for_those_that_gave_up(crew):
    crew, done = crew
    assert give_up(crew, 2) == [1, 3]
    done.append("trial")
    assert give_up(crew, 1) == [3, 4]
