import os

from trials import killed, store_in

from lstm_bench.tracking.tracker import Tracker
from lstm_bench.workers.recovery import Death, recover

UNSEEN = Death("its worker was gone")


def test_what_a_watched_process_leaves_waits_until_its_death_is_told(
    tiny_suite, tmp_path
):
    store = store_in(tmp_path, tiny_suite)
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", tiny_suite.study_name)
    killed(store)
    watched = [os.getpid()]
    assert recover(store, tracker, {}, UNSEEN, watched) == 0
    assert len(store.orphans()) == 1
    deaths = {os.getpid(): Death("its worker died: SIGKILL")}
    assert recover(store, tracker, deaths, UNSEEN, watched) == 1
    assert store.orphans() == []


def test_what_an_unwatched_process_leaves_is_settled_at_once(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", tiny_suite.study_name)
    killed(store)
    assert recover(store, tracker, {}, UNSEEN, [os.getpid() + 1]) == 1
    assert store.orphans() == []
