"""Drawings for a page: Matplotlib's SVG made fit to stand inside HTML, in the colours that the page's style sets.

Matplotlib draws with marker colours, one for each role; behind it they become CSS variables, so the same drawing is
right in light, in dark and on paper. Texts stay texts. Matplotlib is imported when something is drawn, not before.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE_IN, NARROW_IN = 8.6, 3.9
"""Widths of a drawing for a screen or a sheet, and for a phone, inches of 72 points."""

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_FONT = re.compile(r"font:\s*(?:(?:bold|italic|\d{3})\s+)?([\d.]+)px[^;]*")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


class Ink(StrEnum):
    """What a colour stands for; the value is its marker, the page's variable is named like the member."""

    TEXT = "#010101"
    GRID = "#010102"
    HIGH = "#010103"
    MEDIUM = "#010104"
    LOW = "#010105"
    GOOD = "#010106"
    REST = "#010107"
    S1 = "#010111"
    S2 = "#010112"
    S3 = "#010113"
    S4 = "#010114"
    S5 = "#010115"


SERIES = (Ink.S1, Ink.S2, Ink.S3, Ink.S4, Ink.S5)
"""For what has an order of its own, as protocols by bytes; what is left over is ``Ink.REST``."""

_STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "spanwatch",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "text.parse_math": False,
    "text.color": Ink.TEXT.value,
    "axes.edgecolor": Ink.GRID.value,
    "axes.labelcolor": Ink.TEXT.value,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": Ink.GRID.value,
    "grid.linewidth": 0.6,
    "xtick.color": Ink.GRID.value,
    "ytick.color": Ink.GRID.value,
    "xtick.labelcolor": Ink.TEXT.value,
    "ytick.labelcolor": Ink.TEXT.value,
    "legend.frameon": False,
    "hatch.linewidth": 0.8,
    "path.simplify": True,
}


@contextmanager
def canvas(height_in: float, *, is_wide: bool) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure with one pair of axes in the house's style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(WIDE_IN if is_wide else NARROW_IN, height_in), layout="constrained")
        yield figure, figure.add_subplot()


def drawn(name: str, height_in: float, draw: Callable[[Axes, bool], None], *, is_wide: bool) -> str:
    """Return a drawing as SVG for HTML.

    Parameters
    ----------
    name : str
        Goes before its ids, so that they differ from those of the page's other drawings.
    draw : callable
        Draws on axes; is told whether there is room.
    """
    out = io.BytesIO()
    with canvas(height_in, is_wide=is_wide) as (figure, axes):
        draw(axes, is_wide)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _fit_for_html(out.getvalue(), f"{name}-{'wide' if is_wide else 'narrow'}")


def _fit_for_html(svg: bytes, name: str) -> str:
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style") or callable(child.tag):
                parent.remove(child)
    _keep_used_ids(root, name)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key, value in element.attrib.items():
            element.attrib[key] = _FONT.sub(r"font-size: \1px", _NUMBER.sub(_rounded, value))
    attributes = {"viewBox": root.attrib["viewBox"], "role": "img", "class": name.rpartition("-")[2]}
    attributes["aria-labelledby"] = f"{name.rpartition('-')[0]}-title"
    attributes["aria-describedby"] = f"{name.rpartition('-')[0]}-text"
    root.attrib.clear()
    root.attrib.update(attributes)
    text = ET.tostring(root, encoding="unicode")
    for ink in Ink:
        text = text.replace(ink.value, f"var(--{ink.name.lower()})")
    return text


def _keep_used_ids(root: ET.Element, name: str) -> None:
    """Drop the ids that nothing refers to, and put the drawing's name before the others."""
    used = {
        found for element in root.iter() for value in element.attrib.values() for found in _REFERENCE.findall(value)
    }
    used |= {element.attrib[_HREF][1:] for element in root.iter() if _HREF in element.attrib}
    for element in root.iter():
        found = element.attrib.pop("id", None)
        if found in used:
            element.attrib["id"] = f"{name}-{found}"
        if target := element.attrib.pop(_HREF, None):
            element.attrib["href"] = f"#{name}-{target[1:]}"
        for key, value in element.attrib.items():
            element.attrib[key] = _REFERENCE.sub(rf"url(#{name}-\1)", value)


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
