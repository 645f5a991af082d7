"""The part of the front door that runs everything behind the API: broker, storage agents, worker, live capture."""

from __future__ import annotations

import sys
from functools import partial

from agents.app import AppThread
from agents.model_registration import register_configured_model
from agents.model_storage import ModelStorage
from agents.worker import make_storage
from infra.broker import Broker
from infra.settings import Settings, environment_of
from infra.store import Store
from infra.supervisor import Process, Supervisor
from infra.topics import create_topics

STOP_S = 2.5
"""How long worker and broker may take to stop together; the whole stack stops within 5 s."""


class Pipeline:
    """Everything behind the API on one machine: broker, topics, storage agents and the worker.

    Parameters
    ----------
    settings : Settings
        Of the stack.
    store : Store
        The opened store.
    with_capture : bool
        Whether the interface of the settings is captured from as long as this runs.
    """

    def __init__(self, settings: Settings, store: Store, *, with_capture: bool = False) -> None:
        self._supervisor = Supervisor()
        try:
            if settings.has_own_broker:
                self._supervisor.start(Broker(settings))
            create_topics(settings)
            self._storage = start_storage(settings, store)
            for name in ("worker", "capture") if with_capture else ("worker",):
                self._supervisor.start(_child(name, settings))
        except BaseException:
            self._supervisor.stop()
            raise

    def stop(self) -> None:
        """Stop the storage agents and the worker side by side, then the broker."""
        self._storage.ask_to_stop()
        self._supervisor.stop(STOP_S)
        self._storage.stop()


def _child(name: str, settings: Settings) -> Process:
    """Return the service that is one of our own commands."""
    command = [sys.executable, "-m", "spanwatch", name]
    output = settings.logs_folder / f"{name}.out"
    return Process(name, command, output=output, environment=environment_of(settings))


def start_storage(settings: Settings, store: Store) -> AppThread:
    """Start the storage agents in this process, which owns the store; the configured model is registered by then."""
    models = ModelStorage(store)
    register_configured_model(settings, models.keep, models.stored)
    storage = AppThread(partial(make_storage, settings, store), settings)
    storage.start()
    return storage


def start_pipeline(settings: Settings, store: Store) -> Pipeline:
    """Start what reads captures; the entry point that a stand-alone API starts."""
    return Pipeline(settings, store)


def start_live_pipeline(settings: Settings, store: Store) -> Pipeline:
    """Start what reads captures, and a capture from the interface of the settings that never ends."""
    return Pipeline(settings, store, with_capture=True)
