from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spanwatch import main


def analyze(*arguments: str | Path) -> Result:
    """Run the command; what is wrong must be said before a stack is started, so none is there."""
    return CliRunner().invoke(main, ["analyze", *map(str, arguments)], env={"SPANWATCH_PORTS": "9"})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"these are not packets\n", "is not a capture file: it is text that begins with"),
        (b"\x7fELF\x02\x01\x01" + bytes(40), "is not a capture file: it is a program"),
    ],
)
def test_what_is_no_capture_is_refused_before_anything_is_started(
    content: bytes, sentence: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pcap"
    wrong.write_bytes(content)
    done = analyze(wrong)
    assert (done.exit_code, done.stdout) == (1, "")
    assert sentence in " ".join(done.stderr.split())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    done = analyze(tmp_path / "nowhere.pcap")
    assert done.exit_code == 1
    assert "There is no capture file" in done.stderr


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    done = analyze("samples/mixed.pcap.gz", "--html", tmp_path / "no" / "report.html")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "There is no folder" in done.stderr


def test_standard_output_is_for_one_form() -> None:
    done = analyze("samples/mixed.pcap.gz", "--json", "-", "--csv", "-")
    assert done.exit_code == 1
    assert "Only one of" in done.stderr


def test_an_unknown_concern_is_wrong_use() -> None:
    assert analyze("samples/mixed.pcap.gz", "--fail-on", "awful").exit_code == 2


def test_a_report_needs_a_running_stack() -> None:
    done = CliRunner().invoke(main, ["report"], env={"SPANWATCH_PORTS": "9"})
    assert done.exit_code == 1
    assert "spanwatch up" in done.stderr


def test_a_stack_that_does_not_start_says_why(tmp_path: Path) -> None:
    class Unwell(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

    with HTTPServer(("127.0.0.1", 0), Unwell) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        given = {"SPANWATCH_PORTS": str(other.server_port), "SPANWATCH_STATE": str(tmp_path)}
        done = CliRunner().invoke(main, ["analyze", "samples/mixed.pcap.gz"], env=given)
        other.shutdown()
    told = " ".join(done.stderr.split())
    assert (done.exit_code, done.stdout) == (1, "")
    assert "The stack did not start: it ended. Error: " in told
    assert str(other.server_port) in told
