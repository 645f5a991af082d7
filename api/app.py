"""The application: routers, error answers and what it opens when it starts."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from importlib import metadata
from typing import Protocol

import anyio.to_thread
from fastapi import FastAPI

from api.access_log import AccessLog
from api.analysis import Analyses, SendWindows
from api.audit import AuditTrail
from api.broker import BrokerRequests
from api.classification_reasons import PastModels
from api.compute import STALL_S, Computations, RequestCapture
from api.defence import Defence
from api.defence_automatic import defending
from api.errors import install_error_answers
from api.feed import Feed
from api.gate import Gate
from api.guard import Guard
from api.keys import KeyRing, key_path
from api.live_capture import LiveCaptures
from api.models import Models
from api.models_follow import following_champion
from api.notifications import notifying
from api.openapi import Application
from api.predictor import Predictor
from api.redirect import PermanentRedirect
from api.routers import (
    anomalies,
    backup,
    baselines,
    captures,
    classifications,
    console,
    control,
    defence,
    detect,
    event_features,
    events,
    evidence,
    export,
    flows,
    honeypots,
    hosts,
    live,
    metrics,
    models,
    predict,
    reports,
    root,
    stream,
    uploads,
)
from api.routers import audit as audit_log
from api.routers import telemetry as figures
from api.services import LifespanState, Services
from api.telemetry import CountRequests, StreamCollector, Telemetry
from api.telemetry_models import ModelCollector
from api.telemetry_traffic import TrafficCollector
from api.traffic_figures import TrafficFigures
from api.uploads import tidied
from infra.backup_places import place_of
from infra.memory import freeze_start
from infra.model_topic import SendModels
from infra.settings import Settings, load_settings
from infra.store import Store

logger = logging.getLogger(__name__)

BACKGROUND_GROUP = "spanwatch.background"
"""Entry points of services that a stand-alone API starts; each is a ``StartBackground``."""

DESCRIPTION = """
What spanwatch saw: windows of captured traffic, the captures themselves and their loss ledgers.

Times are UTC; ISO texts carry no zone, epoch values are seconds. Every error is JSON.
"""


ROUTERS = (
    predict,  # first: asked most often, and routes are tried one after the other
    *(root, metrics, anomalies, detect, baselines, captures, flows, control, live, stream, evidence, export),
    classifications,
    reports,
    models,
    figures,
    audit_log,
    defence,
    honeypots,
    hosts,
    backup,
    events,
    event_features,
    uploads,
    console,
)
"""Modules whose routers are served; the first that knows a path answers."""


class Background(Protocol):
    """A service that runs beside the API."""

    def stop(self) -> None:
        """Stop it and wait until it has stopped."""


class StartBackground(Protocol):
    """What an entry point of ``BACKGROUND_GROUP`` names."""

    def __call__(self, settings: Settings, store: Store) -> Background:
        """Start the service; called in a thread, returns when it is ready."""


def create_app(
    settings: Settings | None = None,
    store: Store | None = None,
    request_capture: RequestCapture | None = None,
    *,
    send_windows: SendWindows | None = None,
    send_model: SendModels | None = None,
    with_background: bool = False,
    stall_s: float = STALL_S,
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    settings : Settings or None
        None reads them when the application starts.
    store : Store or None
        Opened and migrated by the caller, who closes it; None lets the application do all three.
    request_capture : RequestCapture or None
        Hands a compute's file to whoever reads it; None puts a request on the broker.
    send_windows : SendWindows or None
        Hands windows to whoever judges them again; None puts them on the broker.
    send_model : SendModels or None
        Hands models and their roles to whoever follows them; None puts them on the broker.
    with_background : bool
        Whether to start the services registered under ``BACKGROUND_GROUP``.
    stall_s : float
        Without progress for so long, a compute or a run is given up.
    """
    telemetry = Telemetry()
    app = Application(
        title="spanwatch",
        version=metadata.version("spanwatch"),
        description=DESCRIPTION,
        lifespan=_lifespan(
            partial(
                _services,
                settings,
                store,
                request_capture,
                send_windows,
                send_model,
                telemetry,
                with_background=with_background,
                stall_s=stall_s,
            ),
            telemetry,
        ),
    )
    for module in ROUTERS:
        app.include_router(module.router)
    install_error_answers(app)
    app.add_middleware(PermanentRedirect)
    app.add_middleware(Gate, routes=app.routes)
    app.add_middleware(AccessLog)
    app.add_middleware(CountRequests, telemetry=telemetry)
    return app


def _services(
    settings: Settings | None,
    store: Store | None,
    request_capture: RequestCapture | None,
    send_windows: SendWindows | None,
    send_model: SendModels | None,
    telemetry: Telemetry,
    opened: ExitStack,
    *,
    with_background: bool,
    stall_s: float,
) -> Services:
    """Return what endpoints share; see ``create_app``. What was opened for it closes with ``opened``."""
    known = settings or load_settings()
    ready = store or opened.enter_context(opened_store(known))
    if with_background:
        start_background(known, ready, opened)
    broker = BrokerRequests(known)
    opened.callback(broker.close)
    audit = AuditTrail(ready)
    opened.callback(audit.close)
    live_captures = LiveCaptures(known, ready)
    opened.callback(live_captures.close)
    feed = Feed(ready, heartbeat_s=known.stream_heartbeat_s)
    predictor = Predictor()
    opened.callback(predictor.close)
    predictor.load(known.model_path)
    champion = opened.enter_context(following_champion(ready, predictor))
    collectors = (StreamCollector(feed), TrafficCollector(ready, known), predictor, ModelCollector(ready))
    opened.enter_context(telemetry.collecting(*collectors))
    return Services(
        settings=known,
        store=ready,
        computations=Computations(ready, request_capture or broker, stall_s),
        analyses=Analyses(ready, send_windows or broker.send_windows, stall_s),
        live=live_captures,
        defence=Defence(known, ready),
        feed=feed,
        models=Models(ready, send_model or broker.send_model, champion.look),
        registry=telemetry.registry,
        predictor=predictor,
        past_models=PastModels(ready),
        figures=TrafficFigures(ready),
        guard=Guard(known, known.host, KeyRing(key_path(known))),
        audit=audit,
    )


def _lifespan(
    open_services: Callable[[ExitStack], Services], telemetry: Telemetry
) -> Callable[[FastAPI], AbstractAsyncContextManager[LifespanState]]:
    """Return what opens and closes everything around the application's life."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[LifespanState]:
        opened = ExitStack()
        try:
            # Starting a broker takes seconds; a thread keeps the loop free for signals meanwhile.
            services = await anyio.to_thread.run_sync(open_services, opened)
            freeze_start()
            async with (
                notifying(services.feed, services.store, services.settings, telemetry),
                defending(services.defence, services.settings, services.store, telemetry),
                tidied(services.settings),
            ):
                yield LifespanState(services=services)
        finally:
            await anyio.to_thread.run_sync(opened.close)

    return lifespan


def store_of(settings: Settings) -> Store:
    """Open the store as it is, or as an interrupted restore should have left it; raises ``StoreError``."""
    place_of(settings, store_of).recover()
    return Store.open(
        settings.clickhouse,
        packets_ttl_days=settings.packets_ttl_days,
        windows_ttl_days=settings.windows_ttl_days,
        flows_ttl_days=settings.flows_ttl_days,
        audit_ttl_days=settings.audit_ttl_days,
        honeypots_ttl_days=settings.honeypots_ttl_days,
    )


def opened_store(settings: Settings) -> Store:
    """Open the store and bring its tables up to date; raises ``StoreError``."""
    store = store_of(settings)
    try:
        store.migrate()
    except BaseException:
        store.close()
        raise
    return store


def start_background(settings: Settings, store: Store, opened: ExitStack, start: StartBackground | None = None) -> None:
    """Start what runs beside the API; it stops when ``opened`` closes.

    Parameters
    ----------
    start : StartBackground or None
        None starts the services registered under ``BACKGROUND_GROUP``.

    Raises
    ------
    SpanwatchError
        One of them cannot start.
    """
    if start is not None:
        opened.callback(start(settings, store).stop)
        return
    found = metadata.entry_points(group=BACKGROUND_GROUP)
    if not found:
        logger.warning("No background service is registered: nothing will read captures.")
    for entry in found:
        registered: StartBackground = entry.load()
        opened.callback(registered(settings, store).stop)
