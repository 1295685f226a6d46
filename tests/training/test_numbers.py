"""Numbers as targets: their scaling, the network's predictions, and the baselines."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstm_bench import inference
from lstm_bench.data.dataset import VECTORS, Dataset, Sequences, from_lists, joined
from lstm_bench.data.preprocessing import preprocessed
from lstm_bench.data.splits import make_splits
from lstm_bench.inference import load
from lstm_bench.metrics import METRICS, metrics_of
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.baselines import BASELINES, baselines_of
from lstm_bench.training.model_folder import Origin, write_baseline, write_network

N, N_OUTPUTS, FAR = 120, 2, 1000.0


def series(n: int, seed: int) -> Sequences:
    """Return series whose targets are far from 0: their mean and their last value."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 7, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.normal(size=(offsets[-1], 1)).astype(np.float32)
    ends = [values[a:b, 0] for a, b in itertools.pairwise(offsets)]
    y = np.array([[FAR + 50 * v.mean(), -3 + 0.1 * v[-1]] for v in ends], np.float64)
    return Sequences(values, offsets, y)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset(
        name="adding",
        description="",
        train=series(N, 0),
        test=series(40, 1),
        class_names=(),
        vocabulary=(),
        digest="0",
        source="",
        kind=VECTORS,
        channels=("a",),
        task="regression",
        output_names=("mean", "last"),
    )


@pytest.fixture(scope="module")
def splits(dataset):
    return make_splits(
        dataset,
        root_seed=0,
        replicate=0,
        validation_fraction=0.25,
        max_train_samples=None,
    )


def test_targets_are_scaled_by_train_alone(dataset, splits):
    scaling = splits.train.target_scaling
    np.testing.assert_allclose(scaling.mean, splits.train.y.mean(axis=0))
    np.testing.assert_allclose(scaling.std, splits.train.y.std(axis=0))
    scaled = scaling.scaled(splits.train.y)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(axis=0), 1)
    np.testing.assert_allclose(scaling.unscaled(scaled), splits.train.y)
    assert splits.val.target_scaling is splits.test.target_scaling is scaling
    # Stored targets stay in the data's units.
    assert splits.test.y is dataset.test.y


def test_a_refit_scales_by_train_and_validation(dataset, splits):
    both = preprocessed(dataset, joined(splits.train, splits.val))
    np.testing.assert_allclose(
        both.target_scaling.mean, dataset.train.y.mean(axis=0), rtol=1e-9
    )


def test_a_constant_output_is_not_divided_by_zero(dataset):
    y = np.column_stack([dataset.train.y[:, 0], np.full(N, 7.0)])
    constant = preprocessed(dataset, dataclasses.replace(dataset.train, y=y))
    assert constant.target_scaling.std[1] == 1.0
    assert (constant.target_scaling.scaled(y)[:, 1] == 0.0).all()


@pytest.fixture(scope="module")
def trained(dataset, splits):
    from lstm_bench.training.trial import run_trial

    config = TrialConfig(
        head="linear", units=8, max_epochs=30, learning_rate=0.02, sequence_length=6
    )
    result, model = run_trial(
        config,
        dataset,
        splits,
        metric=METRICS["mse"],
        root_seed=0,
        score_test=True,
    )
    return config, result, model


def test_a_network_predicts_in_the_datas_units(dataset, trained):
    _, result, _ = trained
    val, test = result.predictions
    assert val.y_pred.shape == val.y_true.shape == (N // 4, N_OUTPUTS)
    # It has learnt something of both outputs, whose units differ by a factor of 500.
    for output in range(N_OUTPUTS):
        errors = test.y_pred[:, output] - test.y_true[:, output]
        assert (errors**2).mean() < 0.5 * test.y_true[:, output].var()
    np.testing.assert_array_equal(test.y_true, dataset.test.y)


def test_every_metric_of_the_task_is_measured_and_no_other(trained):
    _, result, _ = trained
    names = set(metrics_of("regression"))
    for split in ("train", "val", "test"):
        found = {
            key.removeprefix(f"{split}_")
            for key in result.metrics
            if key.startswith(f"{split}_")
        }
        assert found - {"loss", "time_s"} == names
    test = result.predictions[1]
    errors = test.y_pred - test.y_true
    assert result.metrics["test_mse"] == pytest.approx((errors**2).mean())
    assert result.objective == result.metrics["val_mse"]
    # The loss is of scaled targets.
    assert result.metrics["val_loss"] < 2


def test_the_best_epoch_has_the_lowest_error(trained):
    _, result, _ = trained
    by_epoch = [entry["val_mse"] for entry in result.history.epochs]
    assert result.objective == min(by_epoch)
    assert result.history.best_epoch == 1 + int(np.argmin(by_epoch))


ORIGIN = Origin("suite", "study", "name", 1, "why")


def test_a_written_network_predicts_the_same_numbers(
    dataset, splits, trained, tmp_path
):
    config, result, model = trained
    write_network(tmp_path, model, config, dataset, splits.train, ORIGIN)
    loaded = load(tmp_path)
    inputs = [dataset.raw(dataset.test, i) for i in range(len(dataset.test))]
    predicted = loaded.predict_proba(inputs)
    np.testing.assert_allclose(
        predicted, result.predictions[1].y_pred, rtol=1e-5, atol=1e-5
    )
    assert list(loaded.columns(predicted)) == ["prediction_mean", "prediction_last"]
    assert loaded.predict_proba([]).shape == (0, N_OUTPUTS)


REGRESSORS = list(baselines_of(VECTORS, "regression"))


def test_numbers_have_baselines_of_their_own():
    assert REGRESSORS == ["train_mean", "summary_ridge"]
    assert list(baselines_of("tokens", "regression")) == ["train_mean", "tfidf_ridge"]


def test_the_ridge_of_texts_is_scikit_learns():
    rng = np.random.default_rng(2)
    texts = [" ".join(rng.choice(["good", "bad", "film", "so"], 6)) for _ in range(60)]
    y = np.array([[3.0 * text.count("good") + rng.normal()] for text in texts])
    index = inference.index_of(["good", "bad", "film", "so"])
    ids = [inference.ids_of(text.split(), index) for text in texts]
    train = dataclasses.replace(from_lists(ids, np.zeros(60, int)), y=y)
    tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    x = tfidf.fit_transform(texts).toarray()
    expected = Ridge().fit(x, y[:, 0]).predict(x)
    predictor = BASELINES["tfidf_ridge"].fit(train, 1)
    np.testing.assert_allclose(
        predictor.predict_proba(train)[:, 0], expected, atol=1e-4
    )


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_written_baseline_predicts_the_same_numbers(name, dataset, splits, tmp_path):
    predictor = BASELINES[name].fit(splits.train, N_OUTPUTS)
    expected = predictor.predict_proba(splits.test)
    assert expected.shape == (len(splits.test), N_OUTPUTS)
    arrays = predictor.arrays()
    write_baseline(tmp_path, name, arrays, dataset, splits.train, ORIGIN)
    inputs = [dataset.raw(dataset.test, i) for i in range(len(dataset.test))]
    np.testing.assert_allclose(load(tmp_path).predict_proba(inputs), expected)


def test_the_ridge_is_scikit_learns(splits):
    train, test = (
        np.concatenate([inference.summarise([part[i]]) for i in range(len(part))])
        for part in (splits.train, splits.test)
    )
    reference = make_pipeline(StandardScaler(), Ridge()).fit(train, splits.train.y)
    predictor = BASELINES["summary_ridge"].fit(splits.train, N_OUTPUTS)
    np.testing.assert_allclose(
        predictor.predict_proba(splits.test), reference.predict(test)
    )


def test_the_train_mean_is_the_mean_of_train(splits):
    predictor = BASELINES["train_mean"].fit(splits.train, N_OUTPUTS)
    np.testing.assert_allclose(
        predictor.predict_proba(splits.val),
        np.tile(splits.train.y.mean(axis=0), (len(splits.val), 1)),
    )
