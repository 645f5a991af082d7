"""Figures as people write them, the same in every form of a report."""

from __future__ import annotations

from datetime import UTC, datetime

_BYTES = ("B", "kB", "MB", "GB", "TB")
_BITS_PER_S = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")


def size(n_bytes: float) -> str:
    """Return a number of bytes in decimal units."""
    value, unit = _scaled(n_bytes, _BYTES)
    return f"{value:,.0f} {unit}" if unit == _BYTES[0] else f"{value:,.1f} {unit}"


def bits(per_s: float) -> str:
    """Return a number of bits per second in decimal units."""
    value, unit = _scaled(per_s, _BITS_PER_S)
    return f"{value:,.0f} {unit}" if unit == _BITS_PER_S[0] else f"{value:,.1f} {unit}"


def size_tick(n_bytes: float) -> str:
    """Return a round number of bytes, as an axis has them."""
    value, unit = _scaled(n_bytes, _BYTES)
    return f"{value:g} {unit}"


def bits_tick(per_s: float) -> str:
    """Return a round number of bits per second, as an axis has them."""
    value, unit = _scaled(per_s, _BITS_PER_S)
    return f"{value:g} {unit}"


def _scaled(value: float, units: tuple[str, ...]) -> tuple[float, str]:
    for unit in units[:-1]:
        if abs(value) < 1000:
            return value, unit
        value /= 1000
    return value, units[-1]


def moment(epoch_s: float) -> str:
    """Return a moment of the capture: the time of day, UTC."""
    return f"{datetime.fromtimestamp(epoch_s, UTC):%H:%M:%S}"


def full_moment(epoch_s: float) -> str:
    """Return a moment with its date, UTC."""
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Return how long something lasted."""
    if seconds < 120:
        return f"{seconds:,.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
