"""Trainings with an embedding file: random, pretrained, frozen, in both engines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import TINY_SUITE
from mlflow import MlflowClient
from runs import Recorder, opened, sweep

from lstm_bench.data.dataset import Embedding
from lstm_bench.errors import TrackingError
from lstm_bench.metrics import METRICS
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import load_suite

pytestmark = pytest.mark.slow

ENGINES = ["stock", "packed"]
# Words of rank 1, 3 and 250, which a vocabulary of 200 ids does not have.
IDS = np.array([6, 4, 253], np.int32)
VECTORS = np.array([[1, 2, 3, 4], [-1, 0, 0, 0.5], [9, 9, 9, 9]], np.float32)


@pytest.fixture(scope="module")
def with_vectors(dataset):
    return replace(dataset, embedding=Embedding(IDS, VECTORS, "v.txt", "ab" * 32, 5))


def config_of(embedding: str, **settings: object) -> TrialConfig:
    return TrialConfig(
        embedding=embedding,
        units=3,
        embedding_dim=4,
        vocabulary_size=200,
        sequence_length=12,
        batch_size=32,
        max_epochs=1,
        patience=None,
        **settings,
    )


def new_model(config, with_vectors, splits):
    from lstm_bench.training.trial import _new_steps

    return _new_steps(config, with_vectors, splits.train, 0, 0, "stock").model


def trained(config, with_vectors, splits, engine):
    from lstm_bench.training.trial import run_trial

    result, model = run_trial(
        config,
        with_vectors,
        splits,
        metric=METRICS["accuracy"],
        root_seed=0,
        engine=engine,
    )
    return result, model


def test_words_of_the_file_begin_with_its_vectors_and_all_else_as_at_random(
    with_vectors, splits
):
    random, pretrained, frozen = (
        new_model(config_of(name), with_vectors, splits)
        for name in ("random", "pretrained", "frozen")
    )
    start, *others = random.get_weights()
    expected = start.copy()
    expected[6], expected[4] = VECTORS[0], VECTORS[1]
    for model in (pretrained, frozen):
        np.testing.assert_array_equal(table(model), expected)
    for got, wanted in zip(pretrained.get_weights()[1:], others, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert len(frozen.trainable_variables) == len(pretrained.trainable_variables) - 1


def table(model):
    return np.array(model.get_layer("embedding").embeddings)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_frozen_embedding_stays_and_both_engines_train_the_rest_alike(
    with_vectors, splits, dropout
):
    pytest.importorskip("numba")
    config = config_of("frozen", bidirectional=True, dropout=dropout)
    new = new_model(config, with_vectors, splits)
    (first, stock), (second, packed) = (
        trained(config, with_vectors, splits, engine) for engine in ENGINES
    )
    for model in (stock, packed):
        assert table(model).tobytes() == table(new).tobytes()
    pairs = zip(packed.get_weights()[1:], stock.get_weights()[1:], strict=True)
    for (got, wanted), before in zip(pairs, new.get_weights()[1:], strict=True):
        np.testing.assert_allclose(got, wanted, atol=5e-5)
        assert (wanted != before).any()
    np.testing.assert_allclose(
        second.predictions[0].y_proba, first.predictions[0].y_proba, atol=1e-4
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pretrained_embedding_is_trained(with_vectors, splits, engine):
    if engine == "packed":
        pytest.importorskip("numba")
    config = config_of("pretrained")
    before = table(new_model(config, with_vectors, splits))
    _, model = trained(config, with_vectors, splits, engine)
    assert (table(model)[[4, 6]] != before[[4, 6]]).all()


def test_a_frozen_model_is_saved_and_loads_without_this_package(
    with_vectors, splits, tmp_path
):
    from lstm_bench.models.backend import keras

    model = new_model(config_of("frozen"), with_vectors, splits)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    tokens = np.array([[1, 6, 4, 9]], np.int32)
    np.testing.assert_array_equal(np.asarray(loaded(tokens)), np.asarray(model(tokens)))
    np.testing.assert_array_equal(table(loaded)[[6, 4]], VECTORS[:2])


SUITE = (
    TINY_SUITE.replace("n_test: 60}}", "n_test: 60}, embedding_file: vectors.txt}")
    .replace("units: [2, 3, 4]\n  head: [sigmoid, softmax]", "embedding: [random, "
             "pretrained, frozen]")
    .replace("n_startup_trials: 2", "sampler: grid")
)  # fmt: skip


def test_a_sweep_compares_the_three_and_other_vectors_are_refused(tmp_path):
    (tmp_path / "vectors.txt").write_text("the 1 2 3 4\nand 0 0 0 1\nof 9 9 9 9\n")
    (tmp_path / "tiny.yaml").write_text(SUITE)
    suite = load_suite(tmp_path / "tiny.yaml")
    recorder = Recorder()
    _, results = sweep(suite, tmp_path, recorder=recorder)
    said = recorder.text()
    assert "embedding file: vectors.txt (SHA-256 " in said
    assert "[1/3]" in said and "frozen embedding (trial" in said
    complete = results.runs[results.runs["state"] == "complete"]
    assert set(complete["embedding"]) == {"random", "pretrained", "frozen"}
    assert complete["val_log_loss"].nunique() == 3
    assert results.dataset["embedding"]["coverage"][0]["n_words_found"] == 3
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    digest = client.get_run(complete["run_id"].iloc[0]).data.params["embedding_digest"]
    assert results.dataset["embedding"]["digest"].startswith(digest)
    # What resumes the study, or confirms it, takes the same vectors.
    (tmp_path / "vectors.txt").write_text("the 1 2 3 4\n")
    with pytest.raises(TrackingError, match="begun on another embedding file"):
        sweep(suite, tmp_path)
    from lstm_bench.confirm import choose_candidates, confirm_candidates

    with (
        opened(suite, tmp_path) as study,
        pytest.raises(TrackingError, match="begun on another embedding file"),
    ):
        confirm_candidates(study, choose_candidates(suite, results, 1), 1)
