from __future__ import annotations

import pytest
from conftest import ROOT
from pydantic import BaseModel, Field

from lstm_bench.suites.describe import PARTS, describe_fields, field_table


def test_described_fields_are_those_in_the_documentation() -> None:
    page = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
    introduction, _, fields = page.partition("## Fields\n\n")
    assert fields == describe_fields() + "\n", (
        "docs/suites.md: replace what follows '## Fields' by the output of "
        "python -m lstm_bench.suites.describe"
    )
    assert "lstm-bench suites copy" in introduction


@pytest.mark.parametrize("model", PARTS.values(), ids=PARTS)
def test_described_fields_have_a_sentence_each(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert (field.description or "").endswith("."), name


def test_field_table_has_values_and_defaults() -> None:
    class Part(BaseModel):
        a: int = Field(3, ge=1, le=4000, description="A.")
        b: float | None = Field(None, gt=0, description="B.")
        c: str = Field(description="C.")

    assert field_table(Part).splitlines()[2:] == [
        "| `a` | A. | integer in [1, 4,000] | `3` |",
        "| `b` | B. | number > 0 or `null` | `null` |",
        "| `c` | C. | text | required |",
    ]
