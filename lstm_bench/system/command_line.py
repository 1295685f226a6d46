"""Commands printed in messages for copying, with the options of the running one."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource

from lstm_bench.masking import without_password


def command_line(name: str, *arguments: str, tracking_uri: str | None = None) -> str:
    """Return ``lstm-bench NAME ARGUMENTS`` with the options of the running command.

    It has the options that were given and that NAME accepts, too, quoted for a
    POSIX shell.

    Parameters
    ----------
    name : str
        Such as ``sweep`` or ``data check``.
    tracking_uri : str or None
        Included without its password, whether it was given as an option or not.
    """
    options = {} if tracking_uri is None else {"--tracking-uri": tracking_uri}
    context = click.get_current_context(silent=True)
    if context is not None:
        command = context.find_root().command
        for word in name.split():
            if isinstance(command, click.Group):
                command = command.commands[word]
        for option in command.params:
            key = option.name or ""
            given = context.get_parameter_source(key) is ParameterSource.COMMANDLINE
            value = context.params.get(key)
            if isinstance(option, click.Option) and given and value is not None:
                options.setdefault(option.opts[0], str(value))
    words = ["lstm-bench", *name.split(), *arguments]
    for name_of_option, value in options.items():
        words += [name_of_option, without_password(value)]
    return shlex.join(words)
