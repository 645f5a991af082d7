"""Applications made of agents: the computing worker and the storage."""

from __future__ import annotations

import time

from agents.analysis import add_analysis_agents
from agents.app import FaustApp, make_app
from agents.capture import add_capture_agent
from agents.classification import add_classification_agent
from agents.flows import add_flows_agent
from agents.leases import add_reaper
from agents.merge import add_merge_agent
from agents.model_drift import add_drift_watch
from agents.pipeline_figures import add_pipeline_figures
from agents.storage import add_storage_agents
from agents.windows import add_windows_agent
from infra.kafka import producer
from infra.memory import return_memory
from infra.settings import Settings
from infra.store import Store
from schemas.topics import (
    ANALYSIS_REQUESTS,
    ANOMALIES,
    BASELINES,
    CAPTURE_REQUESTS,
    CAPTURES,
    CLASSIFICATIONS,
    FLOWS,
    HONEYPOT_DEAD_LETTERS,
    HONEYPOT_LOGS,
    MODELS,
    PACKETS,
    STORAGE_GROUP,
    WINDOW_PARTIALS,
    WINDOWS,
    WORKER_GROUP,
    Topic,
)

READS: dict[str, tuple[Topic, ...]] = {
    WORKER_GROUP: (CAPTURE_REQUESTS, PACKETS, FLOWS, WINDOW_PARTIALS, WINDOWS, ANALYSIS_REQUESTS),
    STORAGE_GROUP: (
        PACKETS,
        WINDOWS,
        FLOWS,
        CLASSIFICATIONS,
        ANOMALIES,
        BASELINES,
        CAPTURES,
        MODELS,
        HONEYPOT_LOGS,
        HONEYPOT_DEAD_LETTERS,
    ),
}
"""What each application reads, by consumer group."""


MEMORY_LOOK_S = 30.0
"""Pause between two looks at how much freed memory the process keeps, s."""

IDLE_SHARE = 0.1
"""Part of a processor below which a process has little to do."""


def make_worker(settings: Settings) -> FaustApp:
    """Return the application with every computing agent; it needs no store."""
    app = make_app(settings, WORKER_GROUP)
    sink = producer(settings)
    add_capture_agent(app, settings, sink)
    add_windows_agent(app, settings, sink)
    add_flows_agent(app, settings, sink)
    add_classification_agent(app, settings, sink)
    add_merge_agent(app, settings, sink)
    add_analysis_agents(app, settings, sink)
    _add_memory_look(app)
    return app


def make_storage(settings: Settings, store: Store) -> FaustApp:
    """Return the application with the storage agents, for the process that owns the store."""
    app = make_app(settings, STORAGE_GROUP)
    add_storage_agents(app, settings, store)
    add_reaper(app, settings, store)
    add_drift_watch(app, store)
    add_pipeline_figures(app, settings, store)
    _add_memory_look(app)
    return app


def _add_memory_look(app: FaustApp) -> None:
    """Have freed memory given back to the system whenever the process has had little to do for a while."""
    worked_s = time.process_time()

    async def look() -> None:
        nonlocal worked_s
        before_s, worked_s = worked_s, time.process_time()
        if worked_s - before_s < IDLE_SHARE * MEMORY_LOOK_S:
            await app.loop.run_in_executor(None, return_memory)

    app.timer(MEMORY_LOOK_S)(look)
