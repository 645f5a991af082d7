"""Writes what Grafana is provisioned with: ``python -m infra.grafana_dashboards [--console URL] [FOLDER]``.

The files under ``infra/grafana`` are what this writes; a test compares them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from infra.grafana_alerts import alerting
from infra.grafana_findings import ANOMALIES, VERDICTS
from infra.grafana_host import HOST_BOARD
from infra.grafana_overview import OVERVIEW
from infra.grafana_parts import Dashboard, JsonObject
from infra.grafana_pipeline import PIPELINE_BOARD

FOLDER = Path(__file__).parent / "grafana"

CONSOLE = "http://localhost:8000"
"""Where the console is when nothing else is said: the API of one machine."""

DASHBOARDS: Sequence[Dashboard] = (OVERVIEW, HOST_BOARD, ANOMALIES, VERDICTS, PIPELINE_BOARD)


def written(console: str = CONSOLE) -> dict[str, JsonObject]:
    """Return what every generated file holds, by its path below ``infra/grafana``.

    Parameters
    ----------
    console : str
        Address under which people reach the console.
    """
    boards = {f"dashboards/{one.uid}.json": one.model(console.rstrip("/")) for one in DASHBOARDS}
    return {**boards, "provisioning/alerting/spanwatch.json": alerting()}


def text_of(model: JsonObject) -> str:
    """Return a file's text."""
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python -m infra.grafana_dashboards", description=__doc__)
    parser.add_argument("--console", default=CONSOLE, help="address of the console (default: %(default)s)")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to (default: %(default)s)")
    given = parser.parse_args(arguments)
    for name, model in written(given.console).items():
        path = given.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(model), encoding="utf-8")


if __name__ == "__main__":
    main()
