"""Confirmation: retrain the best configurations on fresh seeds, and score test once.

In a replicate, every configuration has the same split, initial seeds and order of
examples, so configurations are compared in pairs. Finished trainings are read from
MLflow alone; Optuna's storage only keeps two commands off the same study.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lstm_bench.analysis.comparisons import (
    Analysis,
    Standing,
    find_winner,
    standings,
)
from lstm_bench.analysis.contenders import ENDED, confirm_spec, find_contenders
from lstm_bench.analysis.formatting import config_of_row
from lstm_bench.analysis.hypothesis_tests import MIN_SEEDS
from lstm_bench.analysis.looks import is_open
from lstm_bench.analysis.tables.select import trial_runs
from lstm_bench.analysis.verdicts import LEADS
from lstm_bench.budget import Budget, minutes
from lstm_bench.data.dataset import copies_in, how_different, short_identity
from lstm_bench.errors import SuiteError, TrackingError, TrialFailed
from lstm_bench.open_study import OpenStudy, open_study
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.text import count, listed
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.results import Results
from lstm_bench.tracking.stored_runs import (
    StoredRun,
    StoredSession,
    StoredTraining,
    data_identities,
    describe_left_out,
    parse_runs,
)
from lstm_bench.tracking.tracker import OpenRun
from lstm_bench.training.result import N_PARAMETERS, OBJECTIVE
from lstm_bench.winner import log_ensemble_models, log_winners_model
from lstm_bench.workers.driver import Done, Plan, Task
from lstm_bench.workers.options import choose_workers
from lstm_bench.workers.progress import Progress
from lstm_bench.workers.recovery import recover

NONE_WANTED: Mapping[str, int] = {}


@dataclass(frozen=True)
class Candidate:
    """A configuration to confirm, its name and its origin, one of `ORIGINS`."""

    config: TrialConfig
    label: str
    origin: str
    reference: str | None = None
    trial: int | None = None


def run_confirmation(
    suite: Suite,
    progress: Progress,
    *,
    n_best: int | None = None,
    n_replicates: int | None = None,
    data_dir: Path | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    out: Path | None = None,
) -> Analysis | None:
    """Confirm the best configurations of a search, and write the report.

    The same call resumes a confirmation that was stopped.

    Parameters
    ----------
    n_best, n_replicates, data_dir, n_workers, scheduler, tracking_uri, storage, out
        As in `lstm_bench.run_confirmation`.

    Returns
    -------
    Analysis or None
        None while results are not yet written to the tracking server.

    Raises
    ------
    SuiteError
        The suite has no confirmation, or there is nothing to confirm.
    LstmBenchError
        The data, a store or a worker cannot be used.
    KeyboardInterrupt
        The confirmation was stopped; finished trainings are saved.
    """
    if suite.confirm is None:
        raise SuiteError(
            f"{suite.path}: the suite has no `confirm:` section; add one, for example "
            "confirm: {n_best: 3, n_replicates: 5, pairs: {head: [sigmoid, softmax]}}"
        )
    if n_replicates and suite.confirm.until is not None:
        raise SuiteError(
            f"{suite.path}: --replicates: expected none with until: settled, got "
            f"{n_replicates}: the looks are declared, after {suite.confirm.looks_text} "
            "seeds; leave it out, or confirm.until"
        )
    with open_study(
        suite,
        progress,
        "confirm",
        choose_workers(n_workers, scheduler),
        data_dir=data_dir,
        tracking_uri=tracking_uri,
        storage=storage,
        out=out,
        n_replicates=n_replicates or suite.confirm.looks[-1],
    ) as study:
        recover(study.tracker, study.store)
        return confirm_study(study, n_best=n_best, n_replicates=n_replicates)


def confirm_study(
    study: OpenStudy,
    *,
    n_best: int | None = None,
    n_replicates: int | None = None,
    sweep_run_id: str | None = None,
    budget: Budget | None = None,
) -> Analysis | None:
    """Confirm an open study, write its report and log the winner's model.

    Parameters
    ----------
    budget : Budget or None
        Limits the number of seeds to those that fit, one at least.
    sweep_run_id : str or None
        Run of the sweep that started the confirmation; the report is logged with it,
        too.
    """
    suite, progress, tracker = study.suite, study.progress, study.tracker
    if suite.confirm is None:
        raise TypeError("a confirmation needs a suite with a confirm section")
    spec = suite.confirm
    n_best = spec.n_best if n_best is None else n_best
    n_replicates = n_replicates or spec.n_replicates
    results = None
    if (len(suite.space) and n_best) or budget is not None:
        progress.doing("loading the search from MLflow")
        results = load_results(tracker.tracking_uri, suite)
        if left_out := describe_left_out(results.left_out):
            progress.say(f"warning: {left_out}")
    candidates = choose_candidates(suite, results, n_best)
    n_most = None
    if budget is not None and results is not None:
        n_most = _seeds_that_fit(study, budget, results, candidates)
        if spec.until is None:
            n_replicates = min(n_replicates, n_most)
    sizes = [f"{size:,}" for size in study.prepared.subset_sizes]
    examples = study.prepared.dataset.examples
    too_few = f" (too few for verdicts, which need {MIN_SEEDS})"
    progress.say(
        f"confirming {count(len(candidates), 'configuration')} on "
        f"{spec.seeds_text(n_replicates)}"
        + (f", also with {listed(sizes)} {examples}" if sizes else "")
        + (too_few if n_replicates < MIN_SEEDS else "")
        + ": "
        + "; ".join(candidate.label for candidate in candidates)
    )
    run_id = confirm_candidates(study, candidates, n_replicates, sweep_run_id, n_most)
    run_ids = [run_id, sweep_run_id] if sweep_run_id else [run_id]
    analysis = study.report(*run_ids)
    if analysis is not None:
        # Otherwise the next start logs the model.
        try:
            is_new = log_winners_model(study.driver, tracker, analysis, run_id)
            if is_new and not suite.task.is_numeric:
                # Again, with what the model makes of the samples; numbers have none.
                study.write_again(*run_ids)
        except TrialFailed as error:
            progress.say(f"the winner's model is not logged: {error}")
        try:
            log_ensemble_models(study.driver, tracker, analysis)
        except TrialFailed as error:
            progress.say(f"the models of an ensemble are not all logged: {error}")
    return analysis


def _seeds_that_fit(
    study: OpenStudy,
    budget: Budget,
    results: Results,
    candidates: Sequence[Candidate],
) -> int:
    config_ids = [candidate.config.config_id for candidate in candidates]
    sizes, n_all = study.prepared.subset_sizes, len(study.prepared.splits.train)
    work = 1.0 + sum(sizes) / n_all
    n = budget.n_seeds(results, config_ids, study.driver.workers.n, work)
    spec = confirm_spec(study.suite)
    least = 1 if spec.until is None else spec.n_replicates
    study.progress.say(
        f"{minutes(budget.confirmation_s())} left for the confirmation, in which "
        f"{count(n, 'seed')} of {count(len(candidates), 'configuration')} fit"
        + ("" if n >= least else f"; {least} trained all the same")
    )
    return max(least, n)


def is_confirmed(analysis: Analysis) -> bool:
    """Whether the first of `choose_candidates`, the search's best, is confirmed."""
    results = analysis.results
    confirmed = {contender.key for contender in analysis.contenders}
    # Among several that tie for the best, always the same one.
    first = choose_candidates(results.suite, results, n_best=1)[0]
    return first.config.config_id in confirmed


def choose_candidates(
    suite: Suite, results: Results | None, n_best: int
) -> list[Candidate]:
    """Return the candidates: the search's best, the references, and their pairs.

    Parameters
    ----------
    results : Results or None
        Of the search; None where the suite has no search.
    n_best : int
        Configurations to take from the search, by validation objective.

    Raises
    ------
    SuiteError
        There is nothing to confirm.
    """
    chosen = [] if results is None else _best_of_search(results, n_best)
    chosen += [
        Candidate(config, suite.name_of(config), "reference", name)
        for name, config in suite.references.items()
    ]
    # A trial that is also another one's pair has its trial name.
    names = {} if results is None else results.names
    flipped = []
    for base in chosen:
        for config in suite.pairs_of(base.config):
            label = names.get(config.config_id) or suite.name_of(
                config, base.trial, pair_of=base.config
            )
            flipped.append(Candidate(config, label, "pair"))
    distinct = {c.config.config_id: c for c in reversed([*chosen, *flipped])}
    if not distinct:
        raise SuiteError(
            f"{suite.name}: nothing to confirm: no complete trial of the search was "
            f"taken (best {n_best} asked for) and the suite has no reference; ask for "
            "--best 1 or more, or run `lstm-bench sweep` first"
        )
    return list(reversed(distinct.values()))


def _best_of_search(results: Results, n_best: int) -> list[Candidate]:
    """Return the best configurations of the search; of equal ones the smallest.

    The order in which they were trained decides nothing: it differs with the number of
    workers and with their deaths.
    """
    runs = trial_runs(results).sort_values([N_PARAMETERS, "config_id"], kind="stable")
    scores = runs[OBJECTIVE].to_numpy(dtype=float)
    ranked = runs.iloc[results.suite.metric.order(scores)]
    best = ranked.drop_duplicates("config_id").head(n_best)
    return [
        Candidate(
            config_of_row(row),
            results.names[row["config_id"]],
            "search",
            trial=int(row["trial"]),
        )
        for _, row in best.iterrows()
    ]


def confirm_candidates(
    study: OpenStudy,
    candidates: Sequence[Candidate],
    n_replicates: int,
    parent_run_id: str | None = None,
    n_most: int | None = None,
) -> str:
    """Train every candidate on replicates 1 to `n_replicates` and score test.

    Trainings of earlier commands count, and a later command may add replicates.
    Replicates are the outer loop, so that a stopped confirmation has complete pairs.
    Then follow the suite's ``train_sizes``, on the first `n_replicates`.
    With the suite's ``until: settled``, `n_replicates` are those of the first look, and
    no look of more than `n_most` is begun.

    Returns
    -------
    str
        The confirmation's MLflow run, closed; the caller makes verdicts and report.

    Raises
    ------
    TrackingError
        A store failed, or has this study's runs on other data.
    KeyboardInterrupt
        The confirmation was stopped.
    """
    spec, known = confirm_spec(study.suite), study.known_runs()
    _check_data(study, known)
    dataset = study.prepared.dataset

    def write_test_reviews(folder: Path) -> None:
        reviews = pd.DataFrame(
            {
                "length": dataset.test.lengths,
                "in_train": copies_in(dataset.test, dataset.train),
            }
        )
        reviews.to_parquet(folder / rec.TEST_REVIEWS)

    session = study.tracker.start_session(
        "confirm",
        study.prepared,
        {
            "n_replicates": n_replicates,
            "n_candidates": len(candidates),
            "n_workers": study.driver.workers.n,
            **({} if spec.until is None else {"looks": spec.looks_text}),
        },
        parent_run_id,
        write_test_reviews,
    )
    plans: Iterable[Confirmation]
    sizes = study.prepared.subset_sizes
    if spec.until is None:
        plans = [
            Confirmation(
                study, session, known, candidates, n_replicates, sizes=(None, *sizes)
            )
        ]
    else:
        plans = look_by_look(study, session, known, candidates, n_most)
        if sizes:
            last = Confirmation(
                study, session, known, candidates, n_replicates, sizes=sizes
            )
            plans = itertools.chain(plans, [last])
    study.run(plans, session)
    return str(session.run_id)


def look_by_look(
    study: OpenStudy,
    session: OpenRun,
    known: Sequence[StoredRun],
    candidates: Sequence[Candidate],
    n_most: int | None = None,
) -> Iterator[Confirmation]:
    """Yield a plan for each look, until every comparison is settled.

    Configurations that the study has confirmed earlier are candidates, too: they are in
    its comparisons. What is in no open comparison gets no more seeds. Which looks were
    taken follows from MLflow alone, so that any command goes on with the schedule.
    """
    spec, say = confirm_spec(study.suite), study.progress.say
    earlier = [
        r for r in known if isinstance(r, StoredTraining) and r.kind == "replicate"
    ]
    distinct = {c.config.config_id: c for c in map(_candidate_of, earlier)}
    distinct |= {c.config.config_id: c for c in candidates}
    _warn_of_other_looks(study, known)
    found = _standings(study) if earlier else []
    asked: dict[str, int] | None = None
    while found is not None:
        wanted = _seeds_wanted(found, spec.looks)
        plan = Confirmation(
            study, session, known, [*distinct.values()], spec.n_replicates, wanted
        )
        if not plan.n_left():
            break
        if wanted == asked:
            say("no further look: not every training of this one has ended")
            return
        if n_most is not None and max([spec.n_replicates, *wanted.values()]) > n_most:
            say("no further look: its seeds do not fit the budget")
            return
        asked = wanted
        yield plan
        shown = {_settled_text(one, len(spec.looks)) for one in found}
        found = _standings(study)
        for one in found or ():
            text = _settled_text(one, len(spec.looks))
            if not is_open(one.judged) and text not in shown:
                say(text)
        known = parse_runs(study.tracker.runs_of(study.suite.study_name))[0]
    if found is None:
        say("no further look: not all results can be read from MLflow")
        return
    still = [one for one in found if is_open(one.judged)]
    say(
        f"{len(found) - len(still)} of {count(len(found), 'comparison')} settled"
        + (f"; not settled with {spec.looks[-1]} seeds: " if still else "")
        + "; ".join(" against ".join(one.labels) for one in still)
    )


def _candidate_of(run: StoredTraining) -> Candidate:
    return Candidate(run.config, str(run.label), str(run.origin), run.reference)


def _standings(study: OpenStudy) -> list[Standing] | None:
    """Return where the comparisons stand; None where results are not (all) there."""
    study.progress.doing("loading the results from MLflow")
    results = study.results()
    if results is None or results.missing:
        return None
    found = find_contenders(results)
    winner = find_winner(study.suite, found)
    return [] if winner is None else [*standings(study.suite, found, winner)]


def _seeds_wanted(found: Sequence[Standing], looks: Sequence[int]) -> dict[str, int]:
    """Return up to which replicate what is in open comparisons is needed, by key."""
    wanted: dict[str, int] = {}
    for one in found:
        if is_open(one.judged):
            n = looks[min(one.look or 0, len(looks) - 1)]
            for contender in itertools.chain(*one.pairs):
                wanted[contender.key] = max(n, wanted.get(contender.key, 0))
    return wanted


def _settled_text(one: Standing, n_looks: int) -> str:
    a, b = one.labels
    seeds = count(len(one.replicates), "seed")
    return (
        f"settled at look {one.look} of {n_looks}, with {seeds}: "
        f"{LEADS[one.judged.verdict].format(a=a, b=b)} ({one.family})"
    )


def _warn_of_other_looks(study: OpenStudy, known: Sequence[StoredRun]) -> None:
    own = confirm_spec(study.suite).looks_text
    others = {
        run.looks or "a fixed number"
        for run in known
        if isinstance(run, StoredSession) and run.kind == "confirm"
    } - {own}
    if others:
        study.progress.say(
            "warning: the study was confirmed with other looks: at "
            f"{listed(sorted(others), '; ')} of seeds, now at {own}; looks that are "
            "chosen after a verdict was seen make false verdicts more frequent"
        )


class Confirmation(Plan):
    """The plan of a confirmation: every baseline and candidate on every replicate.

    Parameters
    ----------
    n_replicates : int
        For all of them, but those in `wanted`.
    wanted : mapping of str to int
        Larger numbers of replicates by a configuration's id or ``baseline:NAME``.
    sizes : sequence of int or None
        Numbers of training examples to train on; None: all.
    """

    def __init__(
        self,
        study: OpenStudy,
        session: OpenRun,
        known: Sequence[StoredRun],
        candidates: Sequence[Candidate],
        n_replicates: int,
        wanted: Mapping[str, int] = NONE_WANTED,
        sizes: Sequence[int | None] = (None,),
    ) -> None:
        self.study, self.session = study, session
        last = max([n_replicates, *wanted.values()])
        done = {
            (run.config_id, run.replicate, run.n_subset)
            for run in known
            if isinstance(run, StoredTraining)
            and run.kind in ("replicate", rec.SUBSET)
            and run.state in ENDED
        }
        tasks: list[Task] = []
        total = left = 0
        # All examples first: what is stopped then is a confirmation without subsets.
        for size, replicate in sorted(
            itertools.product(sizes, range(1, last + 1)),
            key=lambda each: 0 if each[0] is None else each[1],
        ):
            tasks += [
                task
                for task in study.baselines(
                    session, known, replicate, score_test=True, n_subset=size
                )
                if replicate
                <= wanted.get(f"baseline:{task.job.baseline}", n_replicates)
            ]
            for candidate in candidates:
                config_id = candidate.config.config_id
                if replicate > wanted.get(config_id, n_replicates):
                    continue
                total += 1
                if (config_id, replicate, size) not in done:
                    left += 1
                    tasks.append(self._task(candidate, replicate, size))
        super().__init__(tasks, total, total - left)

    def _task(self, candidate: Candidate, replicate: int, size: int | None) -> Task:
        return self.study.training(
            candidate.config,
            f"{candidate.label}, {self.study.seed_text(replicate, size)}",
            self.session,
            kind="replicate" if size is None else rec.SUBSET,
            replicate=replicate,
            n_subset=size,
            score_test=True,
            reference=candidate.reference,
            label=candidate.label,
            origin=candidate.origin,
        )

    def ended(self, task: Task, done: Done) -> None:
        """Count a training, or show how a baseline ended."""
        super().ended(task, done)
        if task.config is None:
            self.study.say_baseline(task, done)


def _check_data(study: OpenStudy, known: Sequence[StoredRun]) -> None:
    identity = short_identity(study.prepared.dataset.identity)
    for other in sorted(data_identities(known) - {identity}):
        raise TrackingError(
            f"study {study.suite.study_name} was begun on "
            f"{how_different(other, identity)}; give the same, or another "
            "--tracking-uri to begin anew"
        )
