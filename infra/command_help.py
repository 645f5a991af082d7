"""What commands say of themselves beside their options."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """Return the part of a command's ``--help`` that shows how it is called, as click takes an epilog.

    Parameters
    ----------
    *lines : str
        Commands as they are typed.
    """
    # click leaves a paragraph as it is that begins with a backspace.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
