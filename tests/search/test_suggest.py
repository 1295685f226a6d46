"""What the next suggestion depends on, against one question after the other."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.search.suggest import TrialSummary
from lstm_bench.search.trials import (
    CONFIG_ID,
    DUPLICATE_OF,
    INTERRUPTED,
    OWNER,
    RUN_ID,
    counts,
    is_running,
)
from lstm_bench.suites.suite import load_suite

ATTRS = {
    # By what a process had written when it ended or was killed.
    "asked": (),
    "owned": (OWNER,),
    "begun": (OWNER, RUN_ID),
    "interrupted": (OWNER, RUN_ID, INTERRUPTED),
    "interrupted early": (OWNER, INTERRUPTED),
    "duplicate": (DUPLICATE_OF,),
}


@st.composite
def trials(draw):
    found = []
    for _ in range(draw(st.integers(0, 12))):
        state = draw(st.sampled_from(list(TrialState)))
        names = ATTRS[draw(st.sampled_from(sorted(ATTRS)))]
        attrs = dict.fromkeys(names, "something")
        if OWNER in attrs:
            attrs[CONFIG_ID] = draw(st.sampled_from("abc"))
        found.append(
            optuna.trial.create_trial(
                state=state,
                value=0.5 if state == TrialState.COMPLETE else None,
                user_attrs=attrs,
            )
        )
    return found


@given(references=trials(), search=trials())
def test_one_pass_finds_what_one_question_after_the_other_does(references, search):
    summary = TrialSummary.of(references, search)
    everything = [*references, *search]
    tried = {t.user_attrs[CONFIG_ID]: t for t in everything if is_running(t)}
    tried |= {t.user_attrs[CONFIG_ID]: t for t in everything if counts(t)}
    assert {k: id(t) for k, t in summary.tried.items()} == {
        k: id(t) for k, t in tried.items()
    }
    assert summary.n_at_work == sum(counts(t) or is_running(t) for t in search)
    assert summary.n_waiting == sum(t.state == TrialState.WAITING for t in search)
    assert summary.n_asked == sum(
        INTERRUPTED not in t.user_attrs
        and (t.state != TrialState.RUNNING or is_running(t))
        for t in search
    )


@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_tpe_asks_the_same_with_and_without_what_it_knows_of_the_space(
    pruner, write_suite, tmp_path
):
    suite = load_suite(
        write_suite(
            {
                "seed: 7": f"seed: 7, pruner: {pruner}",
                "units: [2, 3, 4]": "units: {low: 1, high: 400}\n  dropout: "
                "{low: 0.0, high: 0.5}",
            }
        )
    )
    asked = {"kept": [], "fresh": []}
    for name, configs in asked.items():
        (tmp_path / name).mkdir()
        url = resolve_storage(f"sqlite:///{tmp_path / name}/optuna.db")
        store = StudyStore(suite, url)
        for number in range(14):
            if name == "fresh":
                store = StudyStore(suite, url)
            step = store.next_trial()
            configs.append(step.config)
            if number == 4:
                # At work to the end: the space is found around it.
                continue
            if number == 6:
                step.owned.give_up(step.trial)
                continue
            step.trial.set_user_attr(RUN_ID, f"run-{number}")
            score = 0.5 + step.config.dropout * step.config.units / 400
            step.trial.report(score, 1)
            states = {8: "failed", 9: "pruned"}
            step.owned.tell(step.trial, states.get(number, "complete"), score)
    assert asked["kept"] == asked["fresh"]
