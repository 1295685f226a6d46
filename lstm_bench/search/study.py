"""The Optuna study of a search: its trials so far, the next one, and how each ended."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, Trial, TrialState

from lstm_bench.data.dataset import how_different, short_identity
from lstm_bench.errors import StoredError, TrackingError
from lstm_bench.masking import mask_text, mask_url
from lstm_bench.search.lease import Lease, leased
from lstm_bench.search.storage import close_storage, open_storage
from lstm_bench.search.suggest import SeededTPESampler
from lstm_bench.seeding import derive_rng, derive_seed
from lstm_bench.stores import opening_store
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import MAX_GRID, Suite
from lstm_bench.system.garbage import collector_paused
from lstm_bench.text import first_line
from lstm_bench.tracking.stored_runs import check_study_attributes, check_trial

CONFIG_ID, DUPLICATE_OF, DIGEST = "config_id", "duplicate_of", "dataset_digest"
# Of the study: why a trial's training failed. A trial that failed without it was
# interrupted, and is queued again.
FAILED = "failed:"

MAX_REPEATED_SUGGESTIONS = 5


@dataclass(frozen=True)
class Next:
    """The next trial of the search: its configuration and name."""

    trial: Trial
    config: TrialConfig
    label: str


@dataclass(frozen=True)
class Best:
    """The best finished training."""

    value: float
    config_id: str
    label: str


@dataclass(frozen=True)
class Reference:
    """A finished reference; `value` is None unless it is complete."""

    label: str
    config_id: str
    value: float | None


Tried = FrozenTrial | Reference
"""A configuration that was trained, or is being trained."""


class StudyStore:
    """The trials of one suite's search, in Optuna's database.

    The references are known from MLflow: their values may be outside the space, which
    would narrow what the sampler can learn from. Their results still reach it: a
    suggestion that equals a reference gets the reference's value.

    Attributes
    ----------
    study : optuna.Study
    references : dict of str to Reference
        The finished references, by name; the caller adds them.

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
        self.references: dict[str, Reference] = {}
        self._known_space = IntersectionSearchSpace(include_pruned=True)
        with opening_store(storage_url, "--storage"):
            storage = self._storage = open_storage(storage_url)
            if create:
                optuna.create_study(
                    storage=storage,
                    study_name=suite.study_name,
                    direction=suite.metric.direction,
                    load_if_exists=True,
                )
            try:
                self.study = optuna.load_study(
                    storage=storage,
                    study_name=suite.study_name,
                    pruner=self._pruner(),
                    sampler=self._sampler(0),
                )
            except KeyError:
                raise TrackingError(
                    f"--storage: {mask_url(self.url)} has no study "
                    f"{suite.study_name}; run `lstm-bench sweep` first, or name the "
                    "storage that it was run with"
                ) from None

    def close(self) -> None:
        """Close the connections to the database; a later use reopens them."""
        close_storage(self._storage)

    def leased(self, command: str) -> AbstractContextManager[Lease]:
        """Let only this command work on the study; `command` is its name.

        Raises
        ------
        TrackingError
            Another command works on it, or it is damaged.
        """
        self.check_whole()
        return leased(self.study, command)

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

    # The stored trials

    def trials(self) -> list[FrozenTrial]:
        """Return all trials; do not change them.

        Optuna caches finished trials and reads the others again.
        """
        with collector_paused():
            return self.study.get_trials(deepcopy=False)

    def damages(self) -> list[str]:
        """Return what this program did not write in the study, one line each."""
        study, name = self.study, self.suite.study_name
        wanted, found = self.suite.metric.direction, []
        if [d.name.lower() for d in study.directions] != [wanted]:
            got = " and ".join(d.name.lower() for d in study.directions)
            found.append(
                f"Optuna study {name}: expected the direction {wanted} for "
                f"{self.suite.metric.name}, got {got}"
            )
        try:
            check_study_attributes(study.user_attrs)
            self._failed()
            trials = self.trials()
        except StoredError as error:
            return [*found, f"Optuna study {name}: {error}"]
        except (ValueError, LookupError, TypeError) as error:
            # Optuna's own message about the value that it could not decode.
            why = first_line(error)
            return [*found, f"Optuna study {name}: cannot be read ({why})"]
        for trial in trials:
            try:
                check_trial(trial)
            except StoredError as error:
                found.append(f"Optuna study {name}, trial {trial.number}: {error}")
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

    def check_data(self, identity: str) -> None:
        """Store the dataset's `identity`; raise TrackingError if it has changed."""
        known = self.study.user_attrs.get(DIGEST)
        if known is None:
            self.study.set_user_attr(DIGEST, identity)
        elif known != identity:
            what = how_different(short_identity(known), short_identity(identity))
            raise TrackingError(
                f"study {self.suite.study_name} was begun on {what}; give the same, or "
                "another --storage to begin anew"
            )

    def finished(self) -> list[FrozenTrial]:
        """Return the trials that ended by themselves and repeat no other."""
        failed = self._failed()
        return [trial for trial in self.trials() if _counts(trial, failed)]

    def running(self) -> list[FrozenTrial]:
        """Return the trials that Optuna calls running."""
        return [t for t in self.trials() if t.state == TrialState.RUNNING]

    def n_finished(self) -> int:
        """Return the number of finished trainings, of the search and its references."""
        return len(self.references) + len(self.finished())

    def best(self) -> Best | None:
        """Return the best complete training; of equal ones the first in order.

        References come before trials, and trials in the order of their numbers.
        """
        complete = [
            Best(reference.value, reference.config_id, reference.label)
            for reference in self.references.values()
            if reference.value is not None
        ]
        complete += [
            Best(trial.value, trial.user_attrs[CONFIG_ID], self._name(trial))
            for trial in self.finished()
            if trial.state == TrialState.COMPLETE and trial.value is not None
        ]
        best: Best | None = None
        for each in complete:
            if best is None or self.suite.metric.is_better(each.value, best.value):
                best = each
        return best

    def _name(self, trial: FrozenTrial) -> str:
        values = {**self.suite.defaults.model_dump(), **trial.params}
        return self.suite.name_of(TrialConfig.model_validate(values), trial.number)

    def _failed(self) -> set[int]:
        """Return the numbers of the trials whose trainings failed."""
        return {
            int(key.removeprefix(FAILED))
            for key in self.study.user_attrs
            if key.startswith(FAILED)
        }

    # The end of a trial

    def tell(
        self, trial: Trial | int, state: str, value: float | None, reason: str | None
    ) -> None:
        """Close a trial as its training ended: complete, pruned or failed.

        Parameters
        ----------
        trial : Trial or int
            A trial, or its number.
        """
        if state == "failed":
            number = trial if isinstance(trial, int) else trial.number
            self.study.set_user_attr(f"{FAILED}{number}", mask_text(reason or ""))
            self.study.tell(trial, state=TrialState.FAIL)
        elif state == "complete":
            self.study.tell(trial, value)
        elif state == "pruned":
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            raise ValueError(f"{state}: no state of a trial that has ended")

    def requeue(self, trial: Trial | FrozenTrial) -> None:
        """Close a trial that was interrupted, and queue its configuration again."""
        frozen = self.trials()[trial.number]
        # One that was cut off while it was asked for is asked for again, unless its
        # configuration came from the queue.
        params = frozen.system_attrs.get("fixed_params", {})
        if CONFIG_ID in frozen.user_attrs:
            params = frozen.params
        # Queued first: if this process is killed in between, the next start finds it in
        # the queue.
        waiting = [
            t.system_attrs.get("fixed_params")
            for t in self.trials()
            if t.state == TrialState.WAITING
        ]
        if params and params not in waiting:
            self.study.enqueue_trial(params)
        self.study.tell(trial.number, state=TrialState.FAIL)

    # The next trial

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
        space, study = self.suite.space, self.study
        n = space.n_configurations
        repeated = 0
        while True:
            trials, failed = self.trials(), self._failed()
            tried = self._tried(trials, failed)
            n_at_work = sum(
                _counts(t, failed) or t.state == TrialState.RUNNING for t in trials
            )
            if n_trials is not None and n_at_work >= n_trials:
                return None
            if self._has_all(tried):
                return None
            # What an uninterrupted search would have asked for by now.
            n_asked = sum(not _is_interrupted(trial, failed) for trial in trials)
            if n is not None and (
                self.suite.study.sampler == "grid"
                or repeated == MAX_REPEATED_SUGGESTIONS
            ):
                is_waiting = any(t.state == TrialState.WAITING for t in trials)
                n_asked += self._enqueue_untried(tried, n, n_asked, is_waiting)
            study.sampler = self._sampler(n_asked)
            # Optuna reads all waiting trials again.
            with collector_paused():
                trial = study.ask()
            config = space.suggest(trial, self.suite.defaults)
            earlier = tried.get(config.config_id)
            if earlier is None:
                trial.set_user_attr(CONFIG_ID, config.config_id)
                return Next(trial, config, self.suite.name_of(config, trial.number))
            repeated += 1
            label = self._label(earlier)
            trial.set_user_attr(DUPLICATE_OF, label)
            on_repeat(f"trial {trial.number}", label)
            study.tell(trial, *_ending(earlier))

    def is_exhausted(self) -> bool:
        """Whether every configuration of the space was tried or is running."""
        return self._has_all(self._tried(self.trials(), self._failed()))

    def _tried(self, trials: list[FrozenTrial], failed: set[int]) -> dict[str, Tried]:
        """Return the trainings that count, and the running ones, by configuration."""
        tried: dict[str, Tried] = {
            trial.user_attrs[CONFIG_ID]: trial
            for trial in trials
            if trial.state == TrialState.RUNNING and CONFIG_ID in trial.user_attrs
        }
        tried |= {
            reference.config_id: reference for reference in self.references.values()
        }
        return tried | {
            trial.user_attrs[CONFIG_ID]: trial
            for trial in trials
            if _counts(trial, failed)
        }

    def _label(self, tried: Tried) -> str:
        return tried.label if isinstance(tried, Reference) else self._name(tried)

    def _has_all(self, tried: Mapping[str, Tried]) -> bool:
        n = self.suite.space.n_configurations
        if n is None or n > MAX_GRID or len(tried) < n:
            return False
        return self._configurations.keys() <= tried.keys()

    @cached_property
    def _configurations(self) -> dict[str, dict[str, Any]]:
        """The values of every configuration of a finite space, by its id."""
        base = self.suite.defaults.model_dump()
        values = [
            [(name, axis.value(i)) for i in range(axis.n_choices or 0)]
            for name, axis in self.suite.space
        ]
        return {
            TrialConfig.model_validate(base | dict(chosen)).config_id: dict(chosen)
            for chosen in itertools.product(*values)
        }

    def _enqueue_untried(
        self, tried: Mapping[str, Tried], n: int, n_asked: int, is_waiting: bool
    ) -> int:
        """Queue a configuration unless one waits; return the number queued."""
        if is_waiting or n > MAX_GRID:
            return 0
        left = [c for key, c in self._configurations.items() if key not in tried]
        rng = derive_rng(self.suite.study.seed, "untried", n_asked)
        self.study.enqueue_trial(left[int(rng.integers(len(left)))])
        return 1


def _counts(trial: FrozenTrial, failed: set[int]) -> bool:
    """Whether a trial ended by itself and repeats no other."""
    if DUPLICATE_OF in trial.user_attrs:
        return False
    is_failed = trial.state == TrialState.FAIL and trial.number in failed
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or is_failed


def _ending(tried: Tried) -> tuple[float | None, TrialState]:
    """Return the value and state with which a repetition of a training is told."""
    if isinstance(tried, Reference):
        is_complete = tried.value is not None
        return tried.value, TrialState.COMPLETE if is_complete else TrialState.FAIL
    if tried.state == TrialState.COMPLETE:
        return tried.value, tried.state
    # A pruned trial has a value, its last, but Optuna accepts none for it; a running
    # one has no result yet for the sampler.
    is_pruned = tried.state == TrialState.PRUNED
    return None, TrialState.PRUNED if is_pruned else TrialState.FAIL


def _is_interrupted(trial: FrozenTrial, failed: set[int]) -> bool:
    if trial.state != TrialState.FAIL or DUPLICATE_OF in trial.user_attrs:
        return False
    return trial.number not in failed
