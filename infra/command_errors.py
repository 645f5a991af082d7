"""How a command says what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from schemas.errors import SpanwatchError


@contextmanager
def plainly() -> Iterator[None]:
    """Turn our errors into one sentence and exit status 1; a context, or with its brackets a decorator of commands.

    Raises
    ------
    click.ClickException
        Instead of any ``SpanwatchError``, with its text.
    """
    try:
        yield
    except SpanwatchError as error:
        raise click.ClickException(str(error)) from error
