from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.logging import KEPT_FILES, LogFile, LogTail, SharedRotatingFile, read_tail, set_up_logging
from infra.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings whose logging is in force during the test and taken back after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    settings = load_settings(state=tmp_path, log_level="INFO")
    set_up_logging(settings, on_stderr=False)
    yield settings
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def entries(settings: Settings, which: LogFile) -> list[dict[str, object]]:
    return [json.loads(line) for line in which.path(settings).read_text().splitlines()]


def test_lines_are_json_and_go_to_the_file_of_their_package(settings: Settings) -> None:
    logging.getLogger("api.main").info("API server started")
    logging.getLogger("agents.windows").warning("%d windows", 25, extra={"capture_id": "c1"})
    logging.getLogger("infra.store").debug("not kept at INFO")
    [app] = entries(settings, LogFile.APP)
    [analysis] = entries(settings, LogFile.ANALYSIS)
    assert (app["level"], app["logger"], app["message"]) == ("INFO", "api.main", "API server started")
    assert (analysis["message"], analysis["capture_id"]) == ("25 windows", "c1")


def test_lines_are_texts_when_asked_for_and_read_the_same(settings: Settings) -> None:
    texts = settings.model_copy(update={"log_format": "text"})
    for chosen in (settings, texts):
        for handler in logging.getLogger().handlers:
            handler.close()
        set_up_logging(chosen, on_stderr=False)
        logging.getLogger("api.compute").info("Metrics computed: %d\nwindows", 25)
        logging.getLogger("agents.merge").info("Capture c: windows 0 to 9 closed, 87 packets")
    json_line, text_line = LogFile.APP.path(settings).read_text().splitlines()
    assert json_line.startswith('{"time": ')
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[INFO\] Metrics computed: 25 windows", text_line)
    shown = read_tail(settings, LogFile.APP, 2).lines
    assert [line[19:] for line in shown] == [" [INFO] Metrics computed: 25 windows"] * 2
    assert len(read_tail(settings, LogFile.ANALYSIS, 9).lines) == 2
    try:
        int("two")
    except ValueError:
        logging.getLogger("api").exception("it failed")
    assert (
        read_tail(settings, LogFile.APP, 1)
        .lines[0]
        .endswith("[ERROR] it failed (ValueError: invalid literal for int() with base 10: 'two')")
    )


def test_an_error_is_kept_with_its_trace_in_one_line(settings: Settings) -> None:
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("api").exception("it failed")
    [entry] = entries(settings, LogFile.APP)
    assert "ValueError: invalid literal for int() with base 10: 'two\\nlines'" in str(entry["error"])


def test_the_tail_has_the_contracts_form(settings: Settings) -> None:
    for number in range(5):
        logging.getLogger("api").info("line %d", number)
    tail = read_tail(settings, LogFile.APP, 2)
    assert tail.total == 5
    assert [line[19:] for line in tail.lines] == [" [INFO] line 3", " [INFO] line 4"]
    logged = entries(settings, LogFile.APP)[-1]["time"]
    assert tail.lines[-1].startswith(str(logged)[:19].replace("T", " "))


def test_the_tail_of_an_absent_file_is_empty_and_a_torn_line_is_shown_as_it_is(settings: Settings) -> None:
    LogFile.APP.path(settings).unlink()
    assert read_tail(settings, LogFile.APP, 10) == LogTail((), 0)
    LogFile.APP.path(settings).write_text('{"time": "2026-01-09T17:4')
    assert read_tail(settings, LogFile.APP, 10) == LogTail(('{"time": "2026-01-09T17:4',), 1)
    assert read_tail(settings, LogFile.APP, 0) == LogTail((), 1)


def test_setting_up_twice_does_not_write_twice(settings: Settings) -> None:
    for handler in logging.getLogger().handlers:
        handler.close()
    set_up_logging(settings, on_stderr=False)
    logging.getLogger("api").info("once")
    assert len(entries(settings, LogFile.APP)) == 1


def test_processes_that_share_a_file_lose_no_line_when_it_rotates(tmp_path: Path) -> None:
    code = (
        "import logging, sys; from pathlib import Path; from infra.logging import SharedRotatingFile\n"
        "handler = SharedRotatingFile(Path(sys.argv[1]), rotate_bytes=600)\n"
        "for n in range(100): handler.emit(logging.makeLogRecord({'msg': f'{sys.argv[2]} {n:04}'}))\n"
    )
    path = tmp_path / "shared.log"
    command = [sys.executable, "-c", code, str(path)]
    children = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [child.wait() for child in children] == [0, 0]
    files = sorted(tmp_path.glob("shared.log*"))
    lines = [line for file in files if file.suffix != ".lock" for line in file.read_text().splitlines()]
    assert len(files) > 2
    assert sorted(lines) == sorted(f"{name} {n:04}" for name in ("one", "two") for n in range(100))


def test_old_files_are_removed(tmp_path: Path) -> None:
    handler = SharedRotatingFile(tmp_path / "a.log", rotate_bytes=10)
    for number in range(20):
        handler.emit(logging.makeLogRecord({"msg": f"line number {number}"}))
    handler.close()
    kept = sorted(file.name for file in tmp_path.glob("a.log*"))
    assert kept == ["a.log", *(f"a.log.{n}" for n in range(1, KEPT_FILES + 1))]
    assert (tmp_path / "a.log").read_text() == "line number 19\n"
