"""Keep passwords out of whatever a command says, writes or shows in the process list.

The address of a store may carry what logs in to it, as in
``postgresql://user:PASSWORD@host/db`` or ``http://host/?token=SECRET``. Errors of
libraries repeat such addresses, and so does the list of processes.
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

MASK = "***"
ADDRESS_VARIABLES = (
    "LSTM_BENCH_STORAGE",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_BACKEND_STORE_URI",
)
SECRET_VARIABLES = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "PGPASSWORD",
    "AWS_SECRET_ACCESS_KEY",
)
# A shorter one is masked only where it stands in an address: replaced wherever its
# letters stand, it would leave nothing to read.
MIN_LITERAL = 4
ARGUMENTS = "LSTM_BENCH_HIDDEN_ARGUMENTS"

# Control characters but tab and newline, lone surrogates, and what turns the direction
# of the text around it.
UNPRINTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)

# Each part is bounded: on a long text the time would grow with its square. What a
# longer scheme ends in begins with a letter, too, and so is found.
_BEFORE = r"(?P<before>[A-Za-z][\w+.-]{0,30}://[^\s:/?#@'\"<>]{0,1000}:)"
# To the last @: a password may hold one, though it should be written as %40.
_LOGIN = re.compile(_BEFORE + r"(?P<secret>\S{1,4000})@")
# Of an address that stands alone, spaces too are the password's.
_LOGIN_ALONE = re.compile(_BEFORE + r"(?P<secret>.{1,4000})@", re.DOTALL)
_FIELD = re.compile(
    r"(?P<before>(?<![\w.-])[\w.-]*"
    r"(?:password|passwd|passphrase|pwd|secret|token|api_?key|odbc_connect)=)"
    r"(?P<secret>[^&;\s'\"<>]+)",
    re.IGNORECASE,
)


def mask_url(url: str) -> str:
    """Return an address with its password and secret parameters as ``***``."""
    masked = _LOGIN_ALONE.sub(rf"\g<before>{MASK}@", url)
    return _FIELD.sub(rf"\g<before>{MASK}", masked)


def bare_url(url: str) -> str:
    """Return an address without what logs in to it, fit for a link or a title."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return mask_url(url)
    host = parts.netloc.rpartition("@")[2]
    if not host:
        return mask_url(url)
    return mask_url(urlunsplit((parts.scheme, host, parts.path, "", "")))


def without_password(url: str) -> str:
    """Return an address without its password and secret parameters; the user stays.

    What is left connects where the password comes from elsewhere.
    """
    bare = _LOGIN_ALONE.sub(lambda found: found["before"][:-1] + "@", url)
    head, mark, query = bare.partition("?")
    fields = [field for field in query.split("&") if not _FIELD.search(field)]
    return head + (mark + "&".join(fields) if any(fields) else "")


def hide_login(text: str) -> str:
    """Return what was given for an address with all before an @ as ``***``.

    Without a scheme nobody can tell a password in it.
    """
    return f"{MASK}@{text.rpartition('@')[2]}" if "@" in text else text


def passwords_in(url: str) -> set[str]:
    """Return the secrets that stand in one address or argument, as written there."""
    found = {
        match["secret"]
        for pattern in (_LOGIN_ALONE, _FIELD)
        for match in pattern.finditer(url)
    }
    return found - {MASK}


def login_password(url: str) -> str | None:
    """Return the password between user and host of one address, as written there."""
    match = _LOGIN_ALONE.search(url)
    return None if match is None else match["secret"]


def known_secrets(*more: str) -> tuple[str, ...]:
    """Return every spelling of the secrets this command was given, longest first.

    From its arguments, from the variables above, and from the addresses `more`.
    """
    variables = (os.environ.get(name, "") for name in ADDRESS_VARIABLES)
    addresses = [*sys.argv, *variables, *more]
    secrets = {secret for address in addresses for secret in passwords_in(address)}
    secrets |= {os.environ.get(name, "") for name in SECRET_VARIABLES}
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    long_enough = (s for s in spellings if len(s) >= MIN_LITERAL and s != MASK)
    return tuple(sorted(long_enough, key=lambda s: (-len(s), s)))


def _spellings(secret: str) -> set[str]:
    meant = {secret, unquote(secret), unquote_plus(secret)}
    quoted = {q(s, safe="") for s in meant for q in (quote, quote_plus)}
    escaped = {repr(s)[1:-1] for s in meant} | {json.dumps(s)[1:-1] for s in meant}
    return meant | quoted | escaped | {html.escape(s) for s in meant}


def mask_text(text: str, secrets: tuple[str, ...] | None = None) -> str:
    """Return `text` with every password in it as ``***``.

    Parameters
    ----------
    secrets : tuple of str, optional
        From `known_secrets`, which is asked where none are given. They are masked
        wherever they stand; passwords in addresses and parameters are masked
        although nobody named them.
    """
    for secret in known_secrets() if secrets is None else secrets:
        text = text.replace(secret, MASK)
    text = _LOGIN.sub(rf"\g<before>{MASK}@", text)
    return _FIELD.sub(rf"\g<before>{MASK}", text)


def printable(text: str) -> str:
    """Return `text` with what would steer a terminal written out as escapes."""
    return UNPRINTED.sub(lambda found: ascii(found[0])[1:-1], text)


class _MaskedStream:
    """A text stream that masks what is written to it."""

    def __init__(self, stream: TextIO, secrets: tuple[str, ...]) -> None:
        self._stream, self._secrets = stream, secrets

    def __getattr__(self, name: str) -> Any:
        # Whoever finds the bytes below writes past the mask; click looks for them.
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._stream.write(mask_text(text, self._secrets))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)


@contextmanager
def masked_output() -> Iterator[None]:
    """Mask standard output and error, where this command was given a secret.

    Libraries log and warn of addresses in their own words, and a traceback shows
    whatever an error holds.
    """
    secrets = known_secrets()
    if not secrets:
        yield
        return
    out, err = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, _MaskedStream(out, secrets))
    sys.stderr = cast(TextIO, _MaskedStream(err, secrets))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def hide_arguments() -> None:
    """Take passwords out of this process's title, which every user can read.

    The process starts itself again, under the same id, with masked arguments; the
    real ones go by the environment, which only its owner can read.
    """
    real = os.environ.pop(ARGUMENTS, None)
    if real is not None:
        sys.argv[1:] = json.loads(real)
        return
    own = sys.argv[1:]
    masked = [mask_url(argument) for argument in sys.orig_argv]
    # Called from within another program, the arguments are not the process's.
    is_process = sys.orig_argv[len(sys.orig_argv) - len(own) :] == own
    if masked == sys.orig_argv or not is_process or os.name != "posix":
        return
    environment = os.environ | {ARGUMENTS: json.dumps(own)}
    os.execve(sys.executable, [sys.executable, *masked[1:]], environment)
