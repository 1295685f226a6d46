"""What a study asks for next, on a real sqlite storage and without training."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from optuna.trial import TrialState
from trials import killed, store_in

from lstm_bench.errors import TrackingError
from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import CONFIG_ID, RUN_ID
from lstm_bench.stores import create_whole
from lstm_bench.suites.suite import load_suite


def score(config_id: str) -> float:
    """Return a made-up accuracy that depends on the configuration alone."""
    return zlib.crc32(config_id.encode()) / 2**32


def play(store: StudyStore, n: int, state: str = "complete") -> list[str]:
    """Do `n` trials at most; return the configurations in order."""
    asked = []
    for _ in range(n):
        step = store.next_trial()
        if step is None:
            break
        step.trial.set_user_attr(RUN_ID, f"run-{step.config.config_id}")
        step.trial.report(score(step.config.config_id), 1)
        step.owned.tell(step.trial, state, score(step.config.config_id))
        asked.append(step.config.config_id)
    return asked


SAMPLERS = ("tpe", "random", "grid")


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("state", ["complete", "pruned", "failed"])
def test_every_configuration_is_asked_for_once_and_then_no_more(
    sampler, state, write_suite, tmp_path
):
    suite = load_suite(write_suite({"seed: 7": f"seed: 7, sampler: {sampler}"}))
    store = store_in(tmp_path, suite)
    asked = play(store, 20, state)
    assert len(asked) == len(set(asked)) == 6
    assert len(store.finished()) == 6
    assert store.next_trial() is None


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_study_asks_what_an_undisturbed_one_asks(
    sampler, write_suite, tmp_path
):
    suite = load_suite(
        write_suite(
            {
                "seed: 7": f"seed: 7, sampler: {sampler}",
                "units: [2, 3, 4]": "units: {low: 1, high: 40}",
            }
        )
    )
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = play(store_in(tmp_path / "whole", suite), 8)
    asked = play(store_in(tmp_path / "parts", suite), 3)
    interrupted = store_in(tmp_path / "parts", suite)
    step = interrupted.next_trial()
    step.owned.give_up(step.trial)
    asked += play(store_in(tmp_path / "parts", suite), 5)
    assert asked == whole


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_stepped_axis_gives_each_number_once_and_stays_in_range(
    sampler, write_suite, tmp_path
):
    text = write_suite(
        {
            "seed: 7": f"seed: 7, sampler: {sampler}",
            "units: [2, 3, 4]": "dropout: {low: 0.1, high: 0.3, step: 0.1}",
            "  head: [sigmoid, softmax]": "",
        }
    ).read_text()
    text += "references: {a: {dropout: 0.3}, b: {dropout: 0.30000000000000004}}"
    store = store_in(tmp_path, load_suite(write_suite(text=text)))
    shares = []
    while (step := store.next_trial()) is not None and len(shares) < 9:
        step.trial.set_user_attr(RUN_ID, "run")
        step.owned.tell(step.trial, "complete", 0.5)
        shares.append(step.config.dropout)
    assert sorted(shares) == [0.1, 0.2, 0.3]
    given = [config.config_id for config in store.suite.references.values()]
    asked = store.suite.with_overrides(["dropout=0.30000000000000004"]).config_id
    assert given == [asked, asked]
    assert asked in {trial.user_attrs[CONFIG_ID] for trial in store.finished()}


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("dropout: {low: 0.0, high: 0.35, step: 0.1}", [0.0, 0.1, 0.2, 0.3]),
        ("dropout: {low: 0.2, high: 0.5, step: 1.0e+308}", [0.2]),
        ("units: {low: 1, high: 10, step: 4}", [1, 5, 9]),
    ],
)
def test_an_end_that_no_step_reaches_is_left_out_without_a_warning(
    axis, values, write_suite, tmp_path
):
    head = "  head: [sigmoid, softmax]"
    suite = load_suite(write_suite({"units: [2, 3, 4]": axis, head: ""}))
    field = axis.partition(":")[0]
    store = store_in(tmp_path, suite)
    asked = []
    while (step := store.next_trial()) is not None and len(asked) < 9:
        step.trial.set_user_attr(RUN_ID, "run")
        step.owned.tell(step.trial, "complete", 0.5)
        asked.append(getattr(step.config, field))
    assert sorted(asked) == values


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_pruner_takes_trainings_of_one_epoch(pruner, write_suite, tmp_path):
    changes = {
        "max_epochs: 2": "max_epochs: 1",
        "seed: 7": f"seed: 7, pruner: {pruner}",
    }
    store = store_in(tmp_path, load_suite(write_suite(changes)))
    assert len(play(store, 20)) == 6


def test_references_come_from_the_suite_and_are_done_once(write_suite, tmp_path):
    text = write_suite().read_text() + "references: {wide: {units: 60}, b: {units: 5}}"
    suite = load_suite(write_suite(text=text))
    store = store_in(tmp_path, suite)
    store.put_references()
    names = []
    while (step := store.next_reference()) is not None:
        names.append(step.reference)
        step.trial.set_user_attr(RUN_ID, f"run-{step.reference}")
        step.owned.tell(
            step.trial, "complete", 0.9 if step.reference == "wide" else 0.8
        )
    assert names == ["wide", "b"]
    assert store_in(tmp_path, suite).next_reference() is None
    assert store.best().label == "reference wide"
    assert store.run_ids() == {"run-wide", "run-b"}


def test_a_reference_inside_the_space_is_not_trained_again(write_suite, tmp_path):
    text = write_suite().read_text() + "references: {small: {units: 2}}"
    suite = load_suite(write_suite(text=text))
    store = store_in(tmp_path, suite)
    store.put_references()
    step = store.next_reference()
    step.trial.set_user_attr(RUN_ID, "run-small")
    step.owned.tell(step.trial, "complete", 0.9)
    asked = play(store, 20)
    assert step.config.config_id not in asked
    assert len(asked) == 5


def test_the_best_follows_the_metrics_direction(write_suite, tmp_path):
    suite = load_suite(write_suite({"metric: accuracy": "metric: log_loss"}))
    store = store_in(tmp_path, suite)
    asked = play(store, 4)
    assert store.best().value == min(score(config_id) for config_id in asked)


def test_of_equal_trainings_the_one_that_ended_first_is_the_best(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    steps = [store.next_trial() for _ in range(2)]
    for step in reversed(steps):
        step.trial.set_user_attr(RUN_ID, f"run-{step.trial.number}")
        step.owned.tell(step.trial, "complete", 0.75)
    assert store.best().run_id == f"run-{steps[1].trial.number}"


def test_a_trial_of_a_live_process_is_left_alone(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    step = store.next_trial()
    step.trial.set_user_attr(RUN_ID, "run-1")
    assert store_in(tmp_path, tiny_suite).orphans() == []
    states = [t.state for t in store.search.trials()]
    assert states == [TrialState.RUNNING]


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("complete", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
    ],
)
def test_a_trial_whose_run_had_ended_counts_and_is_not_repeated(
    tiny_suite, tmp_path, state, ended
):
    store = store_in(tmp_path, tiny_suite)
    step = killed(store)
    (orphan,) = store.orphans()
    assert orphan.run_id == "run-1"
    orphan.settle(state, 0.75 if state == "complete" else None)
    (trial,) = store.finished()
    assert (trial.state, trial.user_attrs[CONFIG_ID]) == (ended, step.config.config_id)
    assert store.next_trial().config != step.config


@pytest.mark.parametrize("state", [None, "interrupted", "running"])
def test_a_trial_that_was_killed_is_taken_up_with_its_parameters(
    tiny_suite, tmp_path, state
):
    store = store_in(tmp_path, tiny_suite)
    step = killed(store)
    store.orphans()[0].settle(state)
    assert store.finished() == store.orphans() == []
    assert store.next_trial().config == step.config
    assert store.next_trial().config != step.config


def test_a_trial_killed_before_it_had_a_mark_is_an_orphan(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    store.search.ask()
    # It is no trial of an undisturbed study: the next one is numbered without it.
    assert store._summary().n_asked == 0
    (orphan,) = store.orphans()
    orphan.settle(None)
    assert store.orphans() == []


def test_a_store_is_whole_or_not_there(tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"

    def killed_in_between(at):
        Path(at.removeprefix("sqlite:///")).write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_whole(url, killed_in_between)
    assert not (tmp_path / "x.db").exists()
    (tmp_path / ".x.db.999999999.new").write_bytes(b"of a process that is gone")
    (tmp_path / ".x.db.draft.new").write_bytes(b"of somebody else")
    create_whole(url, lambda at: Path(at.removeprefix("sqlite:///")).write_bytes(b"x"))
    assert (tmp_path / "x.db").read_bytes() == b"x"
    create_whole(url, killed_in_between)
    assert (tmp_path / "x.db").read_bytes() == b"x"
    assert {p.name for p in tmp_path.iterdir()} == {"x.db", ".x.db.draft.new"}


def test_other_data_is_refused(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    store.check_digest("a" * 64)
    store_in(tmp_path, tiny_suite).check_digest("a" * 64)
    with pytest.raises(TrackingError, match="begun on other data"):
        store.check_digest("b" * 64)
