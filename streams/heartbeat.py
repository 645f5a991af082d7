"""Says again and again that somebody is still there."""

from __future__ import annotations

import threading
from collections.abc import Callable

from schemas.errors import BrokerError

BEAT_S = 1.0
"""Pause between two beats, s."""


class Heartbeat:
    """Calls something every second, from a thread of its own, until it is stopped.

    Parameters
    ----------
    beat : callable
        What to call. A broker that does not answer is no reason to stop: it will again.
    """

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop it; no beat comes after this."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(BEAT_S):
            try:
                self._beat()
            except BrokerError:
                continue
