"""What an application's endpoints share while it runs: the lifespan state, typed."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Annotated, TypedDict, cast

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from api.analysis import Analyses
from api.audit import AuditTrail
from api.classification_reasons import PastModels
from api.compute import Computations
from api.defence import Defence
from api.feed import Feed
from api.guard import Guard
from api.live_capture import LiveCaptures
from api.models import Models
from api.predictor import Predictor
from api.traffic_figures import TrafficFigures
from infra.settings import Settings
from infra.store import Store

ANALYZER_PORT = 5000
"""Base port of the Analyzer's document; its ``/health`` says ``ok`` where the others say ``healthy``."""


MAX_EXTRACTIONS = 2
"""Children that requests wait for side by side; an extraction reads a capture file from its beginning."""


@dataclass(frozen=True)
class Services:
    """Everything an endpoint may use.

    Parameters
    ----------
    settings : Settings
        As the application was started.
    store : Store
        Opened and migrated.
    computations : Computations
        Computes under way in this process.
    analyses : Analyses
        Runs under way in this process that judge or learn again.
    live : LiveCaptures
        The live captures of this machine.
    defence : Defence
        Blocks of addresses.
    feed : Feed
        What is new in the store, for streams and notifications.
    models : Models
        The registry of models.
    registry : CollectorRegistry
        Figures for Prometheus.
    guard : Guard
        What every request is held to.
    audit : AuditTrail
        Where it is written who had what done.
    predictor : Predictor
        The classifier of the RL-IDS routes.
    past_models : PastModels
        Models that explain what they once said.
    figures : TrafficFigures
        What there is of threats.
    extractions : asyncio.Semaphore
        How many requests may have children at work side by side.
    backups : threading.Lock
        Held while a backup is made: there is one at a time.
    started_s : float
        Monotonic clock at the start.
    """

    settings: Settings
    store: Store
    computations: Computations
    analyses: Analyses
    live: LiveCaptures
    defence: Defence
    feed: Feed
    models: Models
    registry: CollectorRegistry
    guard: Guard
    audit: AuditTrail
    predictor: Predictor
    past_models: PastModels
    figures: TrafficFigures
    extractions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_EXTRACTIONS))
    backups: threading.Lock = field(default_factory=threading.Lock)
    started_s: float = field(default_factory=time.monotonic)

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_s

    @property
    def version(self) -> str:
        """Version of the installed package."""
        return metadata.version("spanwatch")

    @property
    def configured_file(self) -> str | None:
        """The configured capture file as an answer shows it."""
        return None if self.settings.pcap is None else shown(self.settings.pcap)

    @property
    def folder(self) -> str:
        """Folder of everything that is written, as an answer shows it."""
        return shown(self.settings.state)

    @property
    def window_size(self) -> int | float:
        """Configured window size in seconds, whole ones as int."""
        size_s = self.settings.window_s
        return int(size_s) if size_s.is_integer() else size_s


class LifespanState(TypedDict):
    """What the lifespan yields; Starlette puts it into each request's ``state``."""

    services: Services


def is_analyzer_port(settings: Settings, port: int) -> bool:
    """Whether a local port is the Analyzer's base URL: 5000, or else the second configured one."""
    if port == ANALYZER_PORT:
        return True
    return ANALYZER_PORT not in settings.ports and port in settings.ports[1:]


def shown(path: Path) -> str:
    """Return a path as answers show it: relative to the working directory where it lies inside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


async def _services(request: Request) -> Services:
    # A coroutine, though it waits for nothing: FastAPI would call a function in a thread.
    return cast(Services, request.state.services)


Shared = Annotated[Services, Depends(_services)]
"""The parameter by which an endpoint gets the services."""
