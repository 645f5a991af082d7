"""One process, one application, several ports."""

from __future__ import annotations

import errno
import socket

import uvicorn
from fastapi import FastAPI

from infra.settings import Settings
from schemas.errors import PortTakenError, SettingsError

SHUTDOWN_S = 1
"""How long requests under way may take to end after Ctrl-C; with what runs beside, all stops within 5 s."""

_BACKLOG = 2048


def listen(settings: Settings) -> list[socket.socket]:
    """Return one listening socket per configured port, in order; port 0 takes a free one.

    Raises
    ------
    PortTakenError
        Another program has one of the ports.
    SettingsError
        The host is not an address of this machine, or the port is not ours to take.
    """
    opened: list[socket.socket] = []
    try:
        for port in settings.ports:
            opened.append(_listen(settings.host, port))
    except BaseException:
        for one in opened:
            one.close()
        raise
    return opened


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
        one.listen(_BACKLOG)
    except OSError as error:
        one.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"Port {port} of {host} is taken by another program. Stop it, or set SPANWATCH_PORTS."
            ) from error
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    return one


def with_ports_of(settings: Settings, sockets: list[socket.socket]) -> Settings:
    """Return settings that name the ports the sockets really have."""
    return settings.model_copy(update={"ports": tuple(one.getsockname()[1] for one in sockets)})


def server_of(app: FastAPI) -> uvicorn.Server:
    """Return a server for an application; run it with ``server.run(sockets=listen(settings))``."""
    config = uvicorn.Config(
        app,
        # Our own middleware logs requests, and infra.logging has set up where logs go.
        access_log=False,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
        ws="websockets-sansio",
    )
    return uvicorn.Server(config)
