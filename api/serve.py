"""One process, one application, several ports."""

from __future__ import annotations

import errno
import socket
import ssl

import uvicorn
from fastapi import FastAPI

from infra.settings import Settings
from infra.settings_access import AccessSettings
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
    # With the protocol named, asyncio sends what is written at once (TCP_NODELAY). Without, an answer's body waits up
    # to 40 ms for the client's ACK of its head.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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


def server_of(app: FastAPI, settings: AccessSettings | None = None) -> uvicorn.Server:
    """Return a server for an application; run it with ``server.run(sockets=listen(settings))``.

    Parameters
    ----------
    app : FastAPI
        The application.
    settings : AccessSettings or None
        Whether it speaks TLS, and which proxies are believed; None for neither.

    Raises
    ------
    SettingsError
        Certificate and key cannot be used.
    """
    access = settings or AccessSettings()
    # Read now: what cannot be used is told in a sentence, before anything starts.
    context = tls_context(access)
    config = uvicorn.Config(
        app,
        # Without a setting nobody is believed: uvicorn's own default is whoever asks from this machine.
        proxy_headers=bool(access.trusted_proxies),
        forwarded_allow_ips=list(access.trusted_proxies),
        ssl_context_factory=None if context is None else lambda *_: context,
        # Our own middleware logs requests, and infra.logging has set up where logs go.
        access_log=False,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
        ws="websockets-sansio",
    )
    return uvicorn.Server(config)


def tls_context(access: AccessSettings) -> ssl.SSLContext | None:
    """Return what TLS is spoken with: 1.2 and newer, with the ciphers that Python takes for good; None without it.

    Raises
    ------
    SettingsError
        Certificate and key cannot be used.
    """
    if access.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # No password is asked for: a service that starts by itself has nobody to ask.
        context.load_cert_chain(access.tls_certificate, access.tls_key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"Certificate {access.tls_certificate} and key {access.tls_key} cannot be used: {error.strerror or error}."
        ) from error
    return context
