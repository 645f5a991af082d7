"""The report as one self-contained page: no script, no outside request, for a screen, a phone and paper.

``python -m api.report_page REPORT.json PAGE.html`` makes it, which is how the service does so: Matplotlib then takes
neither the service's memory nor its interpreter, and is not asked to be safe among threads.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.errors import Refusal
from api.report_answers import ReportAnswer
from api.report_findings import words_of
from api.report_plots import plots_of
from api.report_words import bits, duration, full_moment, moment, size
from infra.processes import kill_group, spawn
from schemas.errors import SpanwatchError

TEMPLATES = Path(__file__).parent / "templates"

CHILD_S = 60.0
"""How long a page may take: thirty times what it does on a quiet machine."""

_LOOK_S = 0.02


def page_of(report: ReportAnswer) -> str:
    """Return a report as HTML.

    Whatever comes out of a capture (names, messages, addresses) is text there, never markup: the templates escape
    it, and the drawings are made by a library that does.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=size,
        bits=bits,
        duration=duration,
        moment=moment,
        full_moment=full_moment,
        words=words_of,
        basename=_basename,
    )
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    drawings = {
        plot.name: {
            "name": plot.name,
            "title": plot.title,
            "text": plot.text,
            "note": plot.note,
            "svg": Markup(plot.wide + plot.narrow),  # noqa: S704 - our own drawings, whose texts are escaped
        }
        for plot in plots_of(report).values()
    }
    return environment.get_template("report.html").render(report=report, plots=drawings, style=style)


def _basename(name: str) -> str:
    """Return the last part of a path, as a title."""
    return "standard input" if name == "-" else name.rpartition("/")[2] or name


async def page_by_child(report: ReportAnswer, folder: Path, cache: Path) -> str:
    """Return a report as HTML, made by another process; a cancellation ends it before it goes on.

    Parameters
    ----------
    folder : Path
        For files that lie between the two.
    cache : Path
        Where Matplotlib keeps what it knows of fonts: a service may have no home to write to.

    Raises
    ------
    Refusal
        503 when it takes too long.
    SpanwatchError
        It could not be made.
    """
    given_up = threading.Event()
    making = asyncio.ensure_future(asyncio.to_thread(_run_child, report, folder, cache, given_up))
    try:
        return await asyncio.shield(making)
    finally:
        given_up.set()
        await asyncio.wait((making,))


def _run_child(report: ReportAnswer, folder: Path, cache: Path, given_up: threading.Event) -> str:
    """Have the page made; return what is there of it, nothing when it was given up."""
    given, made, said = folder / "report.json", folder / "report.html", folder / "said"
    given.write_text(report.model_dump_json(), encoding="utf-8")
    process = spawn(
        [sys.executable, "-m", __name__, given, made], output=said, environment={"MPLCONFIGDIR": str(cache)}
    )
    end_s = time.monotonic() + CHILD_S
    try:
        while (status := process.poll()) is None:
            if given_up.wait(_LOOK_S):
                return ""
            if time.monotonic() > end_s:
                raise Refusal(503, "Service Unavailable", "The page takes too long to make. Try again.")
    finally:
        kill_group(process.pid)
        process.wait()
    if status:
        raise SpanwatchError(f"A report's page could not be made: {said.read_text(errors='replace')[-2000:]}")
    return made.read_text(encoding="utf-8")


def main(given: str, made: str) -> None:
    """Make a page of a report that lies in a file."""
    report = ReportAnswer.model_validate_json(Path(given).read_text(encoding="utf-8"))
    Path(made).write_text(page_of(report), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
