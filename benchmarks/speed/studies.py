"""What a study of many trials costs: ask, tell, look and resume, without training.

Fills a study up to each number of trials and does its last trials in a process of its
own, as a worker that joins would: through the tool's own `StudyStore`, with TPE, the
median pruner, and six epochs reported for each.

    python benchmarks/speed/studies.py --trials 100 1000 10000
    python benchmarks/speed/studies.py --postgresql postgresql://USER@HOST/EMPTY

With `--fill random`, the default, what is filled up is drawn at random and written
straight into Optuna's tables, some of it pruned, failed, interrupted or repeated, and
TPE does only the trials that are measured. `--fill tpe` lets TPE do them all, which
takes hours for 10,000.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy
import sqlalchemy.orm
from measure import peak_memory_mib, print_machine
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from simulated import curve, time_lock, write_suite

from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import Next, StudyStore
from lstm_bench.search.trials import CONFIG_ID, DUPLICATE_OF, INTERRUPTED, OWNER, RUN_ID
from lstm_bench.seeding import derive_rng, derive_seed
from lstm_bench.suites.suite import Suite
from lstm_bench.system.console import LastingConsole
from lstm_bench.system.process import this_process
from lstm_bench.training.result import metric_key
from lstm_bench.workers.progress import PlainProgress
from lstm_bench.workers.session import (
    Session,
    is_open,
    open_session,
    someone_at_work,
    work_left,
)
from lstm_bench.workers.supervise import Watch

VALUE = metric_key("val", "accuracy")
# Of what is filled up; the rest is complete.
SHARES = {"pruned": 0.1, "failed": 0.02, "interrupted": 0.02, "duplicate": 0.02}
TRAINING_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--trials", type=int, nargs="+", default=[100, 1000, 5000, 10000]
    )
    parser.add_argument("--postgresql", help="address of an empty database, too")
    parser.add_argument("--fill", choices=("random", "tpe"), default="random")
    parser.add_argument("--measured", type=int, default=50, help="trials at each")
    arguments = parser.parse_args()
    print_machine()
    print(", ".join(f"{name} {version(name)}" for name in ("optuna", "sqlalchemy")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = write_suite(folder)
        urls = [f"sqlite:///{folder}/optuna.db"]
        if arguments.postgresql:
            urls.append(arguments.postgresql)
        for url in map(resolve_storage, urls):
            print(f"\n{database(url)}")
            for n in sorted(arguments.trials):
                fill(suite, url, n - arguments.measured, arguments.fill)
                in_fresh_process(measure, suite, url, arguments.measured)


def database(url: str) -> str:
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            ask = "select sqlite_version()"
        else:
            ask = "show server_version"
        answer = connection.execute(sqlalchemy.text(ask)).scalar()
    engine.dispose()
    return f"{engine.dialect.name} {answer}"


def database_mib(engine: sqlalchemy.Engine) -> float:
    if engine.dialect.name == "sqlite":
        return Path(engine.url.database or "").stat().st_size / 2**20
    ask = "select pg_database_size(current_database())"
    with engine.connect() as connection:
        return float(connection.execute(sqlalchemy.text(ask)).scalar_one()) / 2**20


# Filling


def fill(suite: Suite, url: str, n: int, how: str) -> None:
    """Fill the study up to `n` trials."""
    store = StudyStore(suite, url)
    begin = len(store.search.trials())
    start = time.perf_counter()
    if how == "tpe":
        times: dict[str, list[float]] = defaultdict(list)
        while len(store.search.trials()) < n:
            do(store, times)
    elif n > begin:
        trials = [drawn(suite, number) for number in range(begin, n)]
        insert(store, begin, trials)
    seconds = time.perf_counter() - start
    if n > begin:
        print(f"{n - begin} trials filled up ({how}) in {seconds:.1f} s")


def insert(store: StudyStore, begin: int, trials: list[FrozenTrial]) -> None:
    """Add finished trials in one transaction; Optuna takes 25 ms for each."""
    study_id = store.search.study._study_id
    rows: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    with sqlalchemy.orm.Session(store.lock.engine) as session, session.begin():
        ids = session.scalars(
            sqlalchemy.insert(models.TrialModel).returning(
                models.TrialModel.trial_id, sort_by_parameter_order=True
            ),
            [
                {
                    "number": number,
                    "study_id": study_id,
                    "state": trial.state,
                    "_datetime_start_utc": trial.datetime_start,
                    "_datetime_complete_utc": trial.datetime_complete,
                }
                for number, trial in enumerate(trials, begin)
            ],
        ).all()
        for trial_id, trial in zip(ids, trials, strict=True):
            for model, found in rows_of(trial):
                rows[model].append({"trial_id": trial_id, **found})
        for model, found in rows.items():
            session.execute(sqlalchemy.insert(model), found)


def rows_of(trial: FrozenTrial) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield a trial's rows with the tables they belong to."""
    if trial.value is not None:
        kind = models.TrialValueModel.TrialValueType.FINITE
        yield (
            models.TrialValueModel,
            {"objective": 0, "value": trial.value, "value_type": kind},
        )
    for name, value in trial.params.items():
        axis = trial.distributions[name]
        yield (
            models.TrialParamModel,
            {
                "param_name": name,
                "param_value": axis.to_internal_repr(value),
                "distribution_json": distribution_to_json(axis),
            },
        )
    for key, value in trial.user_attrs.items():
        yield models.TrialUserAttributeModel, {"key": key, "value_json": dumps(value)}
    for key, value in trial.system_attrs.items():
        yield models.TrialSystemAttributeModel, {"key": key, "value_json": dumps(value)}
    for step, value in trial.intermediate_values.items():
        kind = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
        yield (
            models.TrialIntermediateValueModel,
            {
                "step": step,
                "intermediate_value": value,
                "intermediate_value_type": kind,
            },
        )


def drawn(suite: Suite, number: int) -> FrozenTrial:
    """Return a finished trial with values drawn at random."""
    sampler = optuna.samplers.RandomSampler(derive_seed(1, "fill", number))
    trial = optuna.create_study(sampler=sampler).ask()
    config = suite.space.suggest(trial, suite.defaults)
    values = [entry[VALUE] for entry in curve(config)]
    chosen = derive_rng(1, "state", number).random()
    ended = "complete"
    for state, share in SHARES.items():
        chosen -= share
        if chosen < 0:
            ended = state
            break
    attrs: dict[str, Any] = {CONFIG_ID: config.config_id, OWNER: this_process()}
    if ended == "duplicate":
        attrs = {DUPLICATE_OF: "run-0"}
    else:
        attrs[RUN_ID] = f"{number:032x}"
    if ended == "interrupted":
        attrs[INTERRUPTED] = True
    if ended in ("pruned", "interrupted"):
        values = values[:3]
    states = {"pruned": TrialState.PRUNED} | dict.fromkeys(
        ("failed", "interrupted"), TrialState.FAIL
    )
    state = states.get(ended, TrialState.COMPLETE)
    return optuna.trial.create_trial(
        state=state,
        value=None if state == TrialState.FAIL else values[-1],
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=attrs,
        # As TPE leaves them there, for others to see while the trial runs.
        system_attrs={"tpe:relative_params:0": dumps(trial.params)},
        intermediate_values=dict(enumerate(values, 1)),
    )


# Measuring


def in_fresh_process(fn: Callable[..., None], *arguments: Any) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=fn, args=(*arguments, time.time()))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{fn.__name__}: exit {process.exitcode}")


@contextmanager
def timed(times: dict[str, list[float]], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    times[name].append(time.perf_counter() - start)


def do(store: StudyStore, times: dict[str, list[float]]) -> None:
    """Do one trial as a worker does, with nothing but the storage."""
    with timed(times, "ask"):
        step = store.next_trial()
    assert step is not None
    finish(step, times)


def finish(step: Next, times: dict[str, list[float]]) -> None:
    with timed(times, "set the run's id"):
        step.trial.set_user_attr(RUN_ID, f"{step.trial.number:032x}")
    state, value = "complete", 0.0
    for entry in curve(step.config):
        value = entry[VALUE]
        with timed(times, "report, should_prune"):
            step.trial.report(value, int(entry["epoch"]))
            is_pruned = step.trial.should_prune()
        if is_pruned:
            state = "pruned"
            break
    with timed(times, "tell"):
        step.owned.tell(step.trial, state, value)


def measure(suite: Suite, url: str, n_measured: int, began: float) -> None:
    """Open the store, do `n_measured` trials and print what they took."""
    started = time.time()
    times: dict[str, list[float]] = defaultdict(list)
    sampling: dict[str, list[float]] = defaultdict(list)
    time_sampler(sampling)
    with timed(times, "open"):
        store = StudyStore(suite, url)
    lock = time_lock(store)
    with timed(times, "first ask"):
        first = store.next_trial()
    assert first is not None
    finish(first, defaultdict(list))
    resumed = time.time() - began
    sampling.clear()
    lock.kept.clear()
    statements = count_statements(store)
    n_before = len(store.search.trials())
    # What is done beside trials, once a loop: one trial changes in between.
    session = Session("sweep", "run", "0", total=suite.study.n_trials)
    open_session(store, session)
    progress = PlainProgress(LastingConsole(file=io.StringIO()))
    watch = Watch(store, session, progress)
    beside: dict[str, list[float]] = defaultdict(list)
    n_statements: list[int] = []
    while len(times["ask"]) < n_measured - 1:
        do_counted(store, times, statements, n_statements)
        if len(times["ask"]) % 5 == 0:
            look(store, session, watch, beside)
    n = len(store.search.trials())
    print(f"\n{n} trials, {n_before} of them before")
    print(
        f"resumed in {resumed:.2f} s: interpreter and imports {started - began:.2f}, "
        f"open {times.pop('open')[0]:.3f}, first ask {times.pop('first ask')[0]:.3f}"
    )
    for name, values in times.items():
        print(f"  {name:24} {quantiles(values)}")
    per_trial = sum(lock.kept) / len(times["ask"])
    print(f"  {'of an ask, TPE itself':24} {quantiles(sampling['sampler'])}")
    print(f"  {'statements of an ask':24} {statistics.median(n_statements):.0f}")
    print("beside the trials, each once")
    for name, values in beside.items():
        print(f"  {name:24} {quantiles(values)}")
    print(
        f"under the lock {1000 * per_trial:.1f} ms a trial: at most "
        f"{3600 / per_trial:,.0f} trials an hour, so "
        f"{TRAINING_S / per_trial:,.0f} workers with trainings of {TRAINING_S:.0f} s"
    )
    print(
        f"peak memory {peak_memory_mib():.0f} MiB, "
        f"database {database_mib(store.lock.engine):.1f} MiB",
        flush=True,
    )


def quantiles(values: list[float]) -> str:
    median, high = np.percentile([1000 * value for value in values], [50, 95])
    return f"median {median:8.2f} ms, 95th percentile {high:8.2f} (n = {len(values)})"


def time_sampler(times: dict[str, list[float]]) -> None:
    """Keep what Optuna's sampler takes of each ask, from now on."""
    sample = optuna.samplers.TPESampler.sample_relative

    def sample_relative(self: Any, *arguments: Any) -> dict[str, Any]:
        with timed(times, "sampler"):
            return sample(self, *arguments)

    optuna.samplers.TPESampler.sample_relative = sample_relative  # type: ignore


def count_statements(store: StudyStore) -> list[str]:
    """Return a list that every statement to the database is put into."""
    statements: list[str] = []
    sqlalchemy.event.listen(
        store.lock.engine,
        "before_cursor_execute",
        lambda c, cursor, statement, *rest: statements.append(statement),
    )
    return statements


def do_counted(
    store: StudyStore,
    times: dict[str, list[float]],
    statements: list[str],
    n_statements: list[int],
) -> None:
    statements.clear()
    with timed(times, "ask"):
        step = store.next_trial()
    n_statements.append(len(statements))
    assert step is not None
    finish(step, times)


def look(
    store: StudyStore, session: Session, watch: Watch, times: dict[str, list[float]]
) -> None:
    """Do what a worker and the one who oversees it do besides."""
    answers: dict[str, Callable[[], Any]] = {
        "watch.look": lambda: watch.look(0),
        "best": store.best,
        "finished": store.finished,
        "finished_references": store.finished_references,
        "next_reference": store.next_reference,
        "is_exhausted": store.is_exhausted,
        "orphans": store.orphans,
        "someone_at_work": lambda: someone_at_work(store, session),
        "work_left": lambda: work_left(store, session),
        "is_open": lambda: is_open(store, session),
    }
    for name, answer in answers.items():
        with timed(times, name):
            answer()


if __name__ == "__main__":
    main()
