"""Ports of this machine: which are free, and who has the others."""

from __future__ import annotations

import errno
import socket

import psutil

from schemas.errors import PortTakenError

HOST = "127.0.0.1"
"""Where our own broker listens: it has neither passwords nor encryption."""

FIRST_PORT = 9092
"""Kafka's registered and customary port."""

LAST_PORT = 9999
"""Ports above are left to others; the range lies below the ephemeral ports of ip_local_port_range."""


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on a port now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def choose_ports(wanted: int, remembered: int | None) -> tuple[int, int]:
    """Choose the broker's and its controller's port.

    Parameters
    ----------
    wanted : int
        Port that the broker must have, 0 for any.
    remembered : int or None
        Port that it had before, taken again where it is free.

    Raises
    ------
    PortTakenError
        No port is free from ``FIRST_PORT`` to ``LAST_PORT``.
    """
    free = (port for port in range(FIRST_PORT, LAST_PORT + 1) if is_free(port))
    port = wanted
    if not port and remembered and is_free(remembered):
        port = remembered
    try:
        port = port or next(free)
        return port, next(candidate for candidate in free if candidate != port)
    except StopIteration:
        raise PortTakenError(
            f"No port from {FIRST_PORT} to {LAST_PORT} is free; name one with SPANWATCH_KAFKA_PORT."
        ) from None


def describe_owner(port: int) -> str:
    """Return `` by NAME (process N)`` for who listens on a port, or nothing where that cannot be seen."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
                continue
            if connection.laddr.port == port:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return ""
    return ""
