"""Keeping services running: started again when they fail, stopped in order by a deadline."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from infra.processes import spawn, stop_process
from schemas.errors import SpanwatchError

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.5
"""Pause before a failed service is started again; doubled each time it fails soon after."""

MAX_BACKOFF_S = 30.0

SETTLED_S = 60.0
"""A service that ran this long has recovered: its next failure counts as the first again."""


class Service(Protocol):
    """Something a supervisor can start, wait for and stop: a child process, the broker."""

    @property
    def name(self) -> str:
        """Name in the log."""

    def start(self) -> object:
        """Start it and return once it is usable; raises ``SpanwatchError``."""

    def wait(self) -> int:
        """Block until it ends; return the exit status, negative for a signal."""

    def stop(self, timeout_s: float) -> None:
        """Stop it within the time, by force at its end; does nothing when it is not running."""


class Process:
    """A child process as a service.

    Parameters
    ----------
    name : str
        Name in the log.
    command : sequence of str or Path
        See ``spawn``.
    output : Path, optional
        See ``spawn``.
    environment : mapping, optional
        See ``spawn``.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        output: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._command = tuple(command)
        self._output = output
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Name in the log."""
        return self._name

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it; raises ``MissingProgramError``."""
        self._process = spawn(self._command, output=self._output, environment=self._environment)

    def wait(self) -> int:
        """Block until it ends; return the exit status, negative for a signal, 0 when never started."""
        return self._process.wait() if self._process else 0

    def stop(self, timeout_s: float) -> None:
        """Stop it within the time, by force at its end."""
        if self._process:
            stop_process(self._process, timeout_s)


class Supervisor:
    """Keeps services running and stops them in the reverse of the order they were started in.

    A service that ends without being asked is started again after a pause that doubles with each failure
    (``FIRST_BACKOFF_S`` to ``MAX_BACKOFF_S``). Stopping is over by its deadline, whatever the services do.
    """

    def __init__(self) -> None:
        self._services: list[Service] = []
        self._threads: list[threading.Thread] = []
        self._restarts: dict[str, int] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> Supervisor:
        """Return itself; leaving stops everything."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self.stop()

    @property
    def restarts(self) -> dict[str, int]:
        """How often each service was started again, by name."""
        return dict(self._restarts)

    def start(self, service: Service) -> None:
        """Start a service and keep it running; raises what its first start raises."""
        service.start()
        self._services.append(service)
        self._restarts.setdefault(service.name, 0)
        thread = threading.Thread(target=self._keep, args=(service,), name=f"keep {service.name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, deadline_s: float = 4.0) -> None:
        """Stop all services, the last started first, within ``deadline_s`` seconds together."""
        end = time.monotonic() + deadline_s
        self._stopping.set()
        while self._services:
            service = self._services.pop()
            # Whoever comes first may use what is left but for a little that each of the others needs.
            left = end - time.monotonic() - 0.5 * len(self._services)
            service.stop(max(left, 0.1))
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.1))
        self._threads.clear()

    def _keep(self, service: Service) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            started = time.monotonic()
            status = service.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > SETTLED_S:
                backoff_s = FIRST_BACKOFF_S
            log.error("%s ended with status %d; started again in %.1f s", service.name, status, backoff_s)
            if self._stopping.wait(backoff_s):
                return
            backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)
            self._restarts[service.name] += 1
            try:
                service.start()
            except SpanwatchError as error:
                log.error("%s cannot be started: %s", service.name, error)  # noqa: TRY400 - a sentence, no trace
            if self._stopping.is_set():
                # It was stopped before it was started: nobody else will end it.
                service.stop(FIRST_BACKOFF_S)
                return
