"""Ports that no other test and no other process of the test run takes in the meantime."""

from __future__ import annotations

import os

from infra.ports import is_free

RANGES = {"gw0": 20_000, "gw1": 24_000, "": 28_000}
"""First port by process of pytest-xdist: above those that a broker takes of itself, below the ephemeral ones."""

SHARE = 4000
"""Ports of a process; where among them it starts is said by its id, as another test run may be under way."""


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports that nobody listens on; the same ones again while nobody does."""
    first = RANGES[os.environ.get("PYTEST_XDIST_WORKER", "")]
    start = first + os.getpid() % (SHARE - 1000)
    return tuple([port for port in range(start, start + 1000) if is_free(port)][:count])
