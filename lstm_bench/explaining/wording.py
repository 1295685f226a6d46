"""How a page speaks of what a model gives: the probability of a class, or a number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from lstm_bench.data.dataset import VECTORS
from lstm_bench.explaining.explanation import NGRAMS, Explanation
from lstm_bench.report.figures.style import class_label


class Wording(ABC):
    """The words and formats in which explanations differ.

    Attributes
    ----------
    step : str
        A step of the input: "word" or "step".
    what : str
        The input: "text", "series" or "window".
    target : str
        Name of the explained class or number.
    said : str
        Name of what the model gives: ``p(good)``, or the number's.
    course : str
        What runs from step to step, in a sentence.
    score : str
        Name of what contributions add up to.
    unit : str
        Unit of contributions.
    towards, against : str
        What a positive and a negative contribution does.
    formats : tuple of str
        Formats of contributions and of what the model gives, in tables.
    start : str
        The input that integrated gradients begin at.
    nothing : str
        How a score without the input's steps is named.
    deletes, lacking : str
        What a deletion does, and the input that results.
    constant : str
        What the contributions of units leave of the score.
    again : str
        What the trainings of other seeds differ in.
    """

    said: str
    course: str
    constant: str
    score: str
    unit: str
    towards: str
    against: str
    formats: tuple[str, str]
    again = "trained with another seed and split"

    def __init__(self, found: Explanation) -> None:
        self.found = found
        self.step, self.what = "word", "text"
        self.start = "an empty text"
        self.nothing = "with padding in place of every token"
        if found.kind == VECTORS:
            self.step, self.what = "step", "series"
            self.start = "a series with every channel at its mean over train"
            self.nothing = "with every channel at its mean over train"
        if found.method == NGRAMS:
            self.nothing = "without any n-gram"
        self.deletes = f"leaves the {self.step} out"
        self.lacking = f"a {self.what} without a {self.step}"
        self.target = class_label(found.target_name)

    @property
    def colours(self) -> str:
        """What the colours mean, as part of a sentence."""
        return f"blue {self.towards} {self.target}, orange {self.against} it"

    @abstractmethod
    def answer(self) -> str:
        """Return what the model gives, in a sentence or two."""

    @abstractmethod
    def turning(self) -> tuple[str, str]:
        """Return a question on the course of what the model gives, and its answer."""

    @abstractmethod
    def seeds(self) -> str:
        """Return what all seeds give, in a sentence."""

    @abstractmethod
    def value(self, value: float) -> str:
        """Return what the model gives, as text."""

    @abstractmethod
    def scored(self, value: float) -> str:
        """Return a score, as text."""

    @abstractmethod
    def contribution(self, value: float, digits: int = 2) -> str:
        """Return a contribution to the score, with its sign."""

    @abstractmethod
    def given(self, scores: Any) -> list[float]:
        """Return scores as the model gives them."""

    @abstractmethod
    def column(self, name: str) -> str:
        """Return the column's name of a class or number."""

    @property
    @abstractmethod
    def least(self) -> float:
        """Below this a difference of scores is too small to compare a gap with."""


class OfClass(Wording):
    """Of the most probable class."""

    towards, against = "speaks for", "against"
    constant = "the head's bias"
    course = "the probability"
    formats = ("signed", "score")
    least = 0.1

    def __init__(self, found: Explanation) -> None:
        super().__init__(found)
        self.said = f"p({self.target})"
        self.score = self.unit = f"log-odds of {self.target}"

    def answer(self) -> str:
        """Return the class, its probability, and whether it is right."""
        found = self.found
        p = found.proba[found.target]
        text = f"The model says {self.target}, with probability {p:.3f}."
        if found.true_class is None:
            return text
        if found.true_class == found.target_name:
            return f"{text} That is right."
        return f"{text} Its true class is {class_label(found.true_class)}."

    def turning(self) -> tuple[str, str]:
        """Return where the most probable class becomes the final one."""
        found = self.found
        if found.turn is None:
            text = f"Nowhere: {self.target} is ahead from the first step on."
        else:
            text = (
                f"At “{found.steps[found.turn]}”, step {found.turn + 1} of "
                f"{len(found.steps)}: from there on {self.target} is the most probable "
                "class."
            )
        return "where it turns", text

    def seeds(self) -> str:
        """Return how many seeds give the class."""
        found = self.found
        n_same = sum(seed.predicted == found.target for seed in found.seeds) + 1
        return f"{n_same} of {len(found.seeds) + 1} seeds say {self.target}."

    def value(self, value: float) -> str:
        """Return a probability with three decimals."""
        return f"{value:.3f}"

    def scored(self, value: float) -> str:
        """Return log-odds with three decimals."""
        return signed(value)

    def contribution(self, value: float, digits: int = 2) -> str:
        """Return log-odds with some decimals."""
        return signed(value, digits)

    def given(self, scores: Any) -> list[float]:
        """Return log-odds as probabilities."""
        p: list[float] = (0.5 * (1.0 + np.tanh(0.5 * np.asarray(scores)))).tolist()
        return p

    def column(self, name: str) -> str:
        """Return the name of the class's probability."""
        return f"p_{name}"


class OfNumber(Wording):
    """Of a number, in the data's units."""

    towards, against = "raises", "lowers"
    constant = "a constant (the head's bias and the targets' mean in train)"
    formats = ("signed_digits", "score_digits")

    def __init__(self, found: Explanation) -> None:
        super().__init__(found)
        self.said = self.course = self.score = self.target
        self.unit = f"the unit of {self.target}"

    def answer(self) -> str:
        """Return the number, and the true one."""
        found = self.found
        predicted = self.value(found.proba[found.target])
        text = f"The model predicts {self.target} {predicted}."
        if found.true_value is not None:
            text += f" The true value is {self.value(found.true_value)}."
        return text

    def turning(self) -> tuple[str, str]:
        """Return the step at which the running number changes most."""
        found = self.found
        course = [row[found.target] for row in found.running]
        if len(course) < 2:
            text = "There is one step."
        else:
            at = int(np.abs(np.diff(course)).argmax()) + 1
            before, after = self.value(course[at - 1]), self.value(course[at])
            text = (
                f"At “{found.steps[at]}”, step {at + 1} of {len(course)}: from "
                f"{before} to {after}."
            )
        return "where it moves most", text

    def seeds(self) -> str:
        """Return the range of what the seeds predict."""
        found = self.found
        numbers = [found.proba[found.target], *(seed.proba for seed in found.seeds)]
        low, high = self.value(min(numbers)), self.value(max(numbers))
        return f"{len(numbers)} seeds predict {self.target} from {low} to {high}."

    def value(self, value: float) -> str:
        """Return a number with four digits."""
        return f"{value:.4g}".replace("-", "−")

    def scored(self, value: float) -> str:
        """Return a number, which is its own score."""
        return self.value(value)

    def contribution(self, value: float, digits: int = 2) -> str:
        """Return a number with three digits, whatever `digits` are."""
        return f"{value:+.3g}".replace("-", "−")

    def given(self, scores: Any) -> list[float]:
        """Return the numbers."""
        return list(scores)

    def column(self, name: str) -> str:
        """Return the number's name."""
        return name

    @property
    def least(self) -> float:
        """Where contributions cancel, a share of what they are."""
        return 0.1 * float(np.abs(self.found.attribution).sum())


class OfForecast(OfNumber):
    """Of a step ahead, or the mean of all, in the unit of the series."""

    formats = ("signed_digits", "six_digits")
    again = "trained with other initial weights and another order of the windows"
    constant = (
        "a constant (the head's bias, the targets' mean in train and the last known "
        "value)"
    )

    def __init__(self, found: Explanation) -> None:
        super().__init__(found)
        if found.target == len(found.class_names) - 1:
            self.target = f"the {self.target}"
        self.said = self.course = self.score = self.target
        self.what, self.unit = "window", "the unit of the series"
        self.start = "a window with every step at the last known value"
        self.nothing = "with every step at the last known value"
        self.deletes = f"puts the last known value in the {self.step}'s place"
        self.lacking = "a window with the last known value in a step's place"

    def answer(self) -> str:
        """Return the forecast, the last known value, and the true one."""
        found = self.found
        assert found.ahead is not None
        text = (
            f"The model forecasts {self.value(found.proba[found.target])} for "
            f"{self.target}; the last known value is {self.value(found.ahead.level)}."
        )
        if found.true_value is not None:
            text += f" The true value is {self.value(found.true_value)}."
        return text

    def value(self, value: float) -> str:
        """Return a number with six digits: forecasts may differ in the last ones."""
        return f"{value:.6g}".replace("-", "−")


def wording_of(found: Explanation) -> Wording:
    """Return the words for an explanation."""
    if found.ahead is not None:
        return OfForecast(found)
    return OfNumber(found) if found.is_numeric else OfClass(found)


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign and some decimals."""
    return f"{value:+.{digits}f}".replace("-", "−")
