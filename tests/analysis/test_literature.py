from __future__ import annotations

import pytest
from pydantic import ValidationError

from lstm_bench.analysis.literature import (
    REGIMES,
    PublishedResult,
    load_published_results,
)
from lstm_bench.data.registry import dataset_names

IMDB = load_published_results("imdb")


def test_anchors_of_imdb_come_best_first_and_cover_every_regime() -> None:
    accuracies = [anchor.accuracy for anchor in IMDB]
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(0.5 < accuracy < 1 for accuracy in accuracies)
    assert {anchor.regime for anchor in IMDB} == set(REGIMES)
    assert {anchor.dataset for anchor in IMDB} <= set(dataset_names())
    assert {anchor.n_train for anchor in IMDB} == {25_000}
    assert len({anchor.label for anchor in IMDB}) == len(IMDB)


@pytest.mark.parametrize(
    ("label", "accuracy", "regime"),
    [
        ("NBSVM, 1-2-grams", 0.9122, "labelled"),
        ("LSTM with tuning and dropout", 1 - 0.1350, "labelled"),
        ("SA-LSTM", 1 - 0.0724, "unlabelled"),
        ("ULMFiT", 1 - 0.046, "external"),
    ],
)
def test_anchor_is_as_printed(label: str, accuracy: float, regime: str) -> None:
    (anchor,) = (a for a in IMDB if a.label == label)
    assert anchor.accuracy == pytest.approx(accuracy)
    assert anchor.regime == regime


def test_every_source_names_venue_and_year() -> None:
    for anchor in IMDB:
        assert any(str(year) in anchor.source for year in range(2011, 2020))
        assert '"' in anchor.source


def test_a_dataset_without_published_results_has_no_anchors() -> None:
    assert load_published_results("synthetic") == ()
    assert load_published_results("no such dataset") == ()


@pytest.mark.parametrize(
    "wrong", [{"accuracy": 91.2}, {"regime": "semi"}, {"acuracy": 0.9}, {"url": "x"}]
)
def test_wrong_entry_is_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PublishedResult.model_validate(IMDB[0].model_dump() | wrong)
