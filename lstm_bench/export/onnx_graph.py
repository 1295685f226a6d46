"""A trained network as an ONNX graph, with one node per recurrent layer.

Converters turn a masked Keras LSTM into a loop over its steps, and not every
bidirectional one (https://github.com/onnx/tensorflow-onnx/issues/1871). The networks of
`build_model` are few in kind, so their graph is written here; its LSTM, GRU or RNN
nodes read each sequence as far as its length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from lstm_bench.arrays import Float32Array
from lstm_bench.inference import OUT_OF_VOCABULARY
from lstm_bench.models.backend import keras
from lstm_bench.models.build import ATTENTION_LAYERS, recurrent_layers
from lstm_bench.suites.config import TrialConfig

# Old enough for the runtimes in use: these are of 2022.
OPSET, IR_VERSION = 18, 8

# For each cell: the kind of node, Keras's number of each gate in ONNX's order, and
# attributes.
NODES: Mapping[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "lstm": ("LSTM", (0, 3, 1, 2), {}),
    "gru": ("GRU", (0, 1, 2), {"linear_before_reset": 1}),
    "simple_rnn": ("RNN", (0,), {}),
}


def onnx_model(
    network: keras.Model,
    config: TrialConfig,
    metadata: Mapping[str, str],
    target_scaling: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """Return a network as an ONNX model.

    Its inputs are padded at the end, whatever the padding in training:

    - ``ids``: int32 token ids of shape (batch, time); or ``vectors``: float32 of shape
      (batch, time, channels), scaled;
    - ``lengths``: int32 of shape (batch,), the number of steps of each sequence, from
      1 to time.

    Its output ``probabilities`` is float32 of shape (batch, n_classes), or
    ``predictions``, of shape (batch, n_outputs) and in the data's units.

    Parameters
    ----------
    network : keras.Model
        Built by `build_model` from `config`.
    metadata : mapping of str to str
        The model's ``metadata_props``.
    target_scaling : mapping or None
        ``mean`` and ``std`` of each output's targets; None of probabilities.
    """
    graph = _Graph()
    reads_vectors = len(network.input_shape) == 3
    if reads_vectors:
        n_channels = network.input_shape[-1] - 1
        inputs = _value("vectors", TensorProto.FLOAT, "batch", "time", n_channels)
    else:
        inputs = _value("ids", TensorProto.INT32, "batch", "time")
    steps, lengths = inputs.name, "lengths"
    if not config.masking:
        steps, lengths = _pad(graph, steps, config, reads_vectors)
    if not reads_vectors:
        steps = _embed(graph, steps, network, config)
    features = _recurrent_layers(graph, steps, lengths, network, config)
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            config.cell,
            [inputs, _value("lengths", TensorProto.INT32, "batch")],
            [_head(graph, features, network, config, target_scaling)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lstm-bench",
    )
    helper.set_model_props(made, dict(metadata))
    onnx.checker.check_model(made, full_check=True)
    return made


class _Graph:
    """Nodes and constants; each has a name, by which nodes refer to it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: npt.DTypeLike) -> str:
        """Add a constant; return its name."""
        name = f"constant_{len(self.constants)}"
        array = np.asarray(value, dtype, order="C")
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def floats(self, value: Any) -> str:
        """Add float32 numbers; return their name."""
        return self.constant(value, np.float32)

    def ints(self, value: Any) -> str:
        """Add int32 numbers, as ids and lengths are; return their name."""
        return self.constant(value, np.int32)

    def sizes(self, *sizes: int) -> str:
        """Add int64 numbers, as shapes and axes are; return their name."""
        return self.constant(sizes, np.int64)

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of one output; return the output's name."""
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output


def _value(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _pad(
    graph: _Graph, steps: str, config: TrialConfig, reads_vectors: bool
) -> tuple[str, str]:
    """Pad sequences as for training without masking, where padding counts as steps.

    Returns
    -------
    steps : str
        Of shape (batch, sequence_length), or (batch, sequence_length, channels).
    lengths : str
        ``sequence_length`` for each sequence.
    """
    limit = config.sequence_length
    own_lengths = graph.add("Unsqueeze", "lengths", graph.sizes(1))
    source = graph.ints(np.arange(limit)[None])
    if config.padding == "pre":
        n_padded = graph.add("Sub", graph.ints(limit), own_lengths)
        source = graph.add("Sub", source, n_padded)
        is_step = graph.add("GreaterOrEqual", source, graph.ints(0))
    else:
        is_step = graph.add("Less", source, own_lengths)
    source = graph.add("Where", is_step, source, graph.ints(0))
    source = graph.add("Cast", source, to=TensorProto.INT64)
    source = graph.add("Unsqueeze", source, graph.sizes(2))
    moved = graph.add("GatherND", steps, source, batch_dims=1)
    if reads_vectors:
        is_step = graph.add("Unsqueeze", is_step, graph.sizes(2))
    zero = graph.floats(0.0) if reads_vectors else graph.ints(0)
    padded = graph.add("Where", is_step, moved, zero)
    n_sequences = graph.add("Shape", "lengths")
    return padded, graph.add("Expand", graph.ints(limit), n_sequences)


def _embed(graph: _Graph, ids: str, network: keras.Model, config: TrialConfig) -> str:
    """Look up token ids; ids of ``vocabulary_size`` and above are out of vocabulary."""
    (table,) = network.get_layer("embedding").get_weights()
    is_known = graph.add("Less", ids, graph.ints(config.vocabulary_size))
    known = graph.add("Where", is_known, ids, graph.ints(OUT_OF_VOCABULARY))
    return graph.add("Gather", graph.floats(table), known)


def _recurrent_layers(
    graph: _Graph, steps: str, lengths: str, network: keras.Model, config: TrialConfig
) -> str:
    """Add the recurrent layers and the pooling.

    Parameters
    ----------
    steps : str
        Of shape (batch, time, features).

    Returns
    -------
    str
        Of shape (batch, features).
    """
    kind, gates, options = NODES[config.cell]
    last, own_lengths = "", lengths
    if config.chop_length is not None:
        steps, lengths = _chop(graph, steps, lengths, config.chop_length)
    steps = graph.add("Transpose", steps, perm=[1, 0, 2])
    for number, layers in enumerate(recurrent_layers(network, config), start=1):
        weights = [layer.get_weights() for layer in layers]
        outputs, last = f"outputs_{number}", f"last_{number}"
        node = helper.make_node(
            kind,
            [steps, *_weights(graph, weights, gates), lengths],
            [outputs, last],
            hidden_size=config.units,
            direction="bidirectional" if config.bidirectional else "forward",
            **options,
        )
        graph.nodes.append(node)
        # From (time, directions, batch, units) to (time, batch, features).
        steps = graph.add("Transpose", outputs, perm=[0, 2, 1, 3])
        steps = graph.add("Reshape", steps, graph.sizes(0, 0, -1))
    if config.pooling == "last":
        # From (directions, batch, units).
        last = graph.add("Transpose", last, perm=[1, 0, 2])
        return graph.add("Reshape", last, graph.sizes(0, -1))
    if config.chop_length is not None:
        # From (steps of a segment, segments, features).
        steps = graph.add("Transpose", steps, perm=[1, 0, 2])
        n_features = config.units * (1 + config.bidirectional)
        n_sequences = graph.add("Shape", own_lengths)
        shape = graph.add("Concat", n_sequences, graph.sizes(-1, n_features), axis=0)
        steps = graph.add("Reshape", steps, shape)
        steps = graph.add("Transpose", steps, perm=[1, 0, 2])
    return _pool_steps(graph, steps, own_lengths, network, config.pooling)


def _chop(graph: _Graph, steps: str, lengths: str, chop_length: int) -> tuple[str, str]:
    """Cut sequences into segments, each of which is a sequence then.

    Returns
    -------
    steps : str
        Of shape (batch * segments, chop_length, features).
    lengths : str
        Of shape (batch * segments,); of a segment of padding alone 1, which pooling
        does not count.
    """
    n_steps = graph.add("Shape", steps, start=1, end=2)
    n_padded = graph.add("Mod", graph.add("Neg", n_steps), graph.sizes(chop_length))
    zeros = graph.sizes(0, 0, 0, 0)
    pads = graph.add("Concat", zeros, n_padded, graph.sizes(0), axis=0)
    steps = graph.add("Pad", steps, pads)
    last_axis = graph.sizes(-1)
    end = graph.add("Squeeze", graph.add("Add", n_steps, n_padded))
    first, stride = (graph.constant(n, np.int64) for n in (0, chop_length))
    starts = graph.add("Range", first, end, stride)
    starts = graph.add("Cast", starts, to=TensorProto.INT32)
    left = graph.add("Sub", graph.add("Unsqueeze", lengths, last_axis), starts)
    of_each = graph.add("Clip", left, graph.ints(1), graph.ints(chop_length))
    by_segment = graph.add("Shape", steps, start=2)
    shape = graph.add("Concat", graph.sizes(-1, chop_length), by_segment, axis=0)
    return graph.add("Reshape", steps, shape), graph.add("Reshape", of_each, last_axis)


def _weights(
    graph: _Graph, weights: Sequence[Sequence[Float32Array]], gates: Sequence[int]
) -> list[str]:
    """Add a layer's kernels, recurrent kernels and biases, one of each per direction.

    Keras has the gates along the last axis; ONNX has them along the first, in another
    order, and always a second bias, of the recurrent kernel.

    Parameters
    ----------
    gates : sequence of int
        Keras's number of each of ONNX's gates.
    """

    def as_onnx(array: Float32Array) -> Float32Array:
        parts = np.split(array.T, len(gates))
        return np.concatenate([parts[gate] for gate in gates])

    def both_biases(bias: Float32Array) -> Float32Array:
        both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
        return np.concatenate([as_onnx(each) for each in both])

    kernels, recurrent_kernels, biases = zip(*weights, strict=True)
    return [
        graph.floats([as_onnx(kernel) for kernel in kernels]),
        graph.floats([as_onnx(kernel) for kernel in recurrent_kernels]),
        graph.floats([both_biases(bias) for bias in biases]),
    ]


def _attention(graph: _Graph, steps: str, is_step: str, network: keras.Model) -> str:
    """Pool (time, batch, features) with the weights that `build_model` describes."""
    time = graph.sizes(0)
    hidden, score = (network.get_layer(name) for name in ATTENTION_LAYERS)
    (kernel, bias), (vector,) = hidden.get_weights(), score.get_weights()
    raw = graph.add("MatMul", steps, graph.floats(kernel))
    hidden_steps = graph.add("Tanh", graph.add("Add", raw, graph.floats(bias)))
    scores = graph.add("MatMul", hidden_steps, graph.floats(vector))
    scores = graph.add("Where", is_step, scores, graph.floats(-1e9))
    share = graph.add("Softmax", scores, axis=0)
    return graph.add("ReduceSum", graph.add("Mul", steps, share), time, keepdims=0)


def _pool_steps(
    graph: _Graph, steps: str, lengths: str, network: keras.Model, pooling: str
) -> str:
    """Pool (time, batch, features) over each sequence's steps."""
    time, last_axis = graph.sizes(0), graph.sizes(-1)
    n_steps = graph.add("Squeeze", graph.add("Shape", steps, end=1))
    first, stride = (graph.constant(n, np.int64) for n in (0, 1))
    numbers = graph.add("Range", first, n_steps, stride)
    numbers = graph.add("Unsqueeze", numbers, last_axis)
    is_step = graph.add(
        "Less", numbers, graph.add("Cast", lengths, to=TensorProto.INT64)
    )
    is_step = graph.add("Unsqueeze", is_step, last_axis)
    if pooling == "attention":
        return _attention(graph, steps, is_step, network)
    pooled = []
    if pooling in ("mean", "mean_max"):
        counted = graph.add("Where", is_step, steps, graph.floats(0.0))
        total = graph.add("ReduceSum", counted, time, keepdims=0)
        n_each = graph.add("Cast", lengths, to=TensorProto.FLOAT)
        n_each = graph.add("Unsqueeze", n_each, last_axis)
        pooled.append(graph.add("Div", total, n_each))
    if pooling in ("max", "mean_max"):
        # Below all outputs, which lie in (-1, 1).
        counted = graph.add("Where", is_step, steps, graph.floats(-1.0))
        pooled.append(graph.add("ReduceMax", counted, time, keepdims=0))
    return graph.add("Concat", *pooled, axis=-1)


def _head(
    graph: _Graph,
    features: str,
    network: keras.Model,
    config: TrialConfig,
    target_scaling: Mapping[str, Any] | None,
) -> onnx.ValueInfoProto:
    """Add the last layer; return the description of the output."""
    kernel, bias = network.get_layer("head").get_weights()
    if target_scaling is not None:
        mean, std = (np.asarray(target_scaling[name]) for name in ("mean", "std"))
        kernel, bias = graph.floats(kernel * std), graph.floats(bias * std + mean)
        graph.add("Gemm", features, kernel, bias, name="predictions")
        return _value("predictions", TensorProto.FLOAT, "batch", len(mean))
    raw = graph.add("Gemm", features, graph.floats(kernel), graph.floats(bias))
    name = "probabilities"
    if config.head == "sigmoid":
        p = graph.add("Sigmoid", raw)
        graph.add(
            "Concat", graph.add("Sub", graph.floats(1.0), p), p, axis=1, name=name
        )
    else:
        graph.add("Softmax", raw, axis=1, name=name)
    n_classes = max(2, len(bias))
    return _value(name, TensorProto.FLOAT, "batch", n_classes)
