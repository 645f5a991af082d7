"""What commands print with."""

from __future__ import annotations

from rich.console import Console


def console(*, is_stderr: bool = False, soft_wrap: bool = False, highlight: bool = True) -> Console:
    """Return a console that prints texts as they are.

    Rich would take brackets in the name of a file for its markup, and two groups of an IPv6 address for an emoji:
    ``fe80:ab:1`` has ``:ab:`` in it.

    Parameters
    ----------
    is_stderr : bool
        Whether it is standard error.
    soft_wrap : bool
        Whether long lines are left to the terminal.
    highlight : bool
        Whether numbers and the like are coloured.
    """
    return Console(stderr=is_stderr, soft_wrap=soft_wrap, highlight=highlight, markup=False, emoji=False)
