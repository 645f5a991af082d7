"""InfluxDB's line protocol: one line for each window or anomaly, times in nanoseconds.

Source: "Line protocol", InfluxDB v2 reference. A point is told apart from others by measurement, tags and time, so
the tags of an anomaly are what its id is a hash of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

WINDOW_TAGS = ("capture_id",)
ANOMALY_TAGS = ("capture_id", "type", "signal", "severity", "subject")

_NAME = re.compile(r"([,= ])")
_BREAKS = re.compile(r"[\r\n\t\f\v\x00]+")

Value = str | int | float | bool | None


def tag(text: str) -> str:
    """Return a tag's or a field's name, or a tag's value, as it is written.

    Line feeds have no form in it and become blanks; a backslash at its end would take the next character for
    its own, so a blank follows it.
    """
    text = _BREAKS.sub(" ", text)
    text = f"{text} " if text.endswith("\\") else text
    return _NAME.sub(r"\\\1", text)


def field(value: Value) -> str | None:
    """Return a field's value as it is written; None for what has no form: nulls, NaN and infinities."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i"
    if isinstance(value, float):
        return repr(value)
    text = _BREAKS.sub(" ", value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Value], time_ns: int) -> str:
    """Return one line with its line feed; empty tags are left out, and nothing is left of a point without fields."""
    named = "".join(f",{tag(name)}={tag(value)}" for name, value in sorted(tags.items()) if value)
    written = ((tag(name), field(value)) for name, value in fields.items())
    listed = ",".join(f"{name}={value}" for name, value in written if value is not None)
    return f"{tag(measurement)}{named} {listed} {time_ns}\n" if listed else ""


def lines(measurement: str, tags: Iterable[str], rows: Iterable[Mapping[str, object]], time: str) -> Iterable[str]:
    """Yield a line for each row: tags by name, every other plain column a field, lists and maps left out.

    Parameters
    ----------
    time : str
        Column of the point's time, ns.
    """
    names = frozenset(tags)
    for row in rows:
        kept: dict[str, Value] = {
            name: value
            for name, value in row.items()
            if name not in names and name != time and (value is None or isinstance(value, str | int | float))
        }
        yield line(measurement, {name: str(row[name]) for name in names}, kept, int(str(row[time])))
