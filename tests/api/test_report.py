from __future__ import annotations

import io
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from rich.console import Console

from api.capture_answers import LedgerAnswer
from api.compute import new_capture_id
from api.files import NamedFile
from api.report import report_text
from api.report_answers import Concern, ReportAnswer
from api.report_page import page_of
from api.report_plots import ledger
from api.services import MAX_EXTRACTIONS
from infra.store import Store
from schemas.captures import LedgerRow
from schemas.enums import Hop
from tests.api.askers import asking, children
from tests.api.classifications import insert_verdicts, verdict_values
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import (
    Running,
    balanced_ledger,
    capture_row,
    insert_captures,
    insert_ledger,
    insert_stored_capture,
    insert_windows,
    running,
    settings_in,
    until,
    window_values,
)
from tests.integration.browser import CHROMIUM, DESKTOP, PHONE, Theme, chromium, visiting

needs_browser = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed")

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}$\\frac{.pcap"

CONVERSATION = {
    "src_ip": "10.0.0.1",
    "src_port": 40_000,
    "dst_ip": "10.0.0.2",
    "dst_port": 443,
    "protocol": 6,
    "name": "https",
    **dict.fromkeys(("first_ts_ns", "last_ts_ns", "packets_forward", "packets_backward"), 1),
    **dict.fromkeys(("bytes_forward", "bytes_backward", "data_segments_forward", "data_segments_backward"), 1),
    **dict.fromkeys(("retransmissions_forward", "retransmissions_backward"), 0),
    "rtt_count": 3,
    "rtt_sum_ns": 60_000_000,
    "rtt_max_ns": 30_000_000,
}


@pytest.fixture(scope="module")
def served(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_in(tmp_path_factory.mktemp("report")), module_store) as stack:
        yield stack


@pytest.fixture(scope="module")
def store(module_store: Store) -> Store:
    """The store, as the tests of this module fill it: each makes a capture of its own."""
    return module_store


@pytest.fixture(scope="module")
def full(served: Running, module_store: Store) -> ReportAnswer:
    """The report on three windows with a hostile name, a scan, a slow connection, and verdicts of three kinds."""
    capture_id = new_capture_id()
    traffic = {
        "host_traffic": [{"ip": "10.0.0.1", "bytes_sent": 6000, "bytes_received": 3900, "conversations": 3}],
        "conversations": [CONVERSATION],
        "protocol_packets": {HOSTILE: 57, "dns": 30},
        "protocol_bytes": {HOSTILE: 6900, "dns": 3000},
    }
    insert_windows(module_store, *(window_values(capture_id, number, **traffic) for number in range(3)))
    insert_ledger(module_store, balanced_ledger(capture_id))
    insert_captures(module_store, capture_row(capture_id, name=HOSTILE))
    message = f"Port scan detected: {HOSTILE}"
    insert_anomalies(
        module_store,
        anomaly_values(capture_id, 1, message=message),
        anomaly_values(capture_id, 2, type="packet_loss", severity="medium", incident_id="00000000000000bb", folded=2),
    )
    insert_verdicts(
        module_store,
        verdict_values(capture_id, 0, class_name="BENIGN", attack_probability=0.01),
        verdict_values(capture_id, 1, window_id=1, attack_probability=0.95),
        verdict_values(capture_id, 2, window_id=1, attack_probability=0.6),
        verdict_values(capture_id, 3, class_name="DDoS", is_uncertain=True),
    )
    return asked(served, capture_id)


@pytest.fixture(scope="module")
def html(full: ReportAnswer) -> str:
    return page_of(full)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def asked(stack: Running, capture_id: str) -> ReportAnswer:
    answer = stack.http.get(f"/api/captures/{capture_id}/report")
    assert answer.status_code == 200, answer.text
    return ReportAnswer.model_validate(answer.json())


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and what it would ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.asks: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.asks += [value or "" for name, value in attrs if name in ("href", "src", "srcset", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def text_of(report: ReportAnswer) -> str:
    out = io.StringIO()
    Console(width=100, file=out).print(report_text(report))
    return out.getvalue()


def test_a_report_says_what_the_other_answers_say(full: ReportAnswer, served: Running) -> None:
    capture_id = full.capture.capture_id
    said = full.model_dump(mode="json")

    def answer(path: str, **parameters: str) -> dict[str, object]:
        return dict(served.http.get(path, params=parameters).json())

    assert said["capture"] == answer(f"/api/captures/{capture_id}")
    assert said["summary"] == answer("/api/metrics/summary", capture=capture_id)
    assert said["ledger"] == answer(f"/api/captures/{capture_id}/ledger")
    assert said["verdicts"] == answer("/api/classifications/summary", capture=capture_id)
    incidents = answer("/api/anomalies/incidents", capture=capture_id)["incidents"]
    assert isinstance(incidents, list)
    told = {one["incident_id"]: {**one, "explanation": None} for one in said["incidents"]}
    assert told == {one["incident_id"]: {**one, "explanation": None} for one in incidents}
    assert full.summary is not None
    assert sum(point.bytes for point in full.timeline) == full.summary.bandwidth.total_bytes
    assert sum(point.packets for point in full.timeline) == full.summary.packets
    assert sum(row.packets for row in full.protocols) == full.summary.packets


def test_it_tells_reasons_talkers_and_round_trips(full: ReportAnswer) -> None:
    assert [one.severity.value for one in full.incidents] == ["high", "medium"]
    assert full.incidents[0].explanation is not None
    assert full.incidents[0].explanation.rule == "r"
    assert [(row.ip, row.sent_bytes, row.received_bytes) for row in full.talkers] == [("10.0.0.1", 18_000, 11_700)]
    # Three round trips of 20 ms in each of the windows.
    assert (full.round_trips.total, full.round_trips.counted) == (12, 9)
    [one] = full.round_trips.bins
    assert one.from_ms <= 20 < one.to_ms
    assert one.count == 9


def test_lanes_say_where_on_the_time_line_it_was(full: ReportAnswer) -> None:
    lanes = {lane.name: [(cell.point, cell.count, cell.concern.value) for cell in lane.cells] for lane in full.lanes}
    assert lanes == {"port_scan": [(1, 1, "high")], "packet_loss": [(2, 3, "medium")], "PortScan": [(1, 2, "high")]}


def test_findings_are_ordered_by_how_serious_they_are(full: ReportAnswer) -> None:
    assert full.worst is Concern.HIGH
    assert [(one.concern.value, one.kind, one.name, one.count) for one in full.findings] == [
        ("high", "incident", "port_scan", 1),
        ("high", "verdict", "PortScan", 1),
        ("medium", "incident", "packet_loss", 1),
        ("medium", "verdict", "PortScan", 1),
        ("low", "verdict", "DDoS", 1),
    ]


def test_nothing_found_is_no_concern(served: Running, store: Store) -> None:
    report = asked(served, insert_stored_capture(store))
    assert (report.worst, report.findings, report.incidents, report.lanes) == (None, [], [], [])
    html = page_of(report)
    assert "Nothing unusual was found, but no flow was judged" in " ".join(Page(html).texts)
    assert "Nothing unusual was found" in text_of(report)
    assert "No flow was judged" in text_of(report)


def test_a_ledger_that_does_not_balance_is_serious(served: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    lost = LedgerRow(
        capture_id=capture_id, hop=Hop.FLOWS, partition=0, packets_in=22, packets_out=20, version=2, reason=""
    )
    insert_ledger(store, [lost])
    report = asked(served, capture_id)
    if report.ledger.is_complete:
        assert report.worst is Concern.HIGH
    assert not report.ledger.is_balanced
    assert "Not balanced" in text_of(report)
    picture = ledger(report)
    assert picture is not None
    assert "missing" in picture.wide


def test_a_capture_without_packets_has_a_report(served: Running, store: Store) -> None:
    capture_id = new_capture_id()
    insert_captures(store, capture_row(capture_id, packets=0, bytes=0, first_ts_ns=None, last_ts_ns=None))
    report = asked(served, capture_id)
    assert (report.summary, report.timeline, report.protocols, report.talkers) == (None, [], [], [])
    assert "It holds no packets." in page_of(report)
    assert "holds no packets" in text_of(report)


def test_a_report_stays_small_however_long_the_capture_was(served: Running, store: Store) -> None:
    capture_id = new_capture_id()
    insert_windows(store, *(window_values(capture_id, number) for number in range(1000)))
    insert_captures(store, capture_row(capture_id))
    report = asked(served, capture_id)
    assert len(report.timeline) == 200
    assert {point.windows for point in report.timeline} == {5}
    assert sum(point.packets for point in report.timeline) == 87_000
    assert sum(point.protocols["https"] for point in report.timeline) == 6_900_000
    assert "15 windows a bar" in text_of(report)


def test_every_incident_counts_and_the_worst_is_told_of_however_many_there_are(served: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    count = 20_003
    insert_anomalies(
        store,
        *(
            anomaly_values(
                capture_id,
                number,
                incident_id=f"{number:016x}",
                # The oldest is the worst.
                severity="medium" if number else "high",
            )
            for number in range(count)
        ),
    )
    report = asked(served, capture_id)
    assert report.incidents_total == count
    assert report.worst is Concern.HIGH
    assert [(one.concern, one.count) for one in report.findings if one.kind == "incident"] == [
        (Concern.HIGH, 1),
        (Concern.MEDIUM, count - 1),
    ]
    assert len(report.incidents) == 100
    assert [one.incident_id for one in report.incidents[:2]] == [f"{0:016x}", f"{1:016x}"]


def test_hostile_names_are_text_on_the_page(html: str) -> None:
    page = Page(html)
    assert "script" not in page.tags
    assert page.texts.count(HOSTILE) == 1, "in the table of protocols"
    assert f"{HOSTILE}, 12,000 bytes" in page.texts, "where it says what was analysed"
    assert page.texts.count(f"Port scan detected: {HOSTILE}") == 1


def test_the_page_asks_for_nothing_and_names_each_thing_once(html: str) -> None:
    page = Page(html)
    assert [asked for asked in page.asks if not asked.startswith("#")] == []
    assert len(set(page.ids)) == len(page.ids)
    assert {asked[1:] for asked in page.asks} <= set(page.ids)
    assert "@import" not in html


def test_every_picture_is_there_in_two_widths_with_its_words(html: str) -> None:
    page = Page(html)
    for name in ("traffic", "protocols", "talkers", "lanes", "round-trips", "distribution", "verdicts", "ledger"):
        assert {f"{name}-title", f"{name}-text"} <= set(page.ids)
        described = f'aria-labelledby="{name}-title" aria-describedby="{name}-text"'
        assert html.count(described) == 2
    # Colours are the page's, so that it is right in light and in dark.
    assert "var(--text)" in html
    assert "#0101" not in html


def test_the_page_is_served_with_a_policy_that_allows_nothing(full: ReportAnswer, served: Running) -> None:
    answer = served.http.get(f"/api/captures/{full.capture.capture_id}/report.html")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "3 windows of 10 s" in text_of(full)
    assert "<dd>3 of 10 s</dd>" in answer.text


def test_a_page_that_nobody_waits_for_is_not_made_and_keeps_no_place(full: ReportAnswer, served: Running) -> None:
    path = f"/api/captures/{full.capture.capture_id}/report.html"
    for _ in range(MAX_EXTRACTIONS + 1):
        with asking(served, path, "api.report_page"):
            pass
        until(lambda: not children("api.report_page"))
    assert served.http.get(path).status_code == 200


@pytest.mark.parametrize("form", ["report", "report.html"])
def test_there_is_no_report_on_a_capture_that_is_not_there(served: Running, form: str) -> None:
    answer = served.http.get(f"/api/captures/nosuchcapture/{form}")
    assert (answer.status_code, answer.json()["error"]) == (404, "Capture not found")


def test_the_file_is_hashed_while_it_is_the_one_that_was_read(served: Running, store: Store) -> None:
    path = served.settings.data_roots[0] / "read.pcap"
    path.write_bytes(b"abc")
    fingerprint = NamedFile(path.resolve(), "read.pcap").fingerprint(10.0)
    capture_id = insert_stored_capture(store, name="read.pcap", fingerprint=fingerprint, file_bytes=3)
    # The digest of "abc" is the first example of FIPS 180-2, appendix B.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert asked(served, capture_id).file.sha256 == digest
    path.write_bytes(b"another")
    assert asked(served, capture_id).file.sha256 is None


def test_a_report_is_the_same_after_a_way_through_json(full: ReportAnswer) -> None:
    assert ReportAnswer.model_validate_json(full.model_dump_json()) == full
    assert LedgerAnswer.model_validate(json.loads(full.model_dump_json())["ledger"]) == full.ledger


@needs_browser
@pytest.mark.parametrize(("theme", "size"), [("light", DESKTOP), ("dark", PHONE)])
def test_a_browser_shows_the_page_from_disk_and_asks_for_nothing(
    browser: Browser, html: str, theme: Theme, size: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    with visiting(browser, path.as_uri(), theme, size) as visit:
        visit.page.goto(path.as_uri())
        assert visit.page.get_by_role("img", name="Traffic over time, by protocol").count() == 1
        assert not visit.is_wider_than_the_screen()
        # What is folded away is looked at as well.
        visit.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert visit.serious_faults() == []
