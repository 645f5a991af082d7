"""Ports of this machine: which are free, and who has the others."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Collection

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


def reserve(port: int, *, is_ours: bool = False) -> socket.socket | None:
    """Bind a port without listening, so that others who look for a free one pass it by.

    A server that sets SO_REUSEADDR, as Java's do, can listen on it all the same: Linux lets two such sockets
    share an address while at most one of them listens.

    Parameters
    ----------
    is_ours : bool
        Take it even where connections of an earlier server linger (TIME_WAIT).

    Returns
    -------
    socket.socket or None
        Closing it ends the reservation; None when the port is taken.
    """
    holder = socket.socket(socket.AF_INET)
    if is_ours:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((HOST, port))
    except OSError:
        holder.close()
        return None
    # Only now: with it, binding would succeed on a port that another stack has reserved.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return holder


class Reservation:
    """The ports of a broker and of its controller, kept from others until it listens itself.

    Parameters
    ----------
    wanted : int
        Port that the broker must have, 0 for any.
    remembered : int or None
        Port that it had before, taken again where it is free.
    wanted_controller : int
        Port that the controller must have, 0 for any.
    others : collection of int
        Ports that brokers beside this one come back to: not to be taken for any.

    Raises
    ------
    PortTakenError
        A wanted port is taken, or every one from ``FIRST_PORT`` to ``LAST_PORT``.
    """

    def __init__(
        self, wanted: int, remembered: int | None, wanted_controller: int = 0, others: Collection[int] = ()
    ) -> None:
        named = wanted or remembered
        first = reserve(named, is_ours=True) if named else None
        second = reserve(wanted_controller, is_ours=True) if wanted_controller else None
        if wanted_controller and second is None:
            if first:
                first.close()
            raise PortTakenError(f"Port {wanted_controller} is taken{describe_owner(wanted_controller)}.")
        if wanted and first is None:
            raise PortTakenError(
                f"Port {wanted} is taken{describe_owner(wanted)}. Choose another with SPANWATCH_KAFKA_PORT, or "
                "leave that unset to take any free one; if that is the Kafka you want, use it with "
                f"SPANWATCH_KAFKA={HOST}:{wanted}."
            )
        ports = (port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in others)
        free = (holder for port in ports if (holder := reserve(port)))
        self._holders = [holder for holder in (first or next(free, None), second or next(free, None)) if holder]
        if len(self._holders) < 2:
            self.release()
            raise PortTakenError(
                f"No port from {FIRST_PORT} to {LAST_PORT} is free; name one with SPANWATCH_KAFKA_PORT."
            )
        self.port, self.controller_port = (int(holder.getsockname()[1]) for holder in self._holders)
        if not sys.platform.startswith("linux"):
            # Elsewhere a bound socket would keep the broker out as well.
            self.release()

    def release(self) -> None:
        """Let go of both ports; the broker listens by now, or has ended."""
        for holder in self._holders:
            holder.close()


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
