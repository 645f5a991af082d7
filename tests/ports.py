"""Ports that no other test and no other process of the test run takes in the meantime."""

from __future__ import annotations

import os

from infra.ports import is_free

FIRST, COUNT = 20_000, 11_000
"""Above the ports that a broker takes of itself, below the ephemeral ones of ip_local_port_range."""


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports that nobody listens on; the same ones again while nobody does."""
    # Each process of pytest-xdist has a range of its own; by its id, as another test run may be under way.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = FIRST + (3000 * worker + os.getpid() % 2000) % COUNT
    return tuple([port for port in range(start, start + 1000) if is_free(port)][:count])
