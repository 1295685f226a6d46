"""Every field of a suite as Markdown tables, for docs/suites.md."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from lstm_bench.data.registry import (
    FORECAST_FILES,
    OWN_FILES,
    dataset_module,
    dataset_names,
)
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.schema import (
    ConfirmSpec,
    DatasetSpec,
    EnsembleSpec,
    Published,
    StudySpec,
    SuiteFile,
)


def _options_title(name: str) -> str:
    if name == OWN_FILES:
        return "`dataset`, for files of one's own"
    if name == FORECAST_FILES:
        return "`dataset`, with `task: forecast`"
    return f"`dataset.options` of {name}"


PARTS: dict[str, type[BaseModel]] = {
    "The file": SuiteFile,
    "`dataset`": DatasetSpec,
    **{
        _options_title(name): dataset_module(name).Options
        for name in dataset_names()
        if dataset_module(name).Options.model_fields
    },
    "Hyperparameters: `defaults`, `space`, `references`": TrialConfig,
    "`study`": StudySpec,
    "`confirm`": ConfirmSpec,
    "`ensemble`": EnsembleSpec,
    "`published`, a list": Published,
}

_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}


def describe_fields() -> str:
    """Return a heading and a table for each part of a suite."""
    return "\n\n".join(
        f"### {title}\n\n{field_table(model)}" for title, model in PARTS.items()
    )


def field_table(model: type[BaseModel]) -> str:
    """Return the fields of `model` as a Markdown table: meaning, values, default."""
    rows = ["| field | meaning | values | default |", "|---|---|---|---|"]
    schemas = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        # The schema lacks bounds beside a validator.
        schema = schemas[name] | {
            key: getattr(rule, bound)
            for rule in field.metadata
            for bound, key in _BOUNDS.items()
            if hasattr(rule, bound)
        }
        default = "required" if field.is_required() else "none"
        if not isinstance(schema.get("default", {}), dict) and schema["default"] != "":
            default = f"`{json.dumps(schema['default'])}`".replace("`[]`", "none")
            default = default.replace('"', "")
        rows.append(
            f"| `{name}` | {field.description} | {values_text(schema)} | {default} |"
        )
    return "\n".join(rows)


def values_text(schema: dict[str, Any]) -> str:
    """Return the values that a JSON schema allows: ``integer in [1, 8]``."""
    if "anyOf" in schema:
        return " or ".join(values_text(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema or schema["type"] == "object":
        return "mapping"
    if schema["type"] == "array":
        items = schema.get("items") or schema["prefixItems"][0]
        return f"list of {values_text(items)}"
    names = {"string": "text", "boolean": "`true`, `false`", "null": "`null`"}
    kind: str = schema["type"]
    return names.get(kind, kind) + _bounds_text(schema)


def _bounds_text(schema: dict[str, Any]) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        return ""
    if high is None:
        return f" {'≥' if 'minimum' in schema else '>'} {_number(low)}"
    opening = "[" if "minimum" in schema else "("
    closing = "]" if "maximum" in schema else ")"
    return f" in {opening}{_number(low)}, {_number(high)}{closing}"


def _number(value: float) -> str:
    return f"{value:,}".removesuffix(".0")


if __name__ == "__main__":
    print(describe_fields())
