"""The files that Grafana is provisioned with: those under ``infra/grafana``, which a test compares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from infra.grafana_dashboards.alerts import alerting
from infra.grafana_dashboards.findings import ANOMALIES, VERDICTS
from infra.grafana_dashboards.host import HOST_BOARD
from infra.grafana_dashboards.overview import OVERVIEW
from infra.grafana_dashboards.parts import Dashboard, JsonObject
from infra.grafana_dashboards.pipeline import PIPELINE_BOARD

FOLDER = Path(__file__).resolve().parents[1] / "grafana"

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
