import os

from trials import killed, store_in

from lstm_bench.search.trials import MAX_DEATHS, RUN_ID
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
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


def test_a_training_whose_processes_died_too_often_is_failed(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", tiny_suite.study_name)
    prepared = prepare(tiny_suite, None)
    for n_deaths in range(1, MAX_DEATHS + 1):
        step = killed(store)
        run_id = tracker.start_run(
            step.config,
            suite=tiny_suite,
            kind="trial",
            parent_run_id=None,
            dataset=prepared.about_data,
            environment=prepared.about_machine,
            seeds=prepared.seeds,
            trial=step.trial.number,
        )
        step.trial.set_user_attr(RUN_ID, run_id)
        assert recover(store, tracker, {}, Death("its worker died: SIGKILL")) == 1
        run = tracker.client.get_run(run_id)
        is_last = n_deaths == MAX_DEATHS
        assert run.info.status == ("FAILED" if is_last else "KILLED")
    reason = f"its worker died: SIGKILL, {MAX_DEATHS} times"
    assert run.data.tags[rec.TAG_FAILURE] == reason
    assert [t.state.name for t in store.search.finished()] == ["FAIL"]
    assert store.orphans() == []
