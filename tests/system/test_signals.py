from __future__ import annotations

import signal
import threading

import pytest

from lstm_bench.system.signals import PATIENCE, SIGNALS, stopping_after_the_epoch


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_waits_for_the_epoch_and_the_second_does_not(number):
    before = [signal.getsignal(n) for n in SIGNALS]
    said = []
    with stopping_after_the_epoch(said.append) as stop:
        stop.epoch_has_ended()
        signal.raise_signal(number)
        assert said == [PATIENCE]
        assert stop.is_asked
        with pytest.raises(KeyboardInterrupt):
            stop.epoch_has_ended()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert [signal.getsignal(n) for n in SIGNALS] == before


def test_handlers_come_back_after_an_error():
    before = [signal.getsignal(n) for n in SIGNALS]
    with pytest.raises(RuntimeError), stopping_after_the_epoch(print):
        raise RuntimeError
    assert [signal.getsignal(n) for n in SIGNALS] == before


def test_another_thread_is_left_alone():
    found = []

    def work():
        with stopping_after_the_epoch(print) as stop:
            stop.epoch_has_ended()
            found.append(stop.is_asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_a_hangup_stays_ignored_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_after_the_epoch(print) as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_asked
    finally:
        signal.signal(signal.SIGHUP, before)
