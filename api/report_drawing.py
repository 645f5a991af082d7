"""What the pictures of a report share: their two widths, the axis of time, bars with labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from api.report_answers import PointAnswer
from api.report_svg import Ink, drawn
from api.report_words import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORT = 17
"""Letters of a label for which a phone has room."""

LONG = 40
"""Letters of a label for which a screen has room."""

ROW_IN, FRAME_IN = 0.21, 0.8
"""Height of a bar, and of what stands around all of them."""


@dataclass(frozen=True)
class Plot:
    """A picture on the page.

    Parameters
    ----------
    name : str
        Id on the page.
    title : str
        What it shows.
    text : str
        The same in words, for who does not see it.
    note : str
        What everybody reads below it; empty where there is nothing to add.
    wide, narrow : str
        SVG for a screen and for a phone.
    """

    name: str
    title: str
    text: str
    note: str
    wide: str
    narrow: str


Draw = Callable[["Axes", bool], None]


def plot(name: str, title: str, text: str, height_in: float, draw: Draw, note: str = "") -> Plot:
    """Return a picture in both widths; see ``Plot``."""
    wide, narrow = (drawn(name, height_in, draw, is_wide=is_wide) for is_wide in (True, False))
    return Plot(name, title, text, note, wide, narrow)


def height_of(rows: int) -> float:
    """Return the height of a picture of so many bars, inches."""
    return FRAME_IN + ROW_IN * rows


def edges_of(points: Sequence[PointAnswer]) -> list[datetime]:
    """Return beginning and end of each point."""
    return [at(moment_s) for point in points for moment_s in (point.start, point.end)]


def at(epoch_s: float) -> datetime:
    """Return a moment as Matplotlib takes it."""
    return datetime.fromtimestamp(epoch_s, UTC)


def twice(values: Sequence[float]) -> list[float]:
    """Return each value for the beginning and the end of its point."""
    return [value for value in values for _ in range(2)]


def time_axis(axes: Axes, points: Sequence[PointAnswer], *, is_wide: bool) -> None:
    """Make the horizontal axis one of time, from the first point to the last."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8 if is_wide else 6, tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    edges = edges_of(points)
    axes.set_xlim(edges[0], edges[-1])  # type: ignore[arg-type]


def points_note(points: Sequence[PointAnswer]) -> str:
    """Return what a point of the time line is."""
    of = "a window" if points[0].windows == 1 else f"{points[0].windows} windows"
    return f"{len(points)} points of {of} each ({duration(points[0].end - points[0].start)}); times are UTC."


def bars(
    axes: Axes, labels: Sequence[str], parts: Sequence[tuple[str, Ink, Sequence[float]]], *, is_wide: bool
) -> None:
    """Draw horizontal bars, the first on top, one part behind the other."""
    ends = [0.0] * len(labels)
    for label, ink, values in parts:
        axes.barh(range(len(labels)), values, left=ends, color=ink.value, label=label, height=0.7)
        ends = [end + value for end, value in zip(ends, values, strict=True)]
    axes.set_yticks(range(len(labels)), [short(label, LONG if is_wide else SHORT) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def short(label: str, letters: int) -> str:
    """Return a label cut to so many letters."""
    return label if len(label) <= letters else f"{label[: letters - 1]}…"


def written(axes: Axes, values: Sequence[float], texts: Sequence[str]) -> None:
    """Write a text behind each bar."""
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.annotate(text, (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
