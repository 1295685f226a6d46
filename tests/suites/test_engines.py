"""Which engine a suite gets, what is said of it, and that results move between them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from lstm_bench.errors import SuiteError
from lstm_bench.metrics import METRICS
from lstm_bench.packed import self_test
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import load_suite
from lstm_bench.training.checkpoint import Checkpoint


def with_engine(write_suite, name):
    return load_suite(write_suite({"description:": f"engine: {name}\ndescription:"}))


def test_the_engine_leaves_the_study_the_same_one(write_suite):
    names = {
        with_engine(write_suite, name).study_name
        for name in ("auto", "stock", "packed")
    }
    plain = load_suite(write_suite())
    assert names == {plain.study_name}
    assert plain.engine == "auto"


def test_an_unknown_engine_is_refused(write_suite):
    with pytest.raises(
        SuiteError, match=r"engine: .*'stock' or 'packed', got 'pakced'"
    ):
        with_engine(write_suite, "pakced")


def test_packed_without_numba_is_refused(monkeypatch):
    monkeypatch.setattr(self_test, "has_numba", lambda: False)
    with pytest.raises(SuiteError, match="engine: packed cannot run here: Numba is"):
        self_test.require_running("packed", print)
    self_test.require_running("auto", print)
    self_test.require_running("stock", print)


slow = pytest.mark.slow


@slow
def test_a_numba_that_does_not_run_is_refused_before_anything_begins(
    write_suite, tmp_path
):
    file = write_suite({"description:": "engine: packed\ndescription:"})
    command = [sys.executable, "-m", "lstm_bench", "sweep", str(file)]
    done = subprocess.run(
        [*command, "--workers", "2"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("packed cannot run here: Numba does not run it") == 1
    assert set(tmp_path.iterdir()) == {file}


@slow
def test_a_numba_that_does_not_run_leaves_keras_own(tmp_path):
    script = (
        "from lstm_bench.errors import SuiteError\n"
        "from lstm_bench.packed.choice import choose_engine\n"
        "print(choose_engine('auto', 'lstm', print))\n"
        "try:\n"
        "    choose_engine('packed', 'lstm', print)\n"
        "except SuiteError as error:\n"
        "    print(error)\n"
    )
    broken = {"NUMBA_DISABLE_JIT": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **broken},
    )
    assert done.returncode == 0, done.stderr
    said, engine, refused = done.stdout.splitlines()
    # What Numba says, and not that some graph of TensorFlow's failed.
    assert "Graph execution" not in said + refused
    reason = "Numba does not run it here ("
    assert said.startswith(f"engine: Keras's own layers, since {reason}")
    assert engine == "stock"
    assert refused.startswith(f"engine: packed cannot run here: {reason}")


@pytest.fixture
def choice():
    from lstm_bench.packed import choice

    yield choice
    choice.choose_engine.cache_clear()


@slow
def test_auto_takes_the_packed_engine_and_says_nothing(choice):
    from lstm_bench.packed.kernel import compile_kernel

    compile_kernel(lambda line: None)
    said = []
    for cell in ("lstm", "gru", "simple_rnn"):
        assert choice.choose_engine("auto", cell, said.append) == "packed"
    assert choice.choose_engine("stock", "lstm", said.append) == "stock"
    assert said == []


@slow
def test_auto_takes_the_stock_engine_where_it_must_and_says_why_once(
    choice, monkeypatch
):
    said = []
    monkeypatch.setattr(self_test, "has_numba", lambda: False)
    for _ in range(3):
        assert choice.choose_engine("auto", "lstm", said.append) == "stock"
    assert said == [f"engine: Keras's own layers, since {self_test.NO_NUMBA}"]


class FakeDevice:
    device_type = "GPU"
    name = "/physical_device:GPU:0"


@slow
def test_a_gpu_is_left_to_cudnn(choice, monkeypatch):
    said = []
    monkeypatch.setattr(
        choice.tf.config, "list_physical_devices", lambda kind=None: [FakeDevice()]
    )
    assert choice.choose_engine("auto", "lstm", said.append) == "stock"
    assert "cuDNN" in said[0]
    assert choice.choose_engine("packed", "lstm", said.append) == "packed"


@slow
def test_an_engine_that_computes_something_else_is_not_taken(choice, monkeypatch):
    monkeypatch.setattr(choice, "largest_difference", lambda cell: 1e-3)
    said = []
    assert choice.choose_engine("auto", "lstm", said.append) == "stock"
    assert "differ from Keras's by 1.0e-03" in said[0]
    with pytest.raises(SuiteError, match=r"cannot run here: its outputs .* 1.0e-03"):
        choice.choose_engine("packed", "lstm", said.append)


@slow
def test_a_difference_that_is_no_number_is_not_taken(choice, monkeypatch):
    monkeypatch.setattr(choice, "largest_difference", lambda cell: float("nan"))
    assert choice.why_not_packed("lstm", lambda line: None) is not None


@slow
def test_a_damaged_cache_is_named_with_what_to_do(choice, monkeypatch):
    from lstm_bench.packed import kernel

    def cut_off(say):
        pickle.loads(pickle.dumps([1])[:-2])

    monkeypatch.setattr(kernel, "compile_kernel", cut_off)
    reason = choice.why_not_packed("lstm", lambda line: None)
    assert "damaged: remove *.nbi and *.nbc from" in reason


@slow
def test_another_float_policy_is_not_taken(choice):
    keras = choice.keras
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        reason = choice.why_not_packed("lstm", lambda line: None)
    finally:
        keras.config.set_dtype_policy("float32")
    assert "float32 alone and Keras is set to bfloat16" in reason


TINY = {
    "units": 5,
    "embedding_dim": 4,
    "vocabulary_size": 100,
    "sequence_length": 24,
    "max_epochs": 4,
    "patience": None,
    "batch_size": 16,
    "dropout": 0.2,
    "recurrent_dropout": 0.2,
}


def run(engine, **options):
    from lstm_bench.data.registry import load_dataset
    from lstm_bench.data.splits import make_splits
    from lstm_bench.training.trial import free_memory, run_trial

    free_memory()
    dataset = load_dataset("synthetic", {"n_train": 160, "n_test": 40}, seed=5)
    splits = make_splits(
        dataset,
        root_seed=1,
        replicate=0,
        validation_fraction=0.25,
        max_train_samples=None,
    )
    return run_trial(
        TrialConfig(**TINY),
        dataset,
        splits,
        metric=METRICS["accuracy"],
        root_seed=3,
        engine=engine,
        **options,
    )


def losses(result):
    return [entry["val_loss"] for entry in result.history.epochs]


@slow
@pytest.mark.parametrize("engines", [("stock", "packed"), ("packed", "stock")], ids=str)
def test_a_training_goes_on_with_the_other_engine(engines, tmp_path):
    first, second = engines
    whole, _ = run(first)
    checkpoint = Checkpoint(tmp_path / "state.npz")

    def stop(entry):
        if entry["epoch"] == 2:
            raise InterruptedError("killed")

    with pytest.raises(InterruptedError):
        run(first, checkpoint=checkpoint, on_epoch=stop)
    assert checkpoint.load().engines == [first]
    resumed, _ = run(second, checkpoint=checkpoint)
    assert resumed.history.n_resumed == 2
    assert checkpoint.load().engines == [first, second]
    np.testing.assert_allclose(losses(resumed), losses(whole), rtol=1e-5)


@slow
def test_a_model_trained_packed_is_saved_as_a_stock_one(tmp_path):
    _, model = run("packed")
    file = tmp_path / "model.keras"
    model.save(file)
    tokens = [[1, 5, 6, 0]]
    script = (
        "import sys, numpy as np, keras\n"
        f"m = keras.models.load_model({str(file)!r}, safe_mode=True)\n"
        f"print(float(m(np.array({tokens}, 'int32'))[0, 0]))\n"
        "assert 'lstm_bench' not in sys.modules and 'numba' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    here = float(model(np.array(tokens, "int32"))[0, 0])
    assert float(done.stdout) == pytest.approx(here, abs=1e-6)
