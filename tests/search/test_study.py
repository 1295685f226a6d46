"""What a study asks for next, on a real sqlite storage and without training."""

from __future__ import annotations

import itertools
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState
from trials import store_in

from lstm_bench.errors import TrackingError
from lstm_bench.search.study import (
    CONFIG_ID,
    DUPLICATE_OF,
    FAILED,
    Next,
    Reference,
    StudyStore,
)
from lstm_bench.stores import create_whole
from lstm_bench.suites.suite import Suite, load_suite


def score(config_id: str) -> float:
    """Return a made-up accuracy that depends on the configuration alone."""
    return zlib.crc32(config_id.encode()) / 2**32


def tell(store: StudyStore, step: Next, state: str = "complete", value: float = 0.5):
    store.tell(step.trial, state, value, "its loss is not finite")


def play(store: StudyStore, n: int, state: str = "complete") -> list[str]:
    """Do `n` trials at most; return the configurations in order."""
    asked = []
    for _ in range(n):
        step = store.next_trial()
        if step is None:
            break
        value = score(step.config.config_id)
        step.trial.report(value, 1)
        tell(store, step, state, value)
        asked.append(step.config.config_id)
    return asked


def repeats(store: StudyStore) -> list[FrozenTrial]:
    return [trial for trial in store.trials() if DUPLICATE_OF in trial.user_attrs]


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
    interrupted.requeue(interrupted.next_trial().trial)
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
        tell(store, step)
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
        tell(store, step)
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


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("value", "state"), [(0.9, TrialState.COMPLETE), (None, TrialState.FAIL)]
)
def test_a_reference_inside_the_space_is_not_trained_again(
    sampler, value, state, write_suite, tmp_path
):
    text = write_suite({"seed: 7": f"seed: 7, sampler: {sampler}"}).read_text()
    suite = load_suite(write_suite(text=text + "references: {small: {units: 2}}"))
    store = store_in(tmp_path, suite)
    config_id = suite.references["small"].config_id
    store.references["small"] = Reference("reference small", config_id, value)
    said = []
    for _ in range(5):
        tell(store, store.next_trial(on_repeat=lambda *names: said.append(names)))
    assert store.next_trial() is None and store.is_exhausted()
    assert config_id not in {t.user_attrs[CONFIG_ID] for t in store.finished()}
    # A suggestion that repeats it gets its result, from which the sampler learns.
    repeating = [
        trial
        for trial in repeats(store)
        if trial.user_attrs[DUPLICATE_OF] == "reference small"
    ]
    assert {(t.state, t.value) for t in repeating} <= {(state, value)}
    assert bool(repeating) == (sampler != "grid")
    for trial in repeating:
        assert (f"trial {trial.number}", "reference small") in said


def test_a_repeat_of_a_finished_trial_gets_its_value(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    play(store, 6)
    values = {(t.params["units"], t.params["head"]): t.value for t in store.finished()}
    assert repeats(store)
    for trial in repeats(store):
        key = trial.params["units"], trial.params["head"]
        assert (trial.state, trial.value) == (TrialState.COMPLETE, values[key])


def test_a_repeat_of_a_running_trial_is_closed_without_a_value(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    steps = [store.next_trial() for _ in range(6)]
    assert len({step.config.config_id for step in steps}) == 6
    assert store.next_trial() is None and store.is_exhausted()
    assert repeats(store)
    assert {trial.state for trial in repeats(store)} == {TrialState.FAIL}
    assert store.finished() == []


def test_running_trials_count_among_those_asked_for(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    first, second = (store.next_trial(n_trials=2) for _ in range(2))
    assert store.next_trial(n_trials=2) is None
    tell(store, first)
    assert store.next_trial(n_trials=2) is None
    store.requeue(second.trial)
    assert store.next_trial(n_trials=2).config == second.config


def test_the_best_follows_the_metrics_direction(write_suite, tmp_path):
    suite = load_suite(write_suite({"metric: accuracy": "metric: log_loss"}))
    store = store_in(tmp_path, suite)
    asked = play(store, 4)
    assert store.best().value == min(score(config_id) for config_id in asked)
    store.references["a"] = Reference("reference a", "0" * 12, -1.0)
    store.references["b"] = Reference("reference b", "1" * 12, None)
    assert store.best().label == "reference a"
    assert store.n_finished() == 6


def test_of_equal_trainings_the_first_is_the_best(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    steps = [store.next_trial() for _ in range(2)]
    for step in reversed(steps):
        tell(store, step, value=0.75)
    assert store.best().label == steps[0].label
    store.references["a"] = Reference("reference a", "0" * 12, 0.75)
    assert store.best().label == "reference a"


def test_a_training_that_failed_counts_and_an_interrupted_one_does_not(
    tiny_suite, tmp_path
):
    store = store_in(tmp_path, tiny_suite)
    failed, interrupted = store.next_trial(), store.next_trial()
    store.tell(failed.trial, "failed", None, "no answer from http://me:pw-1@host/")
    store.requeue(interrupted.trial)
    again = store_in(tmp_path, tiny_suite)
    assert [trial.state for trial in again.trials()[:2]] == [TrialState.FAIL] * 2
    assert [trial.number for trial in again.finished()] == [failed.trial.number]
    assert again.best() is None
    reason = again.study.user_attrs[f"{FAILED}{failed.trial.number}"]
    assert reason.startswith("no answer") and "pw-1" not in reason
    assert again.next_trial().config == interrupted.config
    assert again.next_trial().config not in (failed.config, interrupted.config)


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("complete", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
    ],
)
def test_a_trial_can_be_told_by_its_number_how_it_ended(
    tiny_suite, tmp_path, state, ended
):
    step = store_in(tmp_path, tiny_suite).next_trial()
    store = store_in(tmp_path, tiny_suite)
    (left,) = store.running()
    store.tell(left.number, state, 0.75 if state == "complete" else None, None)
    (trial,) = store.finished()
    assert (trial.state, trial.user_attrs[CONFIG_ID]) == (ended, step.config.config_id)
    assert store.running() == []
    assert store.next_trial().config != step.config


# A command that is killed


class Killed(BaseException):
    """What ends a process between two writes."""


WRITES = (
    "create_new_trial",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "set_trial_intermediate_value",
    "set_study_user_attr",
    "set_study_system_attr",
)


@contextmanager
def killed_after(n_writes: int) -> Iterator[None]:
    """Let the storage take `n_writes` writes and no more."""
    left = itertools.count(n_writes, -1)

    def limited(write):
        def write_or_die(*arguments, **more):
            if next(left) <= 0:
                raise Killed
            return write(*arguments, **more)

        return write_or_die

    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            write = getattr(_CachedStorage, name)
            patch.setattr(_CachedStorage, name, limited(write))
        yield


def go_on(store: StudyStore, n: int, ended: dict[int, float]) -> None:
    """Do what a command does: close what was left, then trials until `n` are done.

    Parameters
    ----------
    ended : dict
        Values of trials whose runs have ended, by number: kept before a trial is told.
    """
    for trial in store.running():
        if trial.number in ended:
            store.tell(trial.number, "complete", ended[trial.number], None)
        else:
            store.requeue(trial)
    while (step := store.next_trial(n)) is not None:
        ended[step.trial.number] = score(step.config.config_id)
        tell(store, step, value=ended[step.trial.number])


def configs(store: StudyStore) -> list[str]:
    return [trial.user_attrs[CONFIG_ID] for trial in store.finished()]


def play_killed(folder: Path, suite: Suite, n: int, n_writes: int) -> StudyStore | None:
    """Let a command be killed and the next one go on; None if it ended before."""
    is_killed, ended = False, {}
    store = store_in(folder, suite)
    with killed_after(n_writes):
        try:
            go_on(store, n, ended)
        except Killed:
            is_killed = True
    store.close()
    if not is_killed:
        return None
    store = store_in(folder, suite)
    go_on(store, n, ended)
    assert store.running() == []
    return store


# In the space of four, suggestions repeat, and are closed in several writes: the next
# ones are not always the same, but each configuration is tried once.
@pytest.mark.parametrize(
    ("sampler", "units", "n"),
    [
        ("tpe", "{low: 1, high: 40}", 3),
        ("grid", "{low: 1, high: 40}", 3),
        ("tpe", "[2, 3]", 4),
    ],
)
def test_a_search_killed_between_any_two_writes_goes_on_as_if_it_had_not_been(
    sampler, units, n, write_suite, tmp_path
):
    suite = load_suite(
        write_suite(
            {
                "n_startup_trials: 2, seed: 7": f"n_startup_trials: 1, seed: 7, "
                f"sampler: {sampler}",
                "units: [2, 3, 4]": f"units: {units}",
            }
        )
    )
    empty, database = tmp_path / "empty.db", tmp_path / "optuna.db"
    store_in(tmp_path, suite).close()
    shutil.copy(database, empty)
    store = store_in(tmp_path, suite)
    go_on(store, n, {})
    whole = configs(store)
    store.close()
    for n_writes in itertools.count():
        shutil.copy(empty, database)
        killed = play_killed(tmp_path, suite, n, n_writes)
        if killed is None:
            break
        if n == 4:
            assert sorted(configs(killed)) == sorted(whole), n_writes
        else:
            assert configs(killed) == whole, n_writes
        killed.close()
    assert len(set(whole)) == n and n_writes >= 5 * n


def test_requeue_that_was_killed_in_between_queues_a_trial_once(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    step = store.next_trial()
    with killed_after(1), pytest.raises(Killed):
        store.requeue(step.trial)
    (left,) = store.running()
    store.requeue(left)
    assert store.running() == []
    assert store.next_trial().config == step.config
    assert store.next_trial().config != step.config
    assert repeats(store) == []


# The storage


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
    store.check_data("a" * 64)
    store_in(tmp_path, tiny_suite).check_data("a" * 64)
    with pytest.raises(TrackingError, match="begun on other data"):
        store.check_data("b" * 64)
