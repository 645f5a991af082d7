from __future__ import annotations

from pathlib import Path

import pytest

from infra.store import Store
from tests.api.stack import Running, insert_stored_capture, running, settings_in


def test_control_status_counts_windows(stack: Running, store: Store) -> None:
    insert_stored_capture(store, windows=3)
    body = stack.http.get("/api/control/status").json()
    assert body["data"]["metric_count"] == 3
    assert body["system"]["project_structure"]["streams"] is True
    assert body["capture"] == {"running": False, "start_time": None, "interface": None}


def test_config_names_the_interface_of_the_live_mode(store: Store, tmp_path: Path) -> None:
    with running(settings_in(tmp_path, mode="live", interface="lo"), store) as stack:
        assert stack.http.get("/api/control/config").json()["interface"] == "lo"


def test_logs_are_the_last_lines_in_the_documented_form(stack: Running) -> None:
    folder = stack.settings.logs_folder
    folder.mkdir(parents=True)
    line = '{{"time": "2026-01-09T17:40:02.000000", "level": "INFO", "message": " line {} "}}\n'
    (folder / "app.log").write_text("".join(line.format(number) for number in range(250)))
    body = stack.http.get("/api/control/logs").json()
    assert (body["limit"], body["total_lines"], body["returned_lines"]) == (100, 250, 100)
    assert body["logs"][-1] == "2026-01-09 17:40:02 [INFO] line 249"
    assert stack.http.get("/api/control/logs", params={"limit": 3}).json()["logs"][0].endswith("line 247")


def test_a_log_that_does_not_exist_yet_is_empty(stack: Running) -> None:
    body = stack.http.get("/api/control/logs", params={"type": "analysis"}).json()
    assert (body["total_lines"], body["returned_lines"], body["logs"]) == (0, 0, [])


@pytest.mark.parametrize("query", ["type=passwd", "type=", "limit=0", "limit=10001", "limit=many"])
def test_nonsense_about_logs_is_refused(stack: Running, query: str) -> None:
    answer = stack.http.get(f"/api/control/logs?{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")
