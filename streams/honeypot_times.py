"""Times as honeypots write them."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.errors import LogLineError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S = 86_400
_LAST_NS = 2**63 - 1

_UNITS = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (0.0, 1_000_000_000))
"""A number from so large on counts in so many nanoseconds. In seconds, 1e11 would be the year 5138."""


def time_ns(value: object) -> int:
    """Return a moment, ns since the Unix epoch.

    Parameters
    ----------
    value : object
        ISO 8601, with a blank or a T, with or without a zone (without one it is UTC), or a number since the epoch:
        seconds, or milli-, micro- or nanoseconds by its size.

    Raises
    ------
    LogLineError
        It is no time from 1970 to 2262.

    Examples
    --------
    >>> time_ns("2026-01-05T15:12:33.25+01:00") == time_ns("2026-01-05 14:12:33,250") == time_ns(1767622353250)
    True
    """
    if isinstance(value, str):
        if "-" in value and ":" in value:
            return _iso_ns(value)
        try:
            value = float(value)
        except ValueError:
            raise LogLineError(f"the timestamp is no time: {_shown(value)}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LogLineError("there is no timestamp" if value is None else f"the timestamp is no time: {_shown(value)}")
    return _number_ns(value)


def _iso_ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise LogLineError(f"the timestamp is no time: {_shown(text)}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Not timestamp(): a float does not hold a microsecond of our century exactly.
    since = moment - EPOCH
    return _checked(((since.days * _DAY_S + since.seconds) * 1_000_000 + since.microseconds) * 1000, text)


def _number_ns(number: float) -> int:
    # What is no number at all compares false with everything, and is refused below.
    unit_ns = next((unit_ns for least, unit_ns in _UNITS if number >= least), 1)
    if not 0 <= number * unit_ns <= _LAST_NS:
        raise LogLineError(f"the timestamp does not lie between 1970 and 2262: {_shown(number)}")
    # A float of seconds holds microseconds and no more.
    is_coarse = isinstance(number, float) and unit_ns == _UNITS[-1][1]
    return round(number * 1_000_000) * 1000 if is_coarse else round(number * unit_ns)


def _checked(ns: int, told: object) -> int:
    if not 0 <= ns <= _LAST_NS:
        raise LogLineError(f"the timestamp does not lie between 1970 and 2262: {_shown(told)}")
    return ns


def _shown(value: object) -> str:
    return repr(value)[:48]
