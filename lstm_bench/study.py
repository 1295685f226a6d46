"""The Optuna side of a sweep: what was tried, what comes next, how it ended."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from lstm_bench.errors import TrackingError
from lstm_bench.owner import is_gone, this_process
from lstm_bench.records import LOCAL_PREFIX
from lstm_bench.seeding import derive_rng, derive_seed
from lstm_bench.space import TrialConfig
from lstm_bench.stores import (
    check_address,
    check_writable_database,
    create_whole,
    opening_store,
)
from lstm_bench.suite import MAX_GRID, Suite

DEFAULT_STORAGE = "optuna.db"
STORAGE_VARIABLE = "LSTM_BENCH_STORAGE"
RUN_ID, CONFIG_ID, REFERENCE = "run_id", "config_id", "reference"
INTERRUPTED, DUPLICATE_OF = "interrupted", "duplicate_of"
OWNER = "owner"
DIGEST = "dataset_digest"

MAX_REPEATED_SUGGESTIONS = 5
UNMARKED_S = 10.0


def resolve_storage(url: str | None) -> str:
    """Return an absolute Optuna storage URL.

    Order: `url`, the environment's ``LSTM_BENCH_STORAGE``, ``optuna.db`` in the
    working directory.

    Raises
    ------
    TrackingError
        Not an address, or one whose folder is missing or cannot be written.
    """
    url = url or os.environ.get(STORAGE_VARIABLE) or f"sqlite:///{DEFAULT_STORAGE}"
    check_address(url, "--storage")
    if url.startswith("sqlite:///"):
        file = Path(url.removeprefix("sqlite:///")).absolute()
        check_writable_database(file, "--storage")
        return f"sqlite:///{file}"
    if "://" not in url:
        raise TrackingError(
            f"--storage: expected a database URL such as sqlite:///optuna.db, got "
            f"{url!r}"
        )
    return url


@dataclass(frozen=True)
class Next:
    """A training to do: its trial, configuration and, for a reference, its name."""

    trial: Trial
    config: TrialConfig
    reference: str | None = None


@dataclass(frozen=True)
class Orphan:
    """A trial that a process left behind when it was killed."""

    study: optuna.Study
    trial: FrozenTrial

    @property
    def run_id(self) -> str | None:
        """The trial's MLflow run, where it had come so far."""
        run_id = self.trial.user_attrs.get(RUN_ID)
        return None if run_id is None else str(run_id)


@dataclass(frozen=True)
class Best:
    """The best finished training."""

    value: float
    run_id: str
    config_id: str
    label: str


class StudyStore:
    """The trials of one suite: a searched study and one of its references.

    References live in a study of their own because their values may lie outside
    the space, which would narrow what the sampler can learn from. Their results
    still reach it: a suggestion that equals one is answered with its value.

    Raises
    ------
    TrackingError
        The storage cannot be opened.
    """

    def __init__(self, suite: Suite, storage_url: str) -> None:
        self.suite = suite
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with opening_store(storage_url, "--storage"):
            create_whole(storage_url, optuna.storages.RDBStorage)
            storage = optuna.storages.RDBStorage(storage_url)
            self.search = self._create(storage, suite.study_name, self._pruner())
            self.references = self._create(
                storage, f"{suite.study_name}/references", optuna.pruners.NopPruner()
            )

    def _create(
        self,
        storage: optuna.storages.BaseStorage,
        name: str,
        pruner: optuna.pruners.BasePruner,
    ) -> optuna.Study:
        return optuna.create_study(
            storage=storage,
            study_name=name,
            direction=self.suite.metric.direction,
            pruner=pruner,
            sampler=self._sampler(0),
            load_if_exists=True,
        )

    def _pruner(self) -> optuna.pruners.BasePruner:
        study = self.suite.study
        if study.pruner == "median":
            return optuna.pruners.MedianPruner(
                n_startup_trials=min(5, study.n_startup_trials), n_warmup_steps=2
            )
        if study.pruner == "hyperband":
            return optuna.pruners.HyperbandPruner(
                min_resource=1, max_resource=self.suite.defaults.max_epochs
            )
        return optuna.pruners.NopPruner()

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Return a sampler seeded by the trial's number.

        A sampler that is seeded once repeats its first suggestions when the
        study is resumed; this one suggests what an undisturbed study would.
        """
        study = self.suite.study
        seed = derive_seed(study.seed, "sampler", number)
        # The grid's configurations are given to the study by `_enqueue_untried`.
        if study.sampler in ("random", "grid"):
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=study.n_startup_trials, multivariate=True
        )

    def _grid_values(self) -> list[tuple[str, list[Any]]]:
        values = []
        for name, axis in self.suite.space:
            n = axis.n_choices
            if n is None:
                raise TypeError(f"{name} has no end of values")
            if hasattr(axis, "choices"):
                values.append((name, list(axis.choices)))
            else:
                # As Optuna computes stepped values, so that they compare equal.
                step = axis.step or 1
                values.append((name, [axis.low + i * step for i in range(n)]))
        return values

    # What is there

    def check_digest(self, digest: str) -> None:
        """Remember the dataset's digest; raise TrackingError if it has changed."""
        known = self.search.user_attrs.get(DIGEST)
        if known is None:
            self.search.set_user_attr(DIGEST, digest)
        elif known != digest:
            raise TrackingError(
                f"study {self.suite.study_name} was begun on other data (digest "
                f"{known[:12]}, now {digest[:12]}); give the same data, or another "
                "--storage to begin anew"
            )

    def finished(self) -> list[FrozenTrial]:
        """Return the trials that count: ended by themselves, not duplicates."""
        return [t for t in self._trials(self.search) if _counts(t)]

    def finished_references(self) -> set[str]:
        """Return the names of the references that are done."""
        return {
            t.user_attrs[REFERENCE] for t in self._trials(self.references) if _counts(t)
        }

    def best(self) -> Best | None:
        """Return the best complete training, references included."""
        best: Best | None = None
        for trial in [*self._trials(self.references), *self.finished()]:
            if trial.state != TrialState.COMPLETE or trial.value is None:
                continue
            if best is None or self.suite.metric.is_better(trial.value, best.value):
                reference = trial.user_attrs.get(REFERENCE)
                best = Best(
                    trial.value,
                    self._run_id(trial),
                    trial.user_attrs[CONFIG_ID],
                    reference or f"trial {trial.number}",
                )
        return best

    def run_ids(self) -> set[str]:
        """Return the MLflow run ids of every training that counts."""
        trials = [*self._trials(self.search), *self._trials(self.references)]
        return {self._run_id(t) for t in trials if _counts(t)}

    def name_runs(self, real_ids: Mapping[str, str]) -> None:
        """Remember the MLflow runs of trials that were begun while it was away.

        Parameters
        ----------
        real_ids : mapping of str to str
            The runs' ids by the provisional ones that the trials have. Optuna takes
            no attribute of a trial that has ended, so the study has them.
        """
        named = self.search.user_attrs
        for trial in [*self._trials(self.search), *self._trials(self.references)]:
            local = trial.user_attrs.get(RUN_ID, "")
            if local in real_ids and f"{RUN_ID}:{local}" not in named:
                self.search.set_user_attr(f"{RUN_ID}:{local}", real_ids[local])

    def _run_id(self, trial: FrozenTrial) -> str:
        run_id = str(trial.user_attrs[RUN_ID])
        if not run_id.startswith(LOCAL_PREFIX):
            return run_id
        return str(self.search.user_attrs.get(f"{RUN_ID}:{run_id}", run_id))

    def _trials(self, study: optuna.Study) -> list[FrozenTrial]:
        return study.get_trials(deepcopy=False)

    # What comes next

    def next_reference(self) -> Next | None:
        """Return the suite's first reference that is not done."""
        done = self.finished_references()
        for name, config in self.suite.references.items():
            if name not in done:
                trial = self.references.ask()
                trial.set_user_attr(REFERENCE, name)
                self._own(trial, config)
                return Next(trial, config, name)
        return None

    def next_trial(self) -> Next | None:
        """Return the sampler's next configuration that was not tried yet.

        A suggestion that repeats an earlier configuration would give the same
        result for the same seed: it is told the earlier result and the next one
        is asked for, after a few such a random one of those left. None when
        every configuration was tried.
        """
        space = self.suite.space
        repeated = 0
        while True:
            tried = self._tried()
            n = space.n_configurations
            if n is not None and self._n_tried_in_space(tried) >= n:
                return None
            if n is not None and (
                self.suite.study.sampler == "grid"
                or repeated == MAX_REPEATED_SUGGESTIONS
            ):
                self._enqueue_untried(tried, n)
            self.search.sampler = self._sampler(self._n_asked())
            trial = self.search.ask()
            config = space.suggest(trial, self.suite.defaults)
            earlier = tried.get(config.config_id)
            if earlier is None:
                self._own(trial, config)
                return Next(trial, config)
            repeated += 1
            trial.set_user_attr(DUPLICATE_OF, earlier.user_attrs[RUN_ID])
            # A pruned trial has a value, its last; Optuna takes none when told.
            is_complete = earlier.state == TrialState.COMPLETE
            value = earlier.value if is_complete else None
            self.search.tell(trial, value, earlier.state)

    def _n_asked(self) -> int:
        """Return the number of trials an undisturbed study would have by now."""
        return sum(
            INTERRUPTED not in t.user_attrs
            and (t.state != TrialState.RUNNING or OWNER in t.user_attrs)
            for t in self._trials(self.search)
        )

    def _tried(self) -> dict[str, FrozenTrial]:
        trials = [*self._trials(self.references), *self._trials(self.search)]
        return {t.user_attrs[CONFIG_ID]: t for t in trials if _counts(t)}

    def _n_tried_in_space(self, tried: dict[str, FrozenTrial]) -> int:
        n = self.suite.space.n_configurations
        if n is None or n > MAX_GRID or len(tried) < n:
            return 0
        return sum(config_id in tried for config_id in self._enumerate())

    def _enumerate(self) -> dict[str, dict[str, Any]]:
        base = self.suite.defaults.model_dump()
        names, values = zip(*self._grid_values(), strict=True)
        combinations = (
            dict(zip(names, combination, strict=True))
            for combination in itertools.product(*values)
        )
        return {
            TrialConfig.model_validate({**base, **chosen}).config_id: chosen
            for chosen in combinations
        }

    def _enqueue_untried(self, tried: dict[str, FrozenTrial], n: int) -> None:
        waiting = self.search.get_trials(deepcopy=False, states=[TrialState.WAITING])
        if waiting or n > MAX_GRID:
            return
        left = [c for key, c in self._enumerate().items() if key not in tried]
        rng = derive_rng(self.suite.study.seed, "untried", self._n_asked())
        self.search.enqueue_trial(left[int(rng.integers(len(left)))])

    def _own(self, trial: Trial, config: TrialConfig) -> None:
        trial.set_user_attr(CONFIG_ID, config.config_id)
        trial.set_user_attr(OWNER, this_process())

    # How it ended

    def tell(self, step: Next, state: str, value: float | None) -> None:
        """Close a trial as complete, pruned or failed."""
        study = self._study_of(step)
        if state == "complete":
            study.tell(step.trial, value)
        elif state == "pruned":
            study.tell(step.trial, state=TrialState.PRUNED)
        else:
            study.tell(step.trial, state=TrialState.FAIL)

    def give_up(self, step: Next) -> None:
        """Close a trial that was interrupted; the next start takes it up again."""
        self._interrupt(self._study_of(step), step.trial._trial_id, step.trial.params)

    def orphans(self) -> list[Orphan]:
        """Return the running trials whose process on this host is gone.

        A trial is asked for and only then marked with its process; one that is not
        marked for `UNMARKED_S` was killed in between.
        """
        now = datetime.now()
        return [
            Orphan(study, trial)
            for study in (self.references, self.search)
            for trial in self._trials(study)
            if trial.state == TrialState.RUNNING
            and (
                is_gone(trial.user_attrs[OWNER])
                if OWNER in trial.user_attrs
                else _age_s(trial, now) > UNMARKED_S
            )
        ]

    def settle(self, orphan: Orphan, state: str | None, value: float | None) -> None:
        """Close an orphan as its run ended, or give it up if it did not.

        Parameters
        ----------
        state : str or None
            The run's state; "complete", "pruned" and "failed" mean that it ended.
        value : float or None
            The objective of a complete one.
        """
        study, trial = orphan.study, orphan.trial
        storage, trial_id = study._storage, trial._trial_id
        if state == "complete" and value is not None:
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [value])
        elif state == "pruned":
            storage.set_trial_state_values(trial_id, TrialState.PRUNED)
        elif state == "failed":
            storage.set_trial_state_values(trial_id, TrialState.FAIL)
        else:
            self._interrupt(study, trial_id, trial.params)

    def _interrupt(
        self, study: optuna.Study, trial_id: int, params: dict[str, Any]
    ) -> None:
        # Queued first: killed in between, the trial is an orphan still and is queued
        # once more, which the next suggestion of the same values finds out.
        if study is self.search and params:
            study.enqueue_trial(params)
        study._storage.set_trial_user_attr(trial_id, INTERRUPTED, True)
        study._storage.set_trial_state_values(trial_id, TrialState.FAIL)

    def _study_of(self, step: Next) -> optuna.Study:
        return self.search if step.reference is None else self.references


def _age_s(trial: FrozenTrial, now: datetime) -> float:
    # Optuna keeps local time without a zone.
    start = trial.datetime_start
    return 0.0 if start is None else (now - start).total_seconds()


def _counts(trial: FrozenTrial) -> bool:
    return (
        trial.state.is_finished()
        and INTERRUPTED not in trial.user_attrs
        and DUPLICATE_OF not in trial.user_attrs
        and RUN_ID in trial.user_attrs
    )
