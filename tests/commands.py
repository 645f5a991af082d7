"""Command lines that stand in files: whether the front door knows them."""

from __future__ import annotations

import click

import spanwatch


def assert_is_a_command(words: list[str]) -> None:
    """Fail unless the front door has this command, and the command these options."""
    name, *arguments = words
    command = spanwatch.main.get_command(click.Context(spanwatch.main), name)
    assert command is not None, name
    command.make_context(name, arguments)
