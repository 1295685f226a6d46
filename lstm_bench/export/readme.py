"""The README.md beside an exported model: what it is, and how to use it."""

from __future__ import annotations

import json
import re
import shlex

from lstm_bench.data.dataset import VECTORS
from lstm_bench.export.formats import MLFLOW, ONNX_FILE, SAVED_MODEL_FOLDER, About
from lstm_bench.inference import NETWORK, heads_of
from lstm_bench.text import listed

_HEAD = """\
# {title}

{why}

- {targets}
- Study `{study}`, MLflow run `{run_id}`
- {checked}
"""

_NETWORK = """
`about.json` has the class names, the vocabulary or the scaling, and the configuration.
`inference.py` turns texts or series into the model's input; it needs NumPy alone.
{inputs}
In Python, in this folder, with {packages} installed:

```python
import json
from pathlib import Path

import numpy as np

import inference

with open("about.json", encoding="utf-8") as file:
    about = json.load(file)
{read}
{run}
print(about["class_names"], proba)
```
"""

_MLFLOW = """
In Python, in this folder, with the packages of `requirements.txt` installed:

```python
import mlflow

model = mlflow.pyfunc.load_model(".")
table = model.predict({example})
print(table)
```

As a server, in this folder:

```sh
mlflow models serve -m . --env-manager local --port 5001
curl http://127.0.0.1:5001/invocations -H "Content-Type: application/json" \\
    -d {request}
```
"""

_WORDS = """\
index = inference.index_of(about["vocabulary"])
sequences = [inference.ids_of(each, index) for each in words]"""

_READ = {
    "text": f"""\
texts = about["input_example"]
words = [inference.tokenize(text, about["tokenizer"]) for text in texts]
{_WORDS}""",
    "categories": f"""\
words = about["input_example"]
{_WORDS}""",
    "ids": """\
# Ids of words; the first is 1.
sequences = [np.array([1, 4, 5], np.int32), np.array([1, 6], np.int32)]""",
    "vectors": """\
series = about["input_example"]
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

evidence = inference.evidence_in(Path("."))
x = inference.batch_of(sequences, about["config"], about["kind"], evidence)
outputs = keras.models.load_model("{NETWORK}", compile=False).predict(x)
head, scaling = about["config"]["head"], about.get("target_scaling")
proba = inference.proba_of(outputs, head, scaling)""",
    "onnx": f"""\
import onnxruntime

session = onnxruntime.InferenceSession("{ONNX_FILE}")
at_the_end = about["config"] | {{"padding": "post", "masking": True}}
x = inference.batch_of(sequences, at_the_end, about["kind"])
lengths = [min(len(s), x.shape[1]) for s in sequences]
inputs = {{"ids": x, "lengths": np.array(lengths, np.int32)}}
(proba,) = session.run(None, inputs)""",
    "saved_model": f"""\
import tensorflow as tf

model = tf.saved_model.load("{SAVED_MODEL_FOLDER}")
evidence = inference.evidence_in(Path("."))
x = inference.batch_of(sequences, about["config"], about["kind"], evidence)
proba = model.serve(x).numpy()""",
}

_ONNX_INPUTS = """
Inputs of `{file}`, from any language:

- {sequences};
- of a sequence of more than {limit} steps {kept} remain, and a shorter one than the
  longest of its batch is padded with 0 at the end;
- `lengths`: int32 of shape (batch,), the number of steps of each, from 1 to time.

Its output {output}. Class names, vocabulary and the rest of `about.json` are in its
metadata, too.
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
    form : str
        One of `FORMATS`.
    checked : str
        A sentence on what the export was compared with.
    """
    head = _HEAD.format(
        title=f"{about['suite']}: {about['name']}",
        why=about["why"],
        targets=_targets(about),
        study=about["study"],
        run_id=about["run_id"],
        checked=checked,
    )
    if form == MLFLOW:
        example = about["input_example"]
        request = shlex.quote(json.dumps({"inputs": example}))
        return head + _MLFLOW.format(example=example, request=request)
    run, inputs = _RUN[form], ""
    if form == "onnx":
        is_vectors = about["kind"] == VECTORS
        limit = about["config"]["sequence_length"]
        if is_vectors:
            run = run.replace('"ids": x', '"vectors": x[:, :, :-1]')
        inputs = _ONNX_INPUTS.format(
            file=ONNX_FILE,
            sequences=_VECTORS if is_vectors else _TOKENS,
            limit=limit,
            kept=_kept_text(limit, about["config"]["truncating"]),
            output="`predictions` is float32 of shape (batch, outputs)"
            if about.get("output_names")
            else "`probabilities` is float32 of shape (batch, classes)",
        )
    text = head + _NETWORK.format(
        inputs=inputs, packages=_PACKAGES[form], read=_READ[_reads(about)], run=run
    )
    if about.get("output_names"):
        text = re.sub(r"\bproba\b", "predicted", text)
        text = text.replace('about["class_names"]', 'about["output_names"]')
    return text


def _kept_text(limit: int, truncating: str) -> str:
    n_first = heads_of(limit, truncating)
    parts = {"first": n_first, "last": limit - n_first}
    return " and ".join(f"the {which} {n}" for which, n in parts.items() if n)


def _targets(about: About) -> str:
    if names := about.get("output_names"):
        what = "Numbers that it predicts, in the data's units"
    else:
        names, what = (
            about["class_names"],
            "Classes, in the order of their probabilities",
        )
    return f"{what}: {listed(json.dumps(c, ensure_ascii=False) for c in names)}"


def _reads(about: About) -> str:
    if about["kind"] == VECTORS:
        return "vectors"
    if not about["vocabulary"]:
        return "ids"
    return "categories" if about["tokenizer"] == "categories" else "text"
