"""Asking before something is done that people feel: on a terminal, or by ``--yes``."""

import typer

from cli import console
from reconciler.errors import UsageError

_ERROR = 1


def must_be_meant(question: str, *, yes: bool, left: str, command: str) -> None:
    """Nothing, where it is meant. Ends the command where the answer is no. Raises: UsageError where nobody can answer.

    ``left`` says what stays as it is, ``command`` is the one that doesn't ask.
    """
    if yes:
        return
    if not console.asks():
        raise UsageError(f"{left}: nobody is there to be asked", hint=f"{command} --yes")
    if not console.confirm(question):
        console.talk(left)
        raise typer.Exit(_ERROR)
