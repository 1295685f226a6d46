"""Exported models give the model's probabilities, and wrong ones are not kept."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from lstm_bench import inference
from lstm_bench.errors import ExportError, OutputError
from lstm_bench.export.examples import Examples, random_sequences
from lstm_bench.export.formats import FORMATS
from lstm_bench.export.write import export_model
from lstm_bench.inference import (
    ABOUT,
    ARRAYS,
    EVIDENCE,
    NETWORK,
    batch_of,
    load,
    proba_of,
)
from lstm_bench.suites.config import TrialConfig
from lstm_bench.tracking.models import SCRIPT, files_of, read_about

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow
NAMES = ("früh, spät", 'a "b"', "c")
TEXTS = ["früh ON, off", "it's another text"]
SERIES = [[[1.0, -2.0], [3.5, 0.25]], [[0.0, 7.0]]]
INPUTS = {"tokens": TEXTS, "vectors": SERIES}
WORDS = ["on", "off", "früh", "a", "text", "another"]


def random_model(kind: str, **settings):
    """Return a configuration and its network, with random weights that matter."""
    from lstm_bench.models.build import build_model

    config = TrialConfig(
        units=3, embedding_dim=4, vocabulary_size=40, sequence_length=7, **settings
    )
    n_classes = 2 if config.head == "sigmoid" else 3
    model = build_model(config, n_classes, 2 if kind == "vectors" else None)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return config, model


def logged_model(folder: Path, kind: str = "tokens", **settings) -> Path:
    """Write the folder of a logged model, as far as exports of networks read it."""
    config, model = random_model(kind, **settings)
    is_tokens = kind == "tokens"
    about = {
        "format": 1,
        "kind": kind,
        "tokenizer": "words" if is_tokens else None,
        "model": "lstm",
        "class_names": NAMES[: max(2, model.output_shape[-1])],
        "config": config.model_dump(),
        "vocabulary": WORDS if is_tokens else [],
        "scaling": None if is_tokens else {"mean": [1.0, 2.0], "std": [2.0, 4.0]},
        "channels": [] if is_tokens else ["x", "y"],
        "example": "text",
        "input_example": INPUTS[kind],
        "suite": "tiny",
        "study": "tiny-1",
        "name": "3 units (trial 0)",
        "run_id": "12ab",
        "replicate": 1,
        "why": "The one of 2 seeds.",
    }
    files = files_of(folder)
    files.mkdir(parents=True)
    (files / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    shutil.copy(inference.__file__, files)
    model.save(files / NETWORK)
    return folder


def examples_for(logged: Path, n: int = 21) -> Examples:
    return Examples(random_sequences(read_about(logged), n), f"{n} examples")


def check_graph(kind: str, **settings) -> None:
    """Compare onnxruntime with Keras; the graph has nodes for layers and no loop."""
    from lstm_bench.export.onnx_graph import NODES, onnx_model

    config, model = random_model(kind, **settings)
    rng = np.random.default_rng(1)
    lengths = [1, 7, 3, 5, 2, 7]
    if kind == "tokens":
        # Ids from 40 on are out of vocabulary.
        sequences = [rng.integers(1, 45, n).astype(np.int32) for n in lengths]
    else:
        sequences = [rng.normal(size=(n, 2)).astype(np.float32) for n in lengths]
    values = config.model_dump()
    outputs = np.asarray(model(batch_of(sequences, values, kind)))
    made = onnx_model(model, config, {})
    kinds = [node.op_type for node in made.graph.node]
    assert kinds.count(NODES[config.cell][0]) == config.num_layers
    assert not {"Loop", "Scan", "If"} & set(kinds)
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = batch_of(sequences, values | {"padding": "post", "masking": True}, kind)
    name, x = ("ids", x) if kind == "tokens" else ("vectors", x[:, :, :-1])
    inputs = {name: x, "lengths": np.array(lengths, np.int32)}
    (proba,) = session.run(["probabilities"], inputs)
    expected = proba_of(outputs, config.head)
    assert expected.std() > 0.02
    np.testing.assert_allclose(proba, expected, atol=1e-6)
    # Alone: another batch, another number of steps.
    inputs = {name: x[2:3, :3], "lengths": np.array([3], np.int32)}
    (alone,) = session.run(["probabilities"], inputs)
    np.testing.assert_allclose(alone[0], expected[2], atol=1e-6)


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
@pytest.mark.parametrize("kind", ["tokens", "vectors"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("is_bidirectional", [False, True])
def test_onnx_gives_the_probabilities_of_keras(
    is_bidirectional, n_layers, pooling, kind, head
):
    for padding in ("pre", "post"):
        check_graph(
            kind,
            bidirectional=is_bidirectional,
            num_layers=n_layers,
            pooling=pooling,
            head=head,
            padding=padding,
        )


@pytest.mark.parametrize("cell", ["gru", "simple_rnn"])
@pytest.mark.parametrize("is_bidirectional", [False, True])
def test_onnx_gives_the_probabilities_of_keras_with_every_cell(cell, is_bidirectional):
    check_graph("tokens", cell=cell, bidirectional=is_bidirectional, num_layers=2)


@pytest.mark.parametrize("pooling", ["attention", "mean_max"])
@pytest.mark.parametrize("masking", [False, True])
def test_onnx_pools_by_attention_and_by_mean_and_maximum(masking, pooling):
    check_graph("vectors", pooling=pooling, masking=masking, padding="pre")


@pytest.mark.parametrize("kind", ["tokens", "vectors"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("padding", ["pre", "post"])
def test_onnx_pads_as_in_training_where_padding_counts(padding, pooling, kind):
    check_graph(
        kind, masking=False, padding=padding, pooling=pooling, bidirectional=True
    )


@pytest.mark.parametrize("kind", ["tokens", "vectors"])
@pytest.mark.parametrize("chop_length", [2, 7, 9])
def test_onnx_cuts_into_segments(chop_length, kind):
    check_graph(
        kind,
        chop_length=chop_length,
        pooling="mean_max",
        bidirectional=True,
        num_layers=2,
    )


SETTINGS = {"padding": "pre", "bidirectional": True}
CHOPPED = {"chop_length": 3, "chop_jitter": True, "pooling": "mean_max"}


@pytest.mark.parametrize(
    ("kind", "head"), [("tokens", "sigmoid"), ("vectors", "softmax")]
)
@pytest.mark.parametrize("form", ["keras", "onnx", "saved_model"])
def test_exported_folder_is_used_as_its_readme_describes(
    form, kind, head, tmp_path, monkeypatch
):
    logged = logged_model(tmp_path / "logged", kind, head=head, **SETTINGS)
    out = tmp_path / "new" / "out"
    difference = export_model(logged, form, out, examples_for(logged))
    assert difference < 1e-6
    assert (out / ABOUT).read_bytes() == (files_of(logged) / ABOUT).read_bytes()
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "on 21 examples: the largest difference" in text
    assert f" is {difference:.1e}" in text
    assert '"früh, spät"' in text
    names = run_readme(out, monkeypatch)
    expected = load(files_of(logged)).predict_proba(
        TEXTS if kind == "tokens" else SERIES
    )
    np.testing.assert_allclose(names["proba"], expected, atol=1e-6)


@pytest.mark.parametrize("form", ["keras", "saved_model"])
def test_exports_of_a_model_with_evidence_have_it(form, tmp_path, monkeypatch):
    settings = {"ngram_evidence": 2, "pooling": "mean_max", "head": "sigmoid"}
    logged = logged_model(tmp_path / "logged", "tokens", **settings, **SETTINGS)
    with (files_of(logged) / EVIDENCE).open("wb") as file:
        np.savez(
            file,
            ngrams_1=np.array([4, 5, 6]),
            values_1=np.array([[1.0, 2.0], [-1.0, 0.5], [3.0, -2.0]], np.float32),
            ngrams_2=np.array([0 << 31 | 5]),
            values_2=np.array([[-2.0, 1.0]], np.float32),
        )
    out = tmp_path / "out"
    assert export_model(logged, form, out, examples_for(logged)) < 1e-6
    names = run_readme(out, monkeypatch)
    whole = load(files_of(logged)).predict_proba(TEXTS)
    np.testing.assert_allclose(names["proba"], whole, atol=1e-6)
    (files_of(logged) / EVIDENCE).unlink()
    with pytest.raises(ExportError, match="--format onnx: the model reads n-gram"):
        export_model(logged, "onnx", tmp_path / "onnx", examples_for(logged))
    assert not (tmp_path / "onnx").exists()


def test_model_of_segments_is_exported_and_predicts_alike(tmp_path):
    settings = {"bidirectional": True, "embedding_dropout": 0.5, **CHOPPED}
    logged = logged_model(tmp_path / "logged", **settings)
    for form in ("keras", "onnx", "saved_model"):
        difference = export_model(logged, form, tmp_path / form, examples_for(logged))
        assert difference < 1e-6
    proba = load(files_of(logged)).predict_proba(TEXTS)
    # With the packed engine, as `predict` has it.
    pytest.importorskip("numba")
    from lstm_bench.packed.serving import fast_forward

    found = load(files_of(logged), fast_forward(print)).predict_proba(TEXTS)
    np.testing.assert_allclose(found, proba, atol=1e-6)
    alone = load(files_of(logged)).predict_proba(TEXTS[:1])
    np.testing.assert_allclose(alone, proba[:1], atol=1e-6)


@pytest.mark.parametrize("form", ["keras", "onnx", "saved_model"])
def test_exports_of_numbers_are_in_the_datas_units(form, tmp_path, monkeypatch):
    logged = logged_model(tmp_path / "logged", "vectors", head="linear")
    about = read_about(logged) | {
        "task": "regression",
        "class_names": [],
        "output_names": ["price", "age", "n"],
        "target_scaling": {"mean": [100.0, -5.0, 0.0], "std": [10.0, 0.5, 2.0]},
    }
    (files_of(logged) / ABOUT).write_text(json.dumps(about))
    out = tmp_path / "out"
    assert export_model(logged, form, out, examples_for(logged)) < 1e-5
    text = (out / "README.md").read_text(encoding="utf-8")
    assert 'in the data\'s units: "price", "age", "n"' in text
    assert "in standard deviations of the targets" in text
    assert not re.search(r"\bproba\b", text)
    expected = load(files_of(logged)).predict_proba(SERIES)
    assert 50 < expected[:, 0].mean() < 150
    predicted = run_readme(out, monkeypatch)["predicted"]
    np.testing.assert_allclose(predicted, expected, rtol=1e-5)


def run_readme(out: Path, monkeypatch) -> dict[str, object]:
    """Run the Python code of an export's README.md; return its names."""
    text = (out / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(out)
    monkeypatch.syspath_prepend(out)
    names: dict[str, object] = {}
    exec(code, names)
    sys.modules.pop("inference", None)
    return names


@pytest.mark.parametrize(
    ("changes", "sequences"),
    [
        (
            {"tokenizer": "categories", "input_example": [["on", "x"], ["off"]]},
            [[1, 4, 2], [1, 5]],
        ),
        ({"tokenizer": None, "vocabulary": []}, [[1, 4, 5], [1, 6]]),
    ],
    ids=["categories", "ids"],
)
def test_readme_reads_categories_and_ids(changes, sequences, tmp_path, monkeypatch):
    logged = logged_model(tmp_path / "logged", head="softmax", truncating="head_tail")
    about = read_about(logged) | changes
    (files_of(logged) / ABOUT).write_text(json.dumps(about))
    export_model(logged, "onnx", tmp_path / "out", examples_for(logged))
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "more than 7 steps the first 3 and the last 4 remain" in text
    names = run_readme(tmp_path / "out", monkeypatch)
    assert [each.tolist() for each in names["sequences"]] == sequences
    assert names["proba"].shape == (2, 3)


def test_onnx_file_has_class_names_and_vocabulary(tmp_path):
    logged = logged_model(tmp_path / "logged")
    export_model(logged, "onnx", tmp_path / "out", examples_for(logged))
    made = onnx.load(tmp_path / "out" / "model.onnx")
    metadata = {entry.key: entry.value for entry in made.metadata_props}
    assert json.loads(metadata["class_names"]) == ["früh, spät", 'a "b"']
    assert json.loads(metadata["vocabulary"]) == WORDS
    assert metadata["tokenizer"] == "words"
    # Texts of the training data stay out.
    assert "input_example" not in metadata
    shapes = {
        each.name: [size.dim_param for size in each.type.tensor_type.shape.dim]
        for each in made.graph.input
    }
    assert shapes == {"ids": ["batch", "time"], "lengths": ["batch"]}


@pytest.mark.parametrize(
    ("form", "change"),
    [("keras", 1e-3), ("onnx", 1e-3), ("saved_model", 1e-3), ("onnx", float("nan"))],
)
def test_wrong_export_is_refused_and_nothing_is_written(
    form, change, tmp_path, tmp_path_factory, monkeypatch
):
    from lstm_bench.models.backend import keras

    logged = logged_model(tmp_path / "logged")
    wrong = tmp_path_factory.mktemp("wrong")
    network = keras.models.load_model(files_of(logged) / NETWORK, compile=False)
    *others, bias = network.get_weights()
    network.set_weights([*others, bias + change])
    files_of(wrong).mkdir(parents=True)
    network.save(files_of(wrong) / NETWORK)
    good = FORMATS[form]
    monkeypatch.setitem(
        FORMATS,
        form,
        dataclasses.replace(
            good, write=lambda _, folder, about: good.write(wrong, folder, about)
        ),
    )
    with pytest.raises(ExportError, match="on 21 examples the largest difference"):
        export_model(logged, form, tmp_path / "out", examples_for(logged))
    assert [p.name for p in tmp_path.iterdir()] == ["logged"]


NONE = Examples([], "")


def test_export_never_overwrites(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match=r"exists already.*--out"):
        export_model(tmp_path, "keras", tmp_path / "out", NONE)


@pytest.mark.parametrize("form", ["keras", "onnx", "saved_model"])
def test_baseline_is_refused(form, tmp_path):
    about = {"model": "majority", "name": "majority", "config": None}
    files_of(tmp_path).mkdir(parents=True)
    (files_of(tmp_path) / ABOUT).write_text(json.dumps(about))
    with pytest.raises(ExportError, match=r"majority is a baseline.*mlflow"):
        export_model(tmp_path, form, tmp_path / "out", NONE)
    assert not (tmp_path / "out").exists()


def test_onnx_without_its_packages_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"pip install 'lstm-bench\[onnx\]'"):
        export_model(tmp_path, "onnx", tmp_path / "out", NONE)


def save_for_mlflow(logged: Path, kind: str) -> None:
    import mlflow

    files = logged.rename(logged.with_name("files"))
    mlflow.pyfunc.save_model(
        logged,
        python_model=str(SCRIPT),
        artifacts={"model": str(files_of(files))},
        model_config={"reads": "texts" if kind == "tokens" else "series"},
        pip_requirements=["mlflow"],
    )


@pytest.mark.parametrize(
    ("kind", "reads"), [("tokens", "texts"), ("vectors", "series")]
)
def test_mlflow_folder_is_the_logged_model(kind, reads, tmp_path, monkeypatch):
    logged = logged_model(tmp_path / "logged", kind, **SETTINGS)
    save_for_mlflow(logged, kind)
    out = tmp_path / "out"
    assert export_model(logged, "mlflow", out, examples_for(logged)) < 1e-6
    assert (out / "MLmodel").read_bytes() == (logged / "MLmodel").read_bytes()
    assert not [*out.rglob("__pycache__")]
    table = run_readme(out, monkeypatch)["table"]
    expected = load(files_of(logged)).predict_proba(
        TEXTS if kind == "tokens" else SERIES
    )
    np.testing.assert_allclose(table.iloc[:, 1:], expected, atol=1e-6)


def test_mlflow_has_baselines(tmp_path):
    logged = logged_model(tmp_path / "logged")
    (files_of(logged) / NETWORK).unlink()
    about = read_about(logged) | {"model": "majority", "config": None}
    (files_of(logged) / ABOUT).write_text(json.dumps(about))
    np.savez(files_of(logged) / ARRAYS, shares=np.array([0.25, 0.75]))
    save_for_mlflow(logged, "tokens")
    assert export_model(logged, "mlflow", tmp_path / "out", examples_for(logged)) == 0.0


def test_mlflow_is_refused_where_words_are_not_known(tmp_path):
    logged = logged_model(tmp_path / "logged")
    about = read_about(logged) | {"vocabulary": []}
    (files_of(logged) / ABOUT).write_text(json.dumps(about))
    with pytest.raises(ExportError, match=r"ids of words.*could read no text"):
        export_model(logged, "mlflow", tmp_path / "out", examples_for(logged))
