from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.analysis_rows import AnomalyRow
from api.anomaly_answers import AnomalyAnswer
from api.notify_policy import HOUR_S, Note, Policy, PolicyState, QuietHours
from infra.settings import load_settings
from tests.api.feed import anomaly_values

NOON_S = datetime(2026, 1, 9, 12, tzinfo=UTC).timestamp()


def anomaly(incident: int = 0, count: int = 1, **changed: Any) -> AnomalyAnswer:
    values = {"incident_id": f"{incident:016x}", "incident_count": count, **changed}
    return AnomalyAnswer.of(AnomalyRow.model_validate(anomaly_values("c", count, **values)))


def policy(state: PolicyState | None = None, **chosen: Any) -> Policy:
    return Policy(load_settings(**chosen), state or PolicyState())


def kinds(notes: list[Note]) -> list[str]:
    return [note.kind for note in notes]


def test_an_incident_is_told_once_when_it_has_grown_tenfold_and_when_it_has_ended() -> None:
    one = policy()
    told = [(n, note.kind) for n in range(1, 250) for note in one.take(anomaly(count=n), NOON_S + n)]
    assert told == [(1, "new"), (10, "grown"), (100, "grown")]
    assert one.tick(NOON_S + 249 + 599) == []
    [ended] = one.tick(NOON_S + 249 + 600)
    assert (ended.kind, ended.title) == ("ended", "[ended] port scan: 249 anomalies")
    assert one.tick(NOON_S + 10_000) == []


def test_a_message_says_what_where_and_when() -> None:
    [note] = policy().take(anomaly(), NOON_S)
    assert note.title == "[high] port scan"
    assert note.body == (
        "Port scan detected: 10.0.0.9 tried 120 ports of 10.0.0.2\n2009-02-13 23:31:40 to 23:31:50 UTC, capture c"
    )


def test_only_the_severity_and_types_asked_for_are_told() -> None:
    assert policy().take(anomaly(severity="medium"), NOON_S) == []
    assert kinds(policy(notify_severity="medium").take(anomaly(severity="medium"), NOON_S)) == ["new"]
    picky = policy(notify_types="packet_loss, traffic_spike")
    assert picky.take(anomaly(), NOON_S) == []
    assert kinds(picky.take(anomaly(type="packet_loss"), NOON_S)) == ["new"]


def test_an_incident_that_turns_high_is_told_then() -> None:
    one = policy()
    assert one.take(anomaly(count=1, severity="medium"), NOON_S) == []
    assert kinds(one.take(anomaly(count=2), NOON_S)) == ["new"]


def test_what_is_too_much_for_an_hour_is_held_back_and_summed_up() -> None:
    one = policy(notify_per_hour=2, notify_ended_s=86_400)
    notes = [note for n in range(7) for note in one.take(anomaly(n), NOON_S + n)]
    assert (kinds(notes), one.held_back) == (["new", "new"], 5)
    assert one.tick(NOON_S + 100) == []
    [summary] = one.tick(NOON_S + HOUR_S + 10)
    assert (summary.title, summary.body) == ("5 messages were held back", "5 x port_scan (new)")
    assert one.tick(NOON_S + 3 * HOUR_S) == []


def test_an_incident_that_was_never_told_has_no_end_to_tell() -> None:
    one = policy(notify_per_hour=1)
    one.take(anomaly(0), NOON_S)
    one.take(anomaly(1), NOON_S)
    assert [note.body for note in one.tick(NOON_S + 2 * HOUR_S)] == ["1 x port_scan (new)"]
    assert [note.body for note in one.tick(NOON_S + 4 * HOUR_S)] == ["1 x port_scan (ended)"]
    assert one.tick(NOON_S + 6 * HOUR_S) == []


@pytest.mark.parametrize(
    ("hours", "zone", "quiet"),
    [
        ("22:00-07:00", "UTC", {22, 23, 0, 1, 2, 3, 4, 5, 6}),
        ("09:00-11:00", "UTC", {9, 10}),
        ("22:00-07:00", "Europe/Berlin", {21, 22, 23, 0, 1, 2, 3, 4, 5}),
        ("", "UTC", set()),
    ],
)
def test_quiet_hours_are_of_their_time_zone_and_may_reach_over_midnight(hours: str, zone: str, quiet: set[int]) -> None:
    day = datetime(2026, 1, 9, tzinfo=UTC)
    known = QuietHours(hours, zone)
    assert {hour for hour in range(24) if known.include(day.replace(hour=hour).timestamp())} == quiet


def test_quiet_hours_hold_back_and_a_summary_follows() -> None:
    one = policy(notify_quiet_hours="11:00-13:00")
    assert one.take(anomaly(), NOON_S) == []
    assert one.tick(NOON_S + 1800) == []
    assert kinds(one.tick(NOON_S + 3600)) == ["summary"]


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60), st.booleans()), max_size=60)


@given(steps, st.integers(1, 4))
def test_a_restart_at_any_moment_changes_nothing_that_is_told(
    moves: list[tuple[int, int, bool]], per_hour: int
) -> None:
    def told(*, is_restarted: bool) -> list[tuple[int, Note]]:
        one, now_s, counts = policy(notify_per_hour=per_hour), NOON_S, dict.fromkeys(range(4), 0)
        found: list[tuple[int, Note]] = []
        for at, (incident, minutes, is_stopped) in enumerate(moves):
            now_s += minutes * 60
            counts[incident] += 1
            found += [(at, note) for note in one.tick(now_s)]
            found += [(at, note) for note in one.take(anomaly(incident, counts[incident]), now_s)]
            if is_restarted and is_stopped:
                saved = PolicyState.model_validate_json(one.state.model_dump_json())
                one = policy(saved, notify_per_hour=per_hour)
        return found

    assert told(is_restarted=True) == told(is_restarted=False)


@given(steps, st.integers(1, 4))
def test_never_more_than_the_limit_within_an_hour(moves: list[tuple[int, int, bool]], per_hour: int) -> None:
    one, now_s, sent = policy(notify_per_hour=per_hour), NOON_S, list[float]()
    for at, (_, seconds, _) in enumerate(moves):
        now_s += seconds
        sent += [now_s] * (len(one.tick(now_s)) + len(one.take(anomaly(at), now_s)))
    assert all(sum(end_s - HOUR_S < at_s <= end_s for at_s in sent) <= per_hour for end_s in sent)
