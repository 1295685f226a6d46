"""Every command and link in the README, in docs/ and in the published pages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from commands import run
from conftest import ROOT

from lstm_bench.cli.main import cli

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        ROOT / "reports" / "README.md",
        ROOT / "reports" / "published" / "speed" / "README.md",
    ]
)
# Of other projects: nothing here can check how they are called.
OTHER_PROGRAMS = {
    ".",
    "dask",
    "export",
    "mypy",
    "pip",
    "pytest",
    "ruff",
    "sudo",
    "uv",
}
CHEAP = {"suites", "--help", "--version"}


def name_of(page: Path) -> str:
    """Return a page's path in the project."""
    return page.relative_to(ROOT).as_posix()


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (page, text) of every code block in `language`."""
    return [
        (name_of(page), text)
        for page in PAGES
        for text in re.findall(
            rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S
        )
    ]


def commands() -> list[tuple[str, list[str]]]:
    """Return (page, words) of every command in a ``sh`` block."""
    found = []
    for page, text in blocks("sh"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                found.append((page, words[:end]))
                words = words[end + 1 :]
    return found


def program_of(words: list[str]) -> list[str]:
    """Return a command without variables and `uv run` before it."""
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if words[:2] == ["uv", "run"]:
        words = words[4:] if words[2] == "--group" else words[2:]
    return words


def parse(group: click.Group, words: list[str]) -> None:
    """Parse a command as the command line would; run nothing."""
    command: click.Command = group
    context = None
    while isinstance(command, click.Group):
        if not words and command.invoke_without_command:
            return
        assert words and words[0] in command.commands, words
        context = click.Context(command, parent=context, info_name=words[0])
        command, words = command.commands[words[0]], words[1:]
    command.make_context(command.name, list(words), parent=context)


PROJECT = yaml.safe_load((ROOT / "mlproject").read_text())


def check_project_run(words: list[str]) -> None:
    """Check the entry point and the parameters of `mlflow run . ...`."""
    assert words[0] == ".", words
    entry, names = "main", []
    for flag, value in zip(words[1::2], words[2::2], strict=True):
        if flag == "-e":
            entry = value
        else:
            assert flag == "-P", words
            names.append(value.partition("=")[0])
    assert set(names) <= set(PROJECT["entry_points"][entry]["parameters"]), words


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param(*found, id=f"{found[0]}: {' '.join(found[1])}")
        for found in commands()
    ],
)
def test_documented_command_parses(page, words, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(ROOT)
    program, *rest = program_of(words)
    if program == "lstm-bench":
        parse(cli, rest)
        if rest[0] in CHEAP:
            if rest[1:2] == ["copy"]:
                monkeypatch.chdir(tmp_path)
            assert run(*rest) == 0, capsys.readouterr().err
    elif program == "mlflow":
        if rest[0] == "run":
            check_project_run(rest[1:])
        else:
            assert rest[0] == "server"
    elif program in ("python", "python3"):
        assert rest[0] == "-m" or (ROOT / rest[0]).is_file()
    else:
        assert program in OTHER_PROGRAMS


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_command_in_a_sentence_exists_with_its_options(page):
    for code in re.findall(r"`lstm-bench ([^`]+)`", page.read_text("utf-8")):
        command: click.Command = cli
        words = shlex.split(code)
        while words and isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        known = {option for param in command.params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= known, code


def test_every_command_is_documented_and_has_help(capsys):
    documented = "\n".join(text for _, text in blocks("sh"))

    def walk(group: click.Group, prefix: str) -> None:
        for name, command in group.commands.items():
            words = f"{prefix}{name}"
            if isinstance(command, click.Group):
                walk(command, f"{words} ")
            if not isinstance(command, click.Group) or command.invoke_without_command:
                assert f"lstm-bench {words}" in documented
                assert run(*words.split(), "--help") == 0
                assert len(capsys.readouterr().out.splitlines()) > 3

    walk(cli, "")


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_documented_python_compiles(page, text):
    compile(text, page, "exec")


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_documented_suite_is_valid(page, text, tmp_path, capsys):
    file = tmp_path / "documented.yaml"
    file.write_text(text)
    assert run("suites", "check", str(file)) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.M)
            slugs = [
                re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings
            ]
            assert heading in slugs, link


def test_contributing_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for path in re.findall(r"`([\w/]+(?:/|\.py|\.yaml))`", text):
        places = (ROOT / path, ROOT / "lstm_bench" / path)
        assert any(place.exists() for place in places), path
