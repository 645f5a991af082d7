from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import LogLineError
from streams.honeypot_times import EPOCH, time_ns

AT_NS = 1_767_622_353_250_000_000
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    "told",
    [
        "2026-01-05T14:12:33.250000Z",
        "2026-01-05T14:12:33.25",
        "2026-01-05 14:12:33,250",
        "2026-01-05T15:12:33.250+01:00",
        "2026-01-05T19:42:33.250+0530",
        "2026-01-05T14:12:33.250000000Z",
        " 2026-01-05T14:12:33.250Z ",
        1_767_622_353.25,
        "1767622353.25",
        1_767_622_353_250,
        1_767_622_353_250_000,
        AT_NS,
    ],
)
def test_times_are_read_as_honeypots_write_them(told: object) -> None:
    assert time_ns(told) == AT_NS


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "there is no timestamp"),
        ("", "the timestamp is no time: ''"),
        ("2026-01-05", "the timestamp is no time: '2026-01-05'"),
        ("2026-13-05T00:00:00Z", "the timestamp is no time: '2026-13-05T00:00:00Z'"),
        ("2026-01-05T25:00:00Z", "the timestamp is no time: '2026-01-05T25:00:00Z'"),
        (True, "the timestamp is no time: True"),
        ({}, "the timestamp is no time: {}"),
        (-1, "the timestamp does not lie between 1970 and 2262: -1"),
        ("nan", "the timestamp does not lie between 1970 and 2262: nan"),
        (float("inf"), "the timestamp does not lie between 1970 and 2262: inf"),
        ("1969-12-31T23:59:59Z", "the timestamp does not lie between 1970 and 2262: '1969-12-31T23:59:59Z'"),
        ("2300-01-01T00:00:00Z", "the timestamp does not lie between 1970 and 2262: '2300-01-01T00:00:00Z'"),
        (2**63, f"the timestamp does not lie between 1970 and 2262: {2**63}"),
    ],
)
def test_what_is_no_time_says_why(told: object, reason: str) -> None:
    with pytest.raises(LogLineError) as refused:
        time_ns(told)
    assert str(refused.value) == reason


@given(st.datetimes(datetime(1970, 1, 3), datetime(2262, 1, 1), timezones=ZONES))
def test_a_moment_is_the_same_in_every_zone_and_exact_to_the_microsecond(moment: datetime) -> None:
    expected = (moment - EPOCH) // timedelta(microseconds=1) * 1000
    assert time_ns(moment.isoformat()) == expected
    assert time_ns(moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")) == expected
