"""Mask passwords in everything that a command prints, logs or writes.

A store's address may contain a password, as in ``postgresql://user:PASSWORD@host/db``
or ``http://host/?token=SECRET``, and libraries repeat addresses in their errors.
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
# Shorter passwords are masked only in addresses: their letters are in many words.
MIN_LITERAL = 4

# Control characters except tab and newline, lone surrogates, and characters that
# change the direction of the surrounding text.
UNPRINTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)

# Each part is bounded: otherwise the time grows with the square of the text's length.
# A longer scheme is found by its end, which begins with a letter, too.
_BEFORE = r"(?P<before>[A-Za-z][\w+.-]{0,30}://[^\s:/?#@'\"<>]{0,1000}:)"
# To the last @: a password may contain one, though it should be written as %40.
_LOGIN = re.compile(_BEFORE + r"(?P<secret>\S{1,4000})@")
# If the whole text is one address, the password may contain spaces, too.
_LOGIN_ALONE = re.compile(_BEFORE + r"(?P<secret>.{1,4000})@", re.DOTALL)
_FIELD = re.compile(
    r"(?P<before>(?<![\w.-])[\w.-]*"
    r"(?:password|passwd|passphrase|pwd|secret|token|api_?key|odbc_connect)=)"
    r"(?P<secret>[^&;\s'\"<>]+)",
    re.IGNORECASE,
)


def mask_url(url: str) -> str:
    """Return an address with its password and secret parameters replaced by ``***``."""
    masked = _LOGIN_ALONE.sub(rf"\g<before>{MASK}@", url)
    return _FIELD.sub(rf"\g<before>{MASK}", masked)


def bare_url(url: str) -> str:
    """Return an address without user, password and query, for links and titles."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return mask_url(url)
    host = parts.netloc.rpartition("@")[2]
    if not host:
        return mask_url(url)
    return mask_url(urlunsplit((parts.scheme, host, parts.path, "", "")))


def without_password(url: str) -> str:
    """Return an address without its password and secret parameters, with its user.

    It works if the password is configured elsewhere, such as in ``~/.pgpass``.
    """
    bare = _LOGIN_ALONE.sub(lambda found: found["before"][:-1] + "@", url)
    head, mark, query = bare.partition("?")
    fields = [field for field in query.split("&") if not _FIELD.search(field)]
    return head + (mark + "&".join(fields) if any(fields) else "")


def hide_login(text: str) -> str:
    """Replace everything before the last @ of a text without a scheme by ``***``."""
    return f"{MASK}@{text.rpartition('@')[2]}" if "@" in text else text


def passwords_in(url: str) -> set[str]:
    """Return the passwords and secret parameters in an address, in its spelling."""
    found = {
        match["secret"]
        for pattern in (_LOGIN_ALONE, _FIELD)
        for match in pattern.finditer(url)
    }
    return found - {MASK}


def login_password(url: str) -> str | None:
    """Return the password between user and host of an address, in its spelling."""
    match = _LOGIN_ALONE.search(url)
    return None if match is None else match["secret"]


def known_secrets(*more: str) -> tuple[str, ...]:
    """Return every spelling of the secrets in the environment, longest first.

    They come from the variables above, and from the addresses `more`.
    """
    addresses = [*(os.environ.get(name, "") for name in ADDRESS_VARIABLES), *more]
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
    """Return `text` with every password in it replaced by ``***``.

    Parameters
    ----------
    secrets : tuple of str, optional
        Masked everywhere; None uses `known_secrets`. Passwords and secret parameters
        in addresses are masked in any case.
    """
    for secret in known_secrets() if secrets is None else secrets:
        text = text.replace(secret, MASK)
    text = _LOGIN.sub(rf"\g<before>{MASK}@", text)
    return _FIELD.sub(rf"\g<before>{MASK}", text)


def printable(text: str) -> str:
    """Return `text` with the characters that control a terminal escaped."""
    return UNPRINTED.sub(lambda found: ascii(found[0])[1:-1], text)


class _MaskedStream:
    """A text stream that masks everything written to it."""

    def __init__(self, stream: TextIO, secrets: tuple[str, ...]) -> None:
        self._stream, self._secrets = stream, secrets

    def __getattr__(self, name: str) -> Any:
        # Click would write to the binary buffer, bypassing the mask.
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
    """Mask standard output and error, if the environment has a secret.

    Warnings, logs and tracebacks of libraries may contain addresses.
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
