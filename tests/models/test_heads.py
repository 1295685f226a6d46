import numpy as np
import pytest

from lstm_bench.errors import SuiteError
from lstm_bench.metrics import evaluate
from lstm_bench.models.heads import HEADS

Y = np.array([0, 1, 1, 0])


CLASSES = "classification"


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_every_head_turns_outputs_into_probabilities(name):
    head = HEADS[name]
    n_units = head.n_units(2)
    raw = np.full((4, n_units), 1 / max(2, n_units), np.float32)
    proba = head.to_proba(raw)
    assert proba.shape == (4, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    targets = head.encode_targets(Y, 2)
    assert targets.shape == (4, n_units)
    assert targets.dtype == np.float32


def test_sigmoid_and_softmax_heads_agree_on_equal_probabilities():
    p = np.array([0.1, 0.8, 0.4, 0.3])
    sigmoid = HEADS["sigmoid"].to_proba(p[:, None])
    softmax = HEADS["softmax"].to_proba(np.column_stack([1 - p, p]))
    np.testing.assert_allclose(sigmoid, softmax)
    scores = evaluate(Y, sigmoid, CLASSES)
    assert scores == pytest.approx(evaluate(Y, softmax, CLASSES))


def test_sigmoid_refuses_three_classes():
    with pytest.raises(SuiteError, match="use head: softmax"):
        HEADS["sigmoid"].n_units(3)
