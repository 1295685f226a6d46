"""Models without a network, to compare the LSTMs with.

They read whole sequences, with the full vocabulary or as scaled for the LSTMs, and are
fitted on exactly the training sequences of a replicate. Their settings are fixed here;
where a paper gives none, they were chosen on held-out training reviews of IMDB, never
on its test set, or are scikit-learn's defaults.

What a fit results in are arrays, from which `lstm_bench.inference` computes
probabilities, or numbers, with NumPy alone.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_bench.arrays import FloatArray
from lstm_bench.data.dataset import (
    VECTORS,
    Dataset,
    Kind,
    Sequences,
    sequences_digest,
)
from lstm_bench.data.splits import Splits
from lstm_bench.system.files import replacing
from lstm_bench.system.folders import cache_folder
from lstm_bench.tasks import CLASSIFICATION, FORECAST, REGRESSION, TaskName
from lstm_bench.training.baselines.forecasts import (
    RIDGE_ALPHAS,
    fit_linear_ar,
    fit_naive,
    fit_seasonal_naive,
)
from lstm_bench.training.baselines.ngrams import (
    NB_ALPHA,
    NB_C,
    RIDGE_ALPHA,
    TFIDF_C,
    fit_nb_lr,
    fit_tfidf_lr,
    fit_tfidf_ridge,
)
from lstm_bench.training.baselines.predictor import Predictor
from lstm_bench.training.baselines.series import (
    SUMMARY_C,
    fit_dtw_1nn,
    fit_summary_lr,
    fit_summary_ridge,
    too_large_for_dtw,
)
from lstm_bench.training.result import Prediction, prediction_of

# Part of the cache key: increase it when a baseline's results change.
_FORMAT = 1


@dataclass(frozen=True)
class Baseline:
    """A baseline: its name, label, description, source and fit function.

    ``fit(train, n_targets)`` is deterministic; n_targets is the number of classes, or
    of numbers to predict. ``kinds`` are the kinds of sequences that it can read, and
    ``tasks`` are what it can be used for. ``too_large(train, parts)``, where there is
    one, returns why fitting it on `train` and predicting `parts` would take too long,
    or None.
    """

    name: str
    label: str
    description: str
    source: str
    fit: Callable[[Sequences, int], Predictor]
    kinds: tuple[Kind, ...] = ("tokens",)
    too_large: Callable[[Sequences, list[Sequences]], str | None] | None = None
    tasks: tuple[TaskName, ...] = (CLASSIFICATION,)


@dataclass(frozen=True)
class BaselineResult:
    """The result of one baseline.

    Attributes
    ----------
    predictions : tuple of Prediction
        On "val", and on "test" if it was scored.
    n_features : int
        Distinct n-grams of the training sequences, or summary statistics; 0 for the
        majority class and nearest neighbours.
    train_time_s : float
        Time of computing features and fitting; of the original fit if `cached`.
    cached : bool
        Whether it was read from disk and not fitted now.
    notes : tuple of str
        Remarks for readers of the results.
    """

    name: str
    predictions: tuple[Prediction, ...]
    n_features: int
    train_time_s: float
    cached: bool
    notes: tuple[str, ...] = ()


def baselines_of(kind: Kind, task: TaskName = "classification") -> dict[str, Baseline]:
    """Return the baselines of `task` that read sequences of `kind`, by name."""
    return {
        name: baseline
        for name, baseline in BASELINES.items()
        if kind in baseline.kinds and task in baseline.tasks
    }


def why_not_run(name: str, splits: Splits, *, score_test: bool) -> str | None:
    """Return why baseline `name` would take too long, or None if it would not.

    Parameters
    ----------
    score_test : bool
        Whether ``splits.test`` would be predicted, too.
    """
    too_large = BASELINES[name].too_large
    if too_large is None:
        return None
    parts = [splits.val, splits.test] if score_test else [splits.val]
    return too_large(splits.train, parts)


def run_baseline(
    name: str, dataset: Dataset, splits: Splits, *, score_test: bool
) -> BaselineResult:
    """Fit baseline `name` on ``splits.train``, or read an earlier fit's predictions.

    Where models are trained again at every test origin, so is the baseline.
    Probabilities are cached in `cache_folder`; if the cache cannot be written, the
    result has a note.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    dataset : Dataset
        The dataset that `splits` was made from.
    score_test : bool
        Whether to predict ``splits.test``, too; otherwise it is not used.

    Raises
    ------
    ValueError
        No such baseline.
    """
    if name not in BASELINES:
        raise ValueError(
            f"baseline: expected one of {', '.join(BASELINES)}, got {name!r}"
        )
    parts = {"val": (splits.val, splits.val_index)}
    if score_test:
        parts["test"] = (splits.test, np.arange(len(splits.test)))
    key = _cache_key(name, dataset, splits)
    files = {split: cache_folder("baselines", f"{key}-{split}.npz") for split in parts}
    found = {split: _read_cache(file) for split, file in files.items()}
    fits = {split: fit for split, fit in found.items() if fit is not None}
    cached = len(fits) == len(parts)
    notes = []
    if not cached:
        # Import now: import time is not fitting time.
        for module in ("sklearn.feature_extraction.text", "sklearn.linear_model"):
            importlib.import_module(module)
        start = time.perf_counter()
        predictor = BASELINES[name].fit(splits.train, dataset.n_targets)
        train_time_s = time.perf_counter() - start
        # Rewrite all splits, so that the files of one key come from one fit.
        for split, (part, _) in parts.items():
            y_proba = predictor.predict_proba(part)
            if split == "test":
                for known, test, rows in splits.at_origins(dataset):
                    again = BASELINES[name].fit(known, dataset.n_targets)
                    y_proba[rows] = again.predict_proba(test)
            fits[split] = _Fit(y_proba, predictor.n_features, train_time_s)
        try:
            for split, fit in fits.items():
                _write_cache(files[split], fit)
        except OSError as error:
            notes.append(
                f"The predictions of baseline {name} could not be cached: "
                f"{error.strerror or type(error).__name__}."
            )
    return BaselineResult(
        name,
        tuple(
            prediction_of(split, part, index, fits[split].y_proba)
            for split, (part, index) in parts.items()
        ),
        fits["val"].n_features,
        fits["val"].train_time_s,
        cached,
        tuple(notes),
    )


def fit_majority(train: Sequences, n_classes: int) -> Predictor:
    """Return the class shares of `train` as the probabilities of every sequence."""
    shares = np.bincount(train.y, minlength=n_classes) / len(train)
    return Predictor("majority", {"shares": shares}, n_classes)


def fit_train_mean(train: Sequences, n_outputs: int) -> Predictor:
    """Return the mean target of `train` for every sequence."""
    return Predictor("train_mean", {"mean": train.y.mean(axis=0)}, n_outputs)


BASELINES: dict[str, Baseline] = {
    b.name: b
    for b in (
        Baseline(
            "majority",
            "majority class",
            "Gives every example the class shares of the training examples: what "
            "knowing nothing but the classes' frequencies achieves.",
            "scikit-learn calls it DummyClassifier(strategy='prior')",
            fit_majority,
            ("tokens", VECTORS),
        ),
        Baseline(
            "tfidf_lr",
            "TF-IDF + logistic regression",
            "Logistic regression on TF-IDF weights of all 1- and 2-grams of whole "
            f"sequences (sublinear tf, smoothed idf, L2 penalty, C = {TFIDF_C:g}).",
            "Salton and Buckley, Information Processing & Management 24(5), 1988",
            fit_tfidf_lr,
        ),
        Baseline(
            "nb_lr",
            "NB + logistic regression",
            "Logistic regression on all 1- and 2-grams of whole sequences, each there "
            "or not, scaled by naive Bayes's log-count ratios (alpha = "
            f"{NB_ALPHA:g}, L2 penalty, C = {NB_C:g}).",
            "Wang and Manning, Baselines and Bigrams, ACL 2012; logistic regression "
            "as in Mesnil et al., ICLR 2015 workshop",
            fit_nb_lr,
        ),
        Baseline(
            "summary_lr",
            "summary statistics + logistic regression",
            "Multinomial logistic regression on the length of a series and, of each "
            "channel, its mean, standard deviation, minimum, maximum, first and last "
            "value and mean absolute difference of neighbours (standardised, L2 "
            f"penalty, C = {SUMMARY_C:g}).",
            "scikit-learn's StandardScaler and LogisticRegression",
            fit_summary_lr,
            (VECTORS,),
        ),
        Baseline(
            "dtw_1nn",
            "1-nearest neighbour, DTW",
            "The class of the nearest training series by dynamic time warping: all "
            "channels warped together, squared Euclidean local costs, no window. Its "
            "probability is how often the nearest other series is right in train, with "
            "1 added to right and to wrong; the other classes share the rest equally.",
            "DTW_D in Bagnall et al., The UEA multivariate time series classification "
            "archive, 2018, arXiv:1811.00075",
            fit_dtw_1nn,
            (VECTORS,),
            too_large_for_dtw,
        ),
        Baseline(
            "train_mean",
            "mean of train",
            "Gives every example the mean of the training targets: what knowing "
            "nothing but their distribution achieves.",
            "scikit-learn calls it DummyRegressor(strategy='mean')",
            fit_train_mean,
            ("tokens", VECTORS),
            tasks=(REGRESSION,),
        ),
        Baseline(
            "tfidf_ridge",
            "TF-IDF + ridge regression",
            "Ridge regression on TF-IDF weights of all 1- and 2-grams of whole "
            "sequences (sublinear tf, smoothed idf, L2 penalty, alpha = "
            f"{RIDGE_ALPHA:g}).",
            "Salton and Buckley, Information Processing & Management 24(5), 1988; "
            "scikit-learn's Ridge",
            fit_tfidf_ridge,
            tasks=(REGRESSION,),
        ),
        Baseline(
            "summary_ridge",
            "summary statistics + ridge regression",
            "Ridge regression on the length of a series and, of each channel, its "
            "mean, standard deviation, minimum, maximum, first and last value and mean "
            "absolute difference of neighbours (standardised, L2 penalty, alpha = "
            f"{RIDGE_ALPHA:g}).",
            "scikit-learn's StandardScaler and Ridge",
            fit_summary_ridge,
            (VECTORS,),
            tasks=(REGRESSION,),
        ),
        Baseline(
            "naive",
            "naive forecast",
            "The last known value for every step of the horizon.",
            "Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd "
            "edition, 2021, section 5.2",
            fit_naive,
            (VECTORS,),
            tasks=(FORECAST,),
        ),
        Baseline(
            "seasonal_naive",
            "seasonal naive forecast",
            "The last known value of the same step of the season.",
            "Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd "
            "edition, 2021, section 5.2",
            fit_seasonal_naive,
            (VECTORS,),
            tasks=(FORECAST,),
        ),
        Baseline(
            "linear_ar",
            "linear autoregression",
            "Ridge regression of each step of the horizon on the values of the window, "
            "as differences from the last known one; L2 penalty from "
            f"{RIDGE_ALPHAS[0]:g} to {RIDGE_ALPHAS[-1]:g}, by leave-one-out errors in "
            "train.",
            "scikit-learn's RidgeCV; direct forecasts as in Marcellino, Stock and "
            "Watson, Journal of Econometrics 135, 2006",
            fit_linear_ar,
            (VECTORS,),
            tasks=(FORECAST,),
        ),
    )
}


# Cache of predictions


@dataclass(frozen=True)
class _Fit:
    y_proba: FloatArray
    n_features: int
    train_time_s: float


def _cache_key(name: str, dataset: Dataset, splits: Splits) -> str:
    # Without importing scikit-learn, which takes longer than reading the cache.
    version = importlib.metadata.version("scikit-learn")
    used = sequences_digest(splits.train, splits.val)
    key = f"format {_FORMAT}\n{name}\n{version}\n{dataset.digest}\n{used}\n"
    return hashlib.sha256(key.encode()).hexdigest()


def _write_cache(file: Path, fit: _Fit) -> None:
    with replacing(file) as partial, partial.open("wb") as stream:
        np.savez(stream, **vars(fit))


def _read_cache(file: Path) -> _Fit | None:
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return _Fit(
            arrays["y_proba"],
            int(arrays["n_features"]),
            float(arrays["train_time_s"]),
        )
