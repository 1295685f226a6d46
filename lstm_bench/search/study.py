"""The Optuna side of a sweep: earlier trials, the next one, and how each ended."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import optuna
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, Trial, TrialState

from lstm_bench.errors import StoredError, TrackingError
from lstm_bench.masking import mask_url
from lstm_bench.search.locks import StoreLock
from lstm_bench.search.queue import CONFIG, Tickets, name_of
from lstm_bench.search.storage import (
    DIGEST,
    SUITE,
    close_storage,
    open_storage,
    study_names,
)
from lstm_bench.search.suggest import SeededTPESampler, TrialSummary
from lstm_bench.search.trials import (
    CONFIG_ID,
    DUPLICATE_OF,
    RUN_ID,
    Orphan,
    OwnedStudy,
    is_running,
)
from lstm_bench.seeding import derive_rng, derive_seed
from lstm_bench.stores import (
    opening_store,
)
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import MAX_GRID, Suite
from lstm_bench.text import first_line
from lstm_bench.tracking.names import LOCAL_PREFIX
from lstm_bench.tracking.stored_runs import (
    check_study_attributes,
    check_trial,
)

REFERENCES, CONFIRM = "references", "confirm"

MAX_REPEATED_SUGGESTIONS = 5


@dataclass(frozen=True)
class Next:
    """The next training: its trial, configuration and name; a reference's key."""

    trial: Trial
    config: TrialConfig
    label: str
    owned: OwnedStudy
    reference: str | None = None


@dataclass(frozen=True)
class Best:
    """The best finished training."""

    value: float
    run_id: str
    config_id: str
    label: str


class StudyStore:
    """The trials of one suite: a search and its references.

    References are in a study of their own because their values may be outside the
    space, which would narrow what the sampler can learn from. Their results still
    reach it: a suggestion that equals a reference gets the reference's value.

    Attributes
    ----------
    search : OwnedStudy
    references : Tickets
    confirm : Tickets
        Trainings of a confirmation with several workers; MLflow records which are
        done.

    Parameters
    ----------
    create : bool
        Whether to create the study if the storage does not have it.

    Raises
    ------
    TrackingError
        The storage cannot be opened, or does not have the study.
    """

    def __init__(self, suite: Suite, storage_url: str, *, create: bool = True) -> None:
        self.suite = suite
        self.url = storage_url
        self._known_space = IntersectionSearchSpace(include_pruned=True)
        with opening_store(storage_url, "--storage"):
            storage = self._storage = open_storage(storage_url)
            if not create:
                self._check_begun(storage)
            # One lock for both studies: the next trial depends on the references, too.
            self.lock = StoreLock(storage.engine, suite.study_name)
            self.search = OwnedStudy(
                self._create(storage, suite.study_name, self._pruner()), self.lock
            )
            self.references = self._tickets(storage, REFERENCES)
            self.confirm = self._tickets(storage, CONFIRM)

    def close(self) -> None:
        """Close the connections to the database; a later use reopens them."""
        close_storage(self._storage)

    def _check_begun(self, storage: optuna.storages.RDBStorage) -> None:
        if self.suite.study_name not in study_names(storage):
            raise TrackingError(
                f"--storage: {mask_url(self.url)} has no study "
                f"{self.suite.study_name}; run `lstm-bench sweep` first, or name the "
                "storage that it was run with"
            )

    def _tickets(self, storage: optuna.storages.BaseStorage, name: str) -> Tickets:
        name = f"{self.suite.study_name}/{name}"
        study = self._create(storage, name, optuna.pruners.NopPruner())
        return Tickets(study, self.lock)

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

        A sampler seeded only once would repeat its first suggestions when the study is
        resumed; this one suggests what an uninterrupted study would.
        """
        study = self.suite.study
        seed = derive_seed(study.seed, "sampler", number)
        # `_enqueue_untried` gives the grid's configurations to the study.
        if study.sampler in ("random", "grid"):
            return optuna.samplers.RandomSampler(seed=seed)
        return SeededTPESampler(
            self._known_space, seed=seed, n_startup_trials=study.n_startup_trials
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
                values.append((name, [axis.value(i) for i in range(n)]))
        return values

    def version(self) -> str:
        """Return the version of the storage's tables, and Optuna's newest."""
        here = self._storage.get_current_version()
        return f"version {here} of Optuna's {self._storage.get_head_version()}"

    # The stored trials

    def damages(self) -> list[str]:
        """Return what this program did not write in the storage, one line each."""
        found = []
        for owned in self.studies:
            study = owned.study
            wanted = self.suite.metric.direction
            if [d.name.lower() for d in study.directions] != [wanted]:
                got = " and ".join(d.name.lower() for d in study.directions)
                found.append(
                    f"Optuna study {study.study_name}: expected the direction {wanted} "
                    f"for {self.suite.metric.name}, got {got}"
                )
            found += _damaged_attributes(owned, is_named=owned is not self.search)
        return found

    def check_whole(self) -> None:
        """Raise TrackingError if there are `damages`, so that nothing is added."""
        found = self.damages()
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise TrackingError(
                f"--storage: {found[0]}{more}; restore the storage from a copy, or "
                "give another --storage to begin anew (`lstm-bench doctor` lists all "
                "that is wrong)"
            )

    def check_digest(self, digest: str) -> None:
        """Store the dataset's digest; raise TrackingError if it has changed."""
        known = self.search.study.user_attrs.get(DIGEST)
        if known is None:
            self.search.study.set_user_attr(DIGEST, digest)
        elif known != digest:
            raise TrackingError(
                f"study {self.suite.study_name} was begun on other data (digest "
                f"{known[:12]}, now {digest[:12]}); give the same data, or another "
                "--storage to begin anew"
            )

    def keep_suite(self) -> None:
        """Store the suite, for workers that have only the study's name."""
        self.search.study.set_user_attr(
            SUITE, {"name": self.suite.name, "text": self.suite.text}
        )

    def finished(self) -> list[FrozenTrial]:
        """Return the trials of the search that count."""
        return self.search.finished()

    def finished_references(self) -> set[str]:
        """Return the names of the references that are done."""
        return self.references.done()

    def n_finished(self) -> int:
        """Return the number of finished trainings, of the search and its references."""
        names = self.finished_references() & set(self.suite.references)
        return len(names) + len(self.finished())

    def best(self) -> Best | None:
        """Return the best complete training, references included.

        Of equal ones, the one that ended first: its worker found no better one and
        saved its model.
        """
        trials = [*self.references.finished(), *self.finished()]
        return self._best(sorted(trials, key=_end))

    def so_far(self, trial: Trial) -> tuple[int, Best | None]:
        """Return how many trainings had ended by the end of `trial`, and their best."""
        trials = [*self.references.finished(), *self.finished()]
        order = sorted(trials, key=_end)
        ids = [each._trial_id for each in order]
        # A trial that another process has taken over is missing.
        n = ids.index(trial._trial_id) + 1 if trial._trial_id in ids else len(order)
        return n, self._best(order[:n])

    def _best(self, trials: Sequence[FrozenTrial]) -> Best | None:
        best: Best | None = None
        for trial in trials:
            if trial.state != TrialState.COMPLETE or trial.value is None:
                continue
            if best is None or self.suite.metric.is_better(trial.value, best.value):
                best = Best(
                    trial.value,
                    self._run_id(trial),
                    trial.user_attrs[CONFIG_ID],
                    self._name(trial),
                )
        return best

    def config_of(self, trial: FrozenTrial) -> TrialConfig:
        """Return a trial's configuration."""
        values = trial.user_attrs.get(CONFIG)
        if values is None:
            values = {**self.suite.defaults.model_dump(), **trial.params}
        return TrialConfig.model_validate(values)

    def _name(self, trial: FrozenTrial) -> str:
        return self.suite.name_of(self.config_of(trial), trial.number)

    def run_ids(self) -> set[str]:
        """Return the MLflow run ids of every training that counts."""
        trials = [*self.finished(), *self.references.finished()]
        return {self._run_id(trial) for trial in trials}

    def name_runs(self, real_ids: Mapping[str, str]) -> None:
        """Store the MLflow ids of trials whose runs were begun without a server.

        Parameters
        ----------
        real_ids : mapping of str to str
            The runs' ids by the trials' provisional ones. They are attributes of the
            study, since Optuna rejects new attributes of a trial that has ended.
        """
        study = self.search.study
        named = study.user_attrs
        for trial in [*self.search.trials(), *self.references.trials()]:
            local = trial.user_attrs.get(RUN_ID, "")
            if local in real_ids and f"{RUN_ID}:{local}" not in named:
                study.set_user_attr(f"{RUN_ID}:{local}", real_ids[local])

    def _run_id(self, trial: FrozenTrial) -> str:
        run_id = str(trial.user_attrs[RUN_ID])
        if not run_id.startswith(LOCAL_PREFIX):
            return run_id
        return str(self.search.study.user_attrs.get(f"{RUN_ID}:{run_id}", run_id))

    @property
    def studies(self) -> tuple[OwnedStudy, ...]:
        """The study of the search and the queues."""
        return (self.references, self.search, self.confirm)

    def orphans(self) -> list[Orphan]:
        """Return the running trials whose process is gone."""
        return [orphan for owned in self.studies for orphan in owned.orphans()]

    # The next training

    def put_references(self) -> None:
        """Queue the references that are not done."""
        self.references.put_all(
            (name, config, {}) for name, config in self.suite.references.items()
        )

    def next_reference(self) -> Next | None:
        """Return the first waiting reference; None if none waits."""
        taken = self.references.take()
        if taken is None:
            return None
        trial, config = taken
        label = self.suite.name_of(config)
        return Next(trial, config, label, self.references, name_of(trial))

    def next_trial(
        self,
        n_trials: int | None = None,
        on_repeat: Callable[[str, str], None] = lambda label, earlier: None,
    ) -> Next | None:
        """Return the sampler's next configuration that was not tried yet.

        A suggestion that repeats an earlier configuration would give the same result
        for the same seed: it gets the earlier result and another is requested; after a
        few repeats, a random one of those left is chosen. None when every configuration
        was tried, or when `n_trials` are finished or running.

        Parameters
        ----------
        on_repeat : callable
            Called with the names of a repeating trial and of the trial that it repeats.
        """
        # Read the others' finished trials before taking the lock: otherwise a worker
        # that joins a large study would block all others.
        self.search.trials()
        with self.lock.held():
            return self._next_trial(n_trials, on_repeat)

    def is_exhausted(self) -> bool:
        """Whether every configuration of the space was tried or is running."""
        n = self.suite.space.n_configurations
        return n is not None and self._n_tried_in_space(self._summary().tried) >= n

    def _next_trial(
        self, n_trials: int | None, on_repeat: Callable[[str, str], None]
    ) -> Next | None:
        space, study = self.suite.space, self.search.study
        n = space.n_configurations
        repeated = 0
        while True:
            summary = self._summary()
            if n_trials is not None and summary.n_at_work >= n_trials:
                return None
            tried = summary.tried
            if n is not None and self._n_tried_in_space(tried) >= n:
                return None
            n_asked = summary.n_asked
            if n is not None and (
                self.suite.study.sampler == "grid"
                or repeated == MAX_REPEATED_SUGGESTIONS
            ):
                n_asked += self._enqueue_untried(summary, n)
            study.sampler = self._sampler(n_asked)
            trial = self.search.ask()
            config = space.suggest(trial, self.suite.defaults)
            earlier = tried.get(config.config_id)
            if earlier is None:
                self.search.own(trial, config.config_id)
                label = self.suite.name_of(config, trial.number)
                return Next(trial, config, label, self.search)
            repeated += 1
            name = self._name(earlier)
            trial.set_user_attr(DUPLICATE_OF, name)
            on_repeat(f"trial {trial.number}", name)
            if is_running(earlier):
                # There is no result yet for the sampler.
                study.tell(trial, state=TrialState.FAIL)
                continue
            # A pruned trial has a value, its last, but Optuna accepts none for it.
            is_complete = earlier.state == TrialState.COMPLETE
            value = earlier.value if is_complete else None
            study.tell(trial, value, earlier.state)

    def _summary(self) -> TrialSummary:
        return TrialSummary.of(self.references.trials(), self.search.trials())

    def _n_tried_in_space(self, tried: dict[str, FrozenTrial]) -> int:
        n = self.suite.space.n_configurations
        if n is None or n > MAX_GRID or len(tried) < n:
            return 0
        return sum(config_id in tried for config_id in self._configurations)

    @cached_property
    def _configurations(self) -> dict[str, dict[str, Any]]:
        """The values of every configuration of a finite space, by its id."""
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

    def _enqueue_untried(self, summary: TrialSummary, n: int) -> int:
        """Queue a configuration unless one waits; return the number queued."""
        if summary.n_waiting or n > MAX_GRID:
            return 0
        left = [
            c for key, c in self._configurations.items() if key not in summary.tried
        ]
        rng = derive_rng(self.suite.study.seed, "untried", summary.n_asked)
        self.search.study.enqueue_trial(left[int(rng.integers(len(left)))])
        return 1


def _damaged_attributes(owned: OwnedStudy, *, is_named: bool) -> Iterator[str]:
    name = owned.study.study_name
    try:
        check_study_attributes(owned.study.user_attrs)
        trials = owned.trials()
    except StoredError as error:
        yield f"Optuna study {name}: {error}"
        return
    except (ValueError, LookupError, TypeError) as error:
        # Optuna's own message about the value that it could not decode.
        yield f"Optuna study {name}: cannot be read ({first_line(error)})"
        return
    for trial in trials:
        try:
            check_trial(trial, is_named=is_named)
        except StoredError as error:
            yield f"Optuna study {name}, trial {trial.number}: {error}"


def _end(trial: FrozenTrial) -> tuple[datetime, int]:
    return trial.datetime_complete or datetime.max, trial._trial_id
