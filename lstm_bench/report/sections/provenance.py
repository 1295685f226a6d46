"""The provenance section: machine, versions, commit, data and suite of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lstm_bench.analysis.tables.search import study_summary
from lstm_bench.analysis.tables.select import engines
from lstm_bench.report.blocks import (
    DASH,
    Block,
    Column,
    Facts,
    Listing,
    Note,
    Section,
    Table,
    as_sentence,
    count,
    when,
    with_unit,
)
from lstm_bench.report.heading import machine
from lstm_bench.report.view import View
from lstm_bench.tracking.results import Results

SUITE_STATES = {
    True: "as committed",
    False: "not as committed",
    None: "not in a repository",
}


def provenance_section(view: View) -> Section:
    """Show the study's machine, versions, commit, data and suite."""
    results = view.results
    blocks: list[Block] = list(origin(results))
    if len(results.sessions):
        blocks.append(
            Table(
                "sessions",
                f"The {count(len(results.sessions), 'command')} that worked on this "
                "study (times in UTC).",
                results.sessions,
                (
                    Column("kind", "command"),
                    Column("run_id", "MLflow run"),
                    Column("start_time", "start", "time"),
                    Column("end_time", "end", "time"),
                    Column("status", "status"),
                ),
            )
        )
    if len(results.left_out):
        blocks.append(
            Table(
                "left_out",
                "What the tracking store holds of this study and could not be read: "
                "a run that is left out, or an artifact of one that stays.",
                results.left_out,
                (
                    Column("run_id", "MLflow run"),
                    Column("run_name", "name"),
                    Column("part", "what"),
                    Column("reason", "why", "prose"),
                ),
            )
        )
    blocks.append(suite_text(results))
    return Section(
        "Provenance", "provenance", "What it takes to run this again.", tuple(blocks)
    )


def suite_text(results: Results) -> Listing:
    """Return the suite's text."""
    return Listing(f"{results.suite.name}.yaml", results.suite.text)


def origin(results: Results) -> Iterator[Block]:
    """Yield the study's dates, machine, versions, commit and data."""
    env, data = results.environment, results.dataset
    facts = study_summary(results)
    commit = env.get("git_commit")
    dirty = {True: " with uncommitted changes", False: "", None: ""}
    replicates = facts["replicates"]
    items = [
        ("study", results.study),
        ("lstm-bench", str(env.get("lstm_bench", DASH))),
        ("Python", str(env.get("python", DASH))),
        (
            "packages",
            ", ".join(f"{k} {v}" for k, v in (env.get("packages") or {}).items()),
        ),
        ("operating system", str(env.get("os", DASH))),
        ("processor", machine(results)),
        ("engine of the recurrent layers", ", ".join(engines(results))),
        ("memory", with_unit(env.get("memory_gib"), "GiB")),
        (
            "git commit",
            f"{commit}{dirty[env.get('git_dirty')]}" if commit else "not in a checkout",
        ),
        ("digest of the code (SHA-256)", str(env.get("code_digest", DASH))),
        (
            "suite file",
            SUITE_STATES[env["suite_committed"]] if "suite_committed" in env else DASH,
        ),
        (
            "settings of the process",
            ", ".join(f"{k}={v}" for k, v in (env.get("settings") or {}).items())
            or ("none" if "settings" in env else DASH),
        ),
        ("study seed", str(results.suite.study.seed)),
        (
            "replicates (0 is the search)",
            ", ".join(map(str, replicates[:20]))
            + (" ..." if len(replicates) > 20 else ""),
        ),
        ("first training began", when(facts["first_start"])),
        ("last training began", when(facts["last_start"])),
        ("dataset", str(data.get("source", DASH))),
        ("dataset digest (SHA-256)", str(data.get("digest", DASH))),
        ("digest of the dataset's code", str(data.get("code_digest", DASH))),
        *_copies(data, results.examples),
    ]
    yield Facts(tuple((k, v or DASH) for k, v in items))
    for note in data.get("notes", ()):
        yield Note(as_sentence(str(note)))


def _copies(data: Mapping[str, Any], examples: str) -> list[tuple[str, str]]:
    """Return the numbers of examples with a copy in another split."""

    def of(n: str, whole: object) -> str:
        n_whole = f"{whole:,}" if isinstance(whole, int) else DASH
        return f"{data[n]:,} of {n_whole}" if n in data else DASH

    train, test = (data.get(part) or {} for part in ("train", "test"))
    n_copies = train.get("n_copies")
    return [
        (
            f"training {examples} that are copies of another",
            DASH if n_copies is None else f"{n_copies:,} of {train.get('n', 0):,}",
        ),
        (
            f"validation {examples} with a copy among those trained on",
            of("n_val_in_used_train", data.get("n_used_val")),
        ),
        (
            f"test {examples} with a copy among those trained on",
            of("n_test_in_used_train", test.get("n")),
        ),
        (
            f"test {examples} with a copy in all of train",
            of("n_test_in_train", test.get("n")),
        ),
    ]
