from __future__ import annotations

import threading

import pytest

from schemas.errors import BrokerError
from streams.heartbeat import Heartbeat


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.heartbeat.BEAT_S", 0.01)


def test_it_beats_until_it_is_stopped() -> None:
    beats = threading.Semaphore(0)
    heartbeat = Heartbeat(beats.release)
    assert all(beats.acquire(timeout=10) for _ in range(3))
    heartbeat.stop()
    while beats.acquire(blocking=False):
        pass
    assert not beats.acquire(timeout=0.1)


def test_a_broker_that_is_away_does_not_end_it() -> None:
    beats = threading.Semaphore(0)

    def fail() -> None:
        beats.release()
        raise BrokerError("away")

    heartbeat = Heartbeat(fail)
    assert all(beats.acquire(timeout=10) for _ in range(3))
    heartbeat.stop()
