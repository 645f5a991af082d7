"""The labels of the published files as classes of the contract."""

from __future__ import annotations

import re

from schemas.classes import CLASS_NAMES
from schemas.errors import FlowFileError

ATTEMPTED = -1
"""Number of flows that an attack tool sent without carrying out the attack (Liu, Engelen et al.)."""

_SPELLINGS = {"infiltration - portscan": "PortScan"}
"""The contract has no class of its own for the scan from within the infiltrated host."""


def class_number(label: str) -> int:
    """Return the number of a label's class.

    The dash of ``Web Attack – XSS`` has been through several encodings in the published files; case is ignored.

    Raises
    ------
    FlowFileError
        When it is no class of the contract.
    """
    name = _plain(label)
    if name.endswith(" - attempted"):
        return ATTEMPTED
    name = _plain(_SPELLINGS.get(name, name))
    for number, known in enumerate(CLASS_NAMES):
        if _plain(known) == name:
            return number
    raise FlowFileError(f"{label!r} is no class that is known here.")


def _plain(label: str) -> str:
    """Fold case, and what became of an en dash (a mark of replacement, or its bytes read as others), to `` - ``."""
    return re.sub(r"\s+(?:[^\w\s]|ï¿½|â€.)\s+", " - ", label.strip()).casefold()
