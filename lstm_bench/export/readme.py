"""The README.md beside an exported model: what it is, and how to use it."""

from __future__ import annotations

import json

from lstm_bench.data.dataset import VECTORS
from lstm_bench.export.formats import ONNX_FILE, SAVED_MODEL_FOLDER, About
from lstm_bench.inference import NETWORK
from lstm_bench.text import listed

_TEXT = """\
# {title}

{why}

- Classes, in the order of their probabilities: {classes}
- Study `{study}`, MLflow run `{run_id}`
- {checked}

`about.json` has the class names, the vocabulary or the scaling, and the configuration.
`inference.py` turns texts or series into the model's input; it needs NumPy alone.
{inputs}
In Python, in this folder, with {packages} installed:

```python
import json

import numpy as np

import inference

with open("about.json", encoding="utf-8") as file:
    about = json.load(file)
{read}
{run}
print(about["class_names"], proba)
```
"""

_WORDS = """\
index = inference.index_of(about["vocabulary"])
sequences = [inference.ids_of(each, index) for each in words]"""

_READ = {
    "text": f"""\
texts = ["one text", "another"]
words = [inference.tokenize(text, about["tokenizer"]) for text in texts]
{_WORDS}""",
    "categories": f"""\
words = [["one category", "another"], ["another"]]
{_WORDS}""",
    "ids": """\
# Ids of words; the first is 1.
sequences = [np.array([1, 4, 5], np.int32), np.array([1, 6], np.int32)]""",
    "vectors": """\
n_channels = len(about["channels"])
series = [np.zeros((5, n_channels)), np.ones((3, n_channels))]
mean, std = np.array(about["scaling"]["mean"]), np.array(about["scaling"]["std"])
sequences = [((each - mean) / std).astype(np.float32) for each in series]""",
}

_PACKAGES = {
    "keras": "keras and tensorflow",
    "onnx": "numpy and onnxruntime",
    "saved_model": "tensorflow",
}

_RUN = {
    "keras": f"""\
import keras

x = inference.batch_of(sequences, about["config"], about["kind"])
outputs = keras.models.load_model("{NETWORK}", compile=False).predict(x)
proba = inference.proba_of(outputs, about["config"]["head"])""",
    "onnx": f"""\
import onnxruntime

session = onnxruntime.InferenceSession("{ONNX_FILE}")
at_the_end = about["config"] | {{"padding": "post", "masking": True}}
x = inference.batch_of(sequences, at_the_end, about["kind"])
lengths = [min(len(s), x.shape[1]) for s in sequences]
inputs = {{"ids": x, "lengths": np.array(lengths, np.int32)}}
(proba,) = session.run(["probabilities"], inputs)""",
    "saved_model": f"""\
import tensorflow as tf

model = tf.saved_model.load("{SAVED_MODEL_FOLDER}")
x = inference.batch_of(sequences, about["config"], about["kind"])
proba = model.serve(x).numpy()""",
}

_ONNX_INPUTS = """
Inputs of `{file}`, from any language:

- {sequences}; sequences are padded with 0 at the end, and a sequence of more than
  {limit} steps is cut at its {cut};
- `lengths`: int32 of shape (batch,), the number of steps of each, from 1 to time.

Its output `probabilities` is float32 of shape (batch, classes). Class names, vocabulary
and the rest of `about.json` are in its metadata, too.
"""

_TOKENS = (
    "`ids`: int32 of shape (batch, time): 1 begins each sequence, 4 is the first word "
    "of the\n  vocabulary, 5 the second, and 2 any word that it lacks"
)
_VECTORS = (
    "`vectors`: float32 of shape (batch, time, channels), from which the `mean` of "
    "`scaling`\n  was subtracted, and which were divided by its `std`"
)


def readme(form: str, about: About, checked: str) -> str:
    """Return the text of README.md, in Markdown.

    Parameters
    ----------
    form : {"keras", "onnx", "saved_model"}
    checked : str
        A sentence on what the export was compared with.
    """
    is_vectors = about["kind"] == VECTORS
    run, inputs = _RUN[form], ""
    if form == "onnx":
        config = about["config"]
        if is_vectors:
            run = run.replace('"ids": x', '"vectors": x[:, :, :-1]')
        inputs = _ONNX_INPUTS.format(
            file=ONNX_FILE,
            sequences=_VECTORS if is_vectors else _TOKENS,
            limit=config["sequence_length"],
            cut="start" if config["truncating"] == "pre" else "end",
        )
    return _TEXT.format(
        title=f"{about['suite']}: {about['name']}",
        why=about["why"],
        classes=listed(json.dumps(c, ensure_ascii=False) for c in about["class_names"]),
        study=about["study"],
        run_id=about["run_id"],
        checked=checked,
        inputs=inputs,
        packages=_PACKAGES[form],
        read=_READ[_reads(about)],
        run=run,
    )


def _reads(about: About) -> str:
    if about["kind"] == VECTORS:
        return "vectors"
    if not about["vocabulary"]:
        return "ids"
    return "categories" if about["tokenizer"] == "categories" else "text"
