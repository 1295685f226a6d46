"""Parse the axes of ``space:`` and the pairs of ``confirm:``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lstm_bench.errors import SuiteError
from lstm_bench.suites.config import (
    CONFIG_FIELDS,
    SIGNIFICANT_DIGITS,
    TrialConfig,
    Value,
    canonical,
)
from lstm_bench.suites.schema import config_from, did_you_mean
from lstm_bench.suites.space import (
    MIN_RELATIVE_STEP,
    Axis,
    CategoricalAxis,
    FloatAxis,
    IntAxis,
)
from lstm_bench.text import quoted, shortened

_RANGE_KEYS = ("low", "high", "step", "log")


def parse_axis(field: str, value: Any, base: Mapping[str, Any], where: str) -> Axis:
    """Return the axis that `value` declares for `field`; check its endpoints."""
    if field not in CONFIG_FIELDS:
        guess = did_you_mean(field, CONFIG_FIELDS)
        raise SuiteError(
            f"{where}.{shortened(field)}: unknown field{guess}; "
            f"known: {', '.join(CONFIG_FIELDS)}"
        )
    where = f"{where}.{field}"
    axis: Axis
    if isinstance(value, dict) and set(value) == {"choices"}:
        value = value["choices"]
    if isinstance(value, list):
        axis = _parse_choices(field, value, where)
    elif isinstance(value, dict):
        axis = _parse_range(field, value, where)
    else:
        raise SuiteError(
            f"{where}: expected a list of choices or {{low, high, step, log}}, "
            f"got {quoted(value)}"
        )
    checked: list[Value] = []
    for endpoint in axis.endpoints:
        config = config_from(base, {field: endpoint}, where)
        checked.append(getattr(config, field))
    if isinstance(axis, CategoricalAxis):
        # Compared as TrialConfig converts them: 0 and 0.0 are one choice of a float.
        if len(set(checked)) != len(checked):
            raise SuiteError(
                f"{where}: expected distinct choices, got {quoted(value)}; remove the "
                "double"
            )
        axis = CategoricalAxis(tuple(checked))
    return axis


def parse_pair(
    field: str, values: Any, base: Mapping[str, Any], where: str
) -> tuple[Value, ...]:
    """Return the values of `field` that a confirmation compares in pairs."""
    if not isinstance(values, list) or len(values) < 2:
        raise SuiteError(
            f"{where}.{field}: expected a list of at least two values to compare, got "
            f"{quoted(values)}; for example head: [sigmoid, softmax]"
        )
    axis = parse_axis(field, values, base, where)
    if not isinstance(axis, CategoricalAxis):
        raise TypeError(f"{where}.{field}: a list gives choices, got {axis!r}")
    return axis.choices


def _parse_choices(field: str, value: list[Any], where: str) -> CategoricalAxis:
    if not value:
        raise SuiteError(
            f"{where}: expected at least one choice, got []; "
            f"remove the axis to use defaults.{field}"
        )
    for choice in value:
        if isinstance(choice, (list, dict)):
            raise SuiteError(f"{where}: expected plain values, got {quoted(choice)}")
    return CategoricalAxis(tuple(value))


def _parse_range(field: str, value: dict[str, Any], where: str) -> IntAxis | FloatAxis:
    for key in value:
        if key not in _RANGE_KEYS:
            guess = did_you_mean(str(key), _RANGE_KEYS)
            raise SuiteError(
                f"{where}.{shortened(str(key))}: unknown key{guess}; "
                f"known: {', '.join(_RANGE_KEYS)}"
            )
    missing = [key for key in ("low", "high") if key not in value]
    if missing:
        raise SuiteError(f"{where}: expected low and high, {missing[0]} is missing")
    annotation = TrialConfig.model_fields[field].annotation
    if annotation not in (int, float, int | None, float | None):
        raise SuiteError(
            f"{where}: a range needs a number, {field} is none; give a list of choices"
        )
    is_float = annotation in (float, float | None)
    number: type[int] | type[float] = float if is_float else int
    read: dict[str, Any] = {"log": value.get("log", False)}
    if not isinstance(read["log"], bool):
        raise SuiteError(
            f"{where}.log: expected true or false, got {quoted(read['log'])}"
        )
    kind = "an integer" if number is int else "a finite number"
    for key in ("low", "high", "step"):
        given: Any = value.get(key)
        if given is None and key == "step":
            continue
        try:
            exact = float(given) if not isinstance(given, bool) else math.nan
            # As the one float that is compared and hashed later.
            read[key] = int(given) if number is int else canonical(exact)
            is_one = math.isfinite(exact) and (number is float or read[key] == exact)
        except (TypeError, ValueError, OverflowError):
            is_one = False
        if not is_one:
            raise SuiteError(f"{where}.{key}: expected {kind}, got {quoted(given)}")
    if read["low"] > read["high"]:
        raise SuiteError(
            f"{where}: expected low <= high, got {read['low']} > {read['high']}"
        )
    if "step" in read and read["step"] <= 0:
        raise SuiteError(f"{where}.step: expected more than 0, got {read['step']}")
    least = MIN_RELATIVE_STEP * read["high"] if number is float else 1
    if read.get("step", least) < least:
        raise SuiteError(
            f"{where}.step: expected at least {MIN_RELATIVE_STEP:g} of high, got "
            f"{read['step']}: such values are compared to {SIGNIFICANT_DIGITS} "
            "digits; leave step out for a continuous axis"
        )
    if read["log"] and ("step" in read or read["low"] <= 0):
        raise SuiteError(
            f"{where}.log: a log scale needs low > 0 and no step; remove one of them"
        )
    return IntAxis(**read) if number is int else FloatAxis(**read)
