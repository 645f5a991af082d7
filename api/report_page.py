"""The report as one self-contained page: no script, no outside request, for a screen, a phone and paper.

``python -m api.report_page REPORT.json PAGE.html`` makes it, which is how the service does so: Matplotlib then takes
neither the service's memory nor its interpreter, and is not asked to be safe among threads.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.children import run_child
from api.report_answers import ReportAnswer
from api.report_findings import words_of
from api.report_plots import plots_of
from api.report_words import bits, duration, full_moment, moment, size

TEMPLATES = Path(__file__).parent / "templates"

CHILD_S = 60.0
"""How long a page may take: thirty times what it does on a quiet machine."""


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
    """Return a report as HTML, made by another process.

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
    ChildError
        It could not be made.
    """
    given, made = folder / "report.json", folder / "report.html"
    await asyncio.to_thread(given.write_text, report.model_dump_json(), encoding="utf-8")
    command: list[str | Path] = [sys.executable, "-m", __name__, given, made]
    await run_child(command, folder, CHILD_S, environment={"MPLCONFIGDIR": str(cache)})
    return await asyncio.to_thread(made.read_text, encoding="utf-8")


def main(given: str, made: str) -> None:
    """Make a page of a report that lies in a file."""
    report = ReportAnswer.model_validate_json(Path(given).read_text(encoding="utf-8"))
    Path(made).write_text(page_of(report), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
