"""What a suite may set for files of one's own."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from lstm_bench.tasks import CLASSIFICATION

FormatName = Literal[
    "csv", "tsv", "jsonl", "parquet", "fasttext", "ts", "ucr", "npz", "folder"
]
PARTS = ("train", "validation", "test")
MAX_NAME = 1000


def _column_name(value: object) -> object:
    """Return the name of a column that is given by its number."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


_Path = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
_Column = Annotated[
    str, BeforeValidator(_column_name), StringConstraints(max_length=MAX_NAME)
]


class FileOptions(BaseModel):
    """What a suite may set under ``dataset``, beside or in place of a name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    file: _Path | None = Field(
        None,
        description="The file or folder with all examples. In place of it, `train` "
        "with `validation` and `test`.",
    )
    train: _Path | None = Field(None, description="File or folder of the train part.")
    validation: _Path | None = Field(
        None,
        description="File or folder of the validation part. null: a share of train.",
    )
    test: _Path | None = Field(
        None,
        description="File or folder of the test part. null: `split`, else "
        "`test_fraction` of the examples.",
    )
    format: FormatName | None = Field(
        None,
        description="Format of the files. null: according to their names. csv may "
        "have semicolons in place of commas.",
    )
    header: bool | None = Field(
        None,
        description="Whether the first row of a CSV or TSV file names the columns; "
        "without names they are called 1, 2, ... null: unless the row is all numbers.",
    )
    text: _Column | None = Field(
        None, description="Column of the texts. null: inferred from names, then types."
    )
    label: _Column | None = Field(
        None,
        description="Column of the classes, or numbers. null: inferred likewise.",
    )
    task: Literal["classification", "regression"] = Field(
        "classification",
        description="What the labels are: classes (classification), or numbers to "
        "predict (regression).",
    )
    series: _Column | None = Field(
        None,
        description="In a table with one row per step: the column that names the "
        "series.",
    )
    step: _Column | None = Field(
        None,
        description="The column that orders the steps of a series: numbers or ISO "
        "dates. null: the order of the rows.",
    )
    values: tuple[_Column, ...] | None = Field(
        None,
        description="Columns of the values: numbers, or one column of categories. "
        "null: all numeric columns that have no other purpose.",
    )
    shape: tuple[int, int] | None = Field(
        None,
        description="[steps, channels] of a series that one row holds, step by step. "
        "null: [columns, 1].",
    )
    split: _Column | None = Field(
        None,
        description="Column with the part of each example: train, validation (val, "
        "dev) or test; or 0, 1, 2. null: a column called split, if there is one.",
    )
    group: _Column | None = Field(
        None,
        description="Column whose values never stand in two parts, for example a "
        "person.",
    )
    time: _Column | None = Field(
        None,
        description="Column of numbers or ISO dates: the oldest examples are train, "
        "the newest test.",
    )
    tokens: Literal["words", "words_and_punctuation", "whitespace", "characters"] = (
        Field(
            "words",
            description="How a text is divided: words as Keras's tokenizer does (lower "
            "case, without punctuation), words in lower case and each "
            "punctuation mark, at white space, or into characters.",
        )
    )
    numeric_labels_are_classes: bool | None = Field(
        None,
        description="Whether numbers as labels are classes. null: at most 20 "
        "different integers are; for others there is an error that asks.",
    )
    test_fraction: float = Field(
        0.2,
        gt=0,
        le=0.5,
        description="Share of the examples that becomes the test part if none is "
        "given.",
    )
    on_bad_rows: Literal["error", "drop"] = Field(
        "error",
        description="What happens to rows that cannot be read: an error that names "
        "the first of them, or they are dropped and counted.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.file is None) == (self.train is None):
            raise ValueError("expected exactly one of file and train")
        if self.file is not None and (self.validation or self.test):
            raise ValueError(
                "expected file alone, or train with validation and test; got file "
                "and another"
            )
        if self.task != CLASSIFICATION and self.numeric_labels_are_classes is not None:
            raise ValueError(
                "expected task: regression alone, got numeric_labels_are_classes, too"
            )
        if self.shape is not None and min(self.shape) < 1:
            raise ValueError(f"shape: expected positive sizes, got {list(self.shape)}")
        if self.text is not None and (self.series or self.values or self.shape):
            raise ValueError("expected text, or series, values and shape; got both")
        if self.series is not None and self.shape is not None:
            raise ValueError("shape: expected without series, whose rows are steps")
        if self.step is not None and self.series is None:
            raise ValueError("step: expected together with series")
        return self
