"""TPE as it is used here, against Optuna's own."""

from __future__ import annotations

import pytest

from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.suites.suite import load_suite


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
                store.requeue(step.trial)
                continue
            score = 0.5 + step.config.dropout * step.config.units / 400
            step.trial.report(score, 1)
            states = {8: "failed", 9: "pruned"}
            store.tell(step.trial, states.get(number, "complete"), score, "why")
    assert asked["kept"] == asked["fresh"]
