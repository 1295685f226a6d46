"""Formats of an exported model: how each is written, and what it computes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray
from lstm_bench.data.dataset import VECTORS, Values
from lstm_bench.errors import ExportError
from lstm_bench.export.examples import inputs_of
from lstm_bench.inference import (
    EVIDENCE,
    NETWORK,
    NETWORKS,
    batch_of,
    evidence_in,
    load,
    proba_of,
)
from lstm_bench.suites.config import TrialConfig
from lstm_bench.tracking.models import files_of

if TYPE_CHECKING:
    from lstm_bench.models.backend import keras

ONNX_FILE = "model.onnx"
# TensorFlow Serving looks for a number below a model's folder.
SAVED_MODEL_FOLDER = "1"
MAX_ONNX_PARAMETERS = 500_000_000
BATCH = 32
"""Sequences computed at a time; without masking each is as long as the longest."""

About = Mapping[str, Any]
"""The content of a model folder's ``about.json``."""


Proba = Callable[[Path, About, Sequence[Values]], FloatArray]
"""Maps a folder, `About` and sequences to probabilities of shape (n_sequences,
n_classes), or to numbers of shape (n_sequences, n_outputs)."""


def network_proba(
    folder: Path, about: About, sequences: Sequence[Values]
) -> FloatArray:
    """Return the probabilities of the Keras model in `folder`."""
    from lstm_bench.models.backend import tf

    network = _load(folder)
    # Traced once for all lengths.
    forward = tf.function(
        lambda x: network(x, training=False),
        input_signature=[tf.TensorSpec(network.input_shape, network.inputs[0].dtype)],
        autograph=False,
    )
    config, kind, evidence = about["config"], about["kind"], evidence_in(folder)
    with _whole_float32():
        return _in_batches(
            sequences,
            lambda part: proba_of(
                forward(batch_of(part, config, kind, evidence)).numpy(),
                config["head"],
                about.get("target_scaling"),
            ),
        )


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Compute on a GPU with all digits of float32, of which TF32 drops half."""
    from lstm_bench.models.backend import tf

    settings = tf.config.experimental
    before = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(before)


def model_proba(folder: Path, about: About, sequences: Sequence[Values]) -> FloatArray:
    """Return the probabilities of any model in `folder`, from raw inputs."""
    if about["model"] in NETWORKS:
        # The model imports Keras; as the package does, it is quiet.
        import lstm_bench.models.backend  # noqa: F401
    return load(folder).predict_proba(inputs_of(about, sequences))


def _load(folder: Path) -> keras.Model:
    """Load a Keras model that computes without cuDNN.

    cuDNN's operations run on GPUs only, also in a SavedModel, and read no sequence
    that is padded at its start.
    """
    from lstm_bench.models.backend import keras

    network = keras.models.load_model(folder / NETWORK, compile=False)
    for layer in network.layers:
        for name in ("forward_layer", "backward_layer"):
            recurrent = getattr(layer, name, layer)
            if isinstance(recurrent, (keras.layers.LSTM, keras.layers.GRU)):
                recurrent.use_cudnn = False
    return network


def _in_batches(
    sequences: Sequence[Values],
    compute: Callable[[Sequence[Values]], npt.NDArray[np.floating]],
) -> FloatArray:
    starts = range(0, len(sequences), BATCH)
    parts = [compute(sequences[start : start + BATCH]) for start in starts]
    return np.concatenate(parts, dtype=np.float64)


def _write_keras(logged: Path, folder: Path, about: About) -> None:
    shutil.copyfile(files_of(logged) / NETWORK, folder / NETWORK)
    _copy_evidence(logged, folder)


def _copy_evidence(logged: Path, folder: Path) -> None:
    """Copy what a network that reads n-gram evidence has beside it."""
    if (file := files_of(logged) / EVIDENCE).exists():
        shutil.copyfile(file, folder / EVIDENCE)


def _write_saved_model(logged: Path, folder: Path, about: About) -> None:
    from lstm_bench.models.backend import keras

    network = _load(files_of(logged))
    outputs = network.output
    if about["config"]["head"] == "sigmoid":
        both = keras.layers.Concatenate(name="probabilities")
        outputs = both([1.0 - outputs, outputs])
    if scaling := about.get("target_scaling"):
        scale, offset = scaling["std"], scaling["mean"]
        outputs = keras.layers.Rescaling(scale, offset)(outputs)
    keras.Model(network.input, outputs).export(
        folder / SAVED_MODEL_FOLDER, format="tf_saved_model", verbose=False
    )
    _copy_evidence(logged, folder)


def _saved_model_proba(
    folder: Path, about: About, sequences: Sequence[Values]
) -> FloatArray:
    from lstm_bench.models.backend import tf

    loaded = tf.saved_model.load(folder / SAVED_MODEL_FOLDER)
    serve = loaded.signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    (output,) = serve.structured_outputs

    config, kind, evidence = about["config"], about["kind"], evidence_in(folder)

    def compute(part: Sequence[Values]) -> npt.NDArray[np.floating]:
        x = tf.constant(batch_of(part, config, kind, evidence))
        proba: npt.NDArray[np.floating] = serve(**{name: x})[output].numpy()
        return proba

    with _whole_float32():
        return _in_batches(sequences, compute)


def _check_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ExportError(
            f"--format onnx: {error.name} is not installed here; pip install "
            "'lstm-bench[onnx]'"
        ) from error


def _write_onnx(logged: Path, folder: Path, about: About) -> None:
    import onnx

    from lstm_bench.export.onnx_graph import onnx_model

    config = TrialConfig.model_validate(about["config"])
    if config.ngram_evidence:
        raise ExportError(
            "--format onnx: the model reads n-gram evidence beside its words, which an "
            "ONNX file cannot look up; use --format keras, saved_model or mlflow"
        )
    network = _load(files_of(logged))
    n_parameters = network.count_params()
    if n_parameters >= MAX_ONNX_PARAMETERS:
        raise ExportError(
            f"--format onnx: an ONNX file has at most 2 GiB, and the model's "
            f"{n_parameters:,} parameters have 4 bytes each; use another format"
        )
    metadata = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in about.items()
        if key != "input_example"
    }
    scaling = about.get("target_scaling")
    model = onnx_model(network, config, metadata, scaling)
    onnx.save_model(model, folder / ONNX_FILE)


def _onnx_proba(folder: Path, about: About, sequences: Sequence[Values]) -> FloatArray:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        folder / ONNX_FILE, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    config = about["config"] | {"padding": "post", "masking": True}

    def compute(part: Sequence[Values]) -> npt.NDArray[np.floating]:
        x = batch_of(part, config, about["kind"])
        if about["kind"] == VECTORS:
            x = x[:, :, :-1]
        lengths = [min(len(s), config["sequence_length"]) for s in part]
        inputs = {name: x, "lengths": np.array(lengths, np.int32)}
        proba: npt.NDArray[np.floating] = session.run(None, inputs)[0]
        return proba

    return _in_batches(sequences, compute)


def _write_mlflow(logged: Path, folder: Path, about: About) -> None:
    if about["kind"] != VECTORS and not about["vocabulary"]:
        raise ExportError(
            "--format mlflow: the model reads ids of words, and its data came without "
            "the words that they stand for, so the MLflow model could read no text; "
            "choose another format"
        )
    shutil.copytree(logged, folder, dirs_exist_ok=True)


def _mlflow_proba(
    folder: Path, about: About, sequences: Sequence[Values]
) -> FloatArray:
    import mlflow

    model = mlflow.pyfunc.load_model(str(folder))
    # Where Python has compiled the program, here and where it was copied from.
    for compiled in [*folder.rglob("__pycache__")]:
        shutil.rmtree(compiled)
    table = model.predict(inputs_of(about, sequences))
    columns = [name for name in table if name != "label"]
    proba: FloatArray = table[columns].to_numpy(np.float64)
    return proba


@dataclass(frozen=True)
class Format:
    """A format that models are exported to.

    Attributes
    ----------
    write : callable
        Given the folder of a logged MLflow model, a new folder and `About`, writes
        the model into the new folder.
    proba : callable
        What the model in the new folder computes.
    expected : callable
        What the model in a model folder computes.
    check : callable
        Raises ExportError if a package is missing here.
    """

    write: Callable[[Path, Path, About], None]
    proba: Proba
    expected: Proba = network_proba
    check: Callable[[], None] = lambda: None


MLFLOW = "mlflow"
FORMATS = {
    "keras": Format(_write_keras, network_proba),
    "onnx": Format(_write_onnx, _onnx_proba, check=_check_onnx),
    "saved_model": Format(_write_saved_model, _saved_model_proba),
    MLFLOW: Format(_write_mlflow, _mlflow_proba, model_proba),
}
