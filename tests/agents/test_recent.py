from __future__ import annotations

import json

import pytest

from agents import recent
from agents.memory import Memory
from agents.observed import Observed, observed_windows
from agents.recent import Attempts, Begun
from schemas.thresholds import Thresholds
from tests.agents.observations import ATTACKER, SERVER, Row, contact, scan, service_client, table, window

HOUR_NS, MINUTE_NS = 3_600 * 10**9, 60 * 10**9


def seen(row: Row) -> Observed:
    return next(observed_windows(table([row])))


def failing(number: int, *targets: Row) -> Observed:
    return seen(window(number, **scan(list(targets))))


def test_targets_are_distinct_over_windows_and_forgotten_after_the_horizon() -> None:
    attempts = Attempts()
    for number in range(10):
        attempts.take(failing(number, contact(ATTACKER, SERVER, number % 5)), MINUTE_NS)
    assert attempts.tally(ATTACKER, 0).ports == 5
    attempts.take(seen(window(100)), MINUTE_NS)
    assert attempts.size_of(ATTACKER) == 0
    assert attempts.state() == [[], []]


def test_taking_a_window_again_changes_nothing() -> None:
    attempts = Attempts()
    row = failing(0, *(contact(ATTACKER, SERVER, port) for port in range(9)))
    attempts.take(row, HOUR_NS)
    before = attempts.tally(ATTACKER, 0), attempts.failed_share(ATTACKER, 0)
    attempts.take(row, HOUR_NS)
    assert (attempts.tally(ATTACKER, 0), attempts.failed_share(ATTACKER, 0)) == before


def test_memory_is_bounded_and_the_weakest_sources_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MAX_SOURCES", 16)
    monkeypatch.setattr(recent, "MAX_TARGETS", 8)
    attempts = Attempts()
    scanner = [contact(ATTACKER, SERVER, port) for port in range(20)]
    attempts.take(failing(0, *scanner), HOUR_NS)
    for number in range(1, 60):
        attempts.take(failing(number, contact(f"10.5.0.{number}", SERVER, 80)), HOUR_NS)
    _, counts = attempts.state()
    assert len(counts) <= 16
    assert attempts.size_of(ATTACKER) == 8
    assert attempts.tally(ATTACKER, 0).ports == 20  # by the window's own count


def test_all_targets_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MAX_ALL_TARGETS", 40)
    attempts = Attempts()
    for number in range(30):
        attempts.take(failing(number, *(contact(f"10.5.0.{number}", SERVER, port) for port in range(5))), HOUR_NS)
    assert sum(attempts.size_of(f"10.5.0.{number}") for number in range(30)) <= 45


def test_begun_connections_are_counted_by_pair_and_the_weakest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MAX_PAIRS", 16)
    begun = Begun()
    for number in range(30):
        clients = [service_client(f"10.5.0.{number}", 80, 1), service_client(ATTACKER, 80, 50)]
        begun.take(seen(window(number, service_clients=clients)), 30 * MINUTE_NS)
    assert begun.count((ATTACKER, SERVER, 80, 6), 0) == 1500
    assert begun.most({22}, 0, is_login=False) == 1500
    assert begun.most({80}, 0, is_login=False) == 0
    assert len(begun.state()) <= 16


def test_memory_without_arp_of_a_version_before_is_taken_over() -> None:
    memory = Memory()
    memory.take(failing(0, contact(ATTACKER, SERVER, 80)), Thresholds(), is_correction=False)
    state = memory.state()
    del state["arp_attempts"]
    assert Memory.restore(state).state() == memory.state()


def test_restored_memories_are_the_same() -> None:
    attempts, begun = Attempts(), Begun()
    for number in range(5):
        row = scan([contact(ATTACKER, SERVER, port) for port in range(number)] or [contact(ATTACKER, SERVER, 1)])
        one = seen(window(number, service_clients=[service_client(ATTACKER, 80, 3)], **row))
        attempts.take(one, HOUR_NS)
        begun.take(one, MINUTE_NS)
    assert Attempts.restore(json.loads(json.dumps(attempts.state()))).state() == attempts.state()
    assert json.dumps(Begun.restore(json.loads(json.dumps(begun.state()))).state()) == json.dumps(begun.state())
