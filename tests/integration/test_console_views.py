"""The console's views of anomalies, flows, hosts, models and blocks show what the API answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.integration.browser import DESKTOP, PHONE, Visit, chromium, visiting
from tests.integration.stack import Stack

pytestmark = pytest.mark.timeout(300)

SCANNER, SCANNER6 = "10.77.0.66", "fd00:77::66"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def capture(stack: Stack, sample: Path) -> str:
    """The bundled capture, computed."""
    return str(stack.compute(sample)["capture_id"])


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Iterator[Visit]:
    with visiting(browser, stack.remote.url) as visit:
        yield visit


@pytest.fixture(scope="module")
def scan(stack: Stack, capture: str) -> dict[str, Any]:
    """The port scan over IPv4 by the lab's attacker."""
    asked = {"capture": capture, "type": "port_scan", "source_ip": SCANNER}
    return dict(stack.remote.get("/api/anomalies/", **asked)["anomalies"][0])


@pytest.fixture(scope="module")
def named(stack: Stack, capture: str) -> dict[str, Any]:
    """The flow of the surest attack that is explained in the list."""
    asked: dict[str, Any] = {"capture": capture, "is_attack": True, "order": "confidence", "limit": 1000}
    listed = stack.remote.get("/api/classifications/", **asked)["classifications"]
    return dict(next(verdict for verdict in listed if verdict["reasons"]))


def texts(rows: Locator, column: int) -> list[str]:
    """Return a column of a table as it is read."""
    return [text.strip() for text in rows.locator(f"td:nth-child({column})").all_inner_texts()]


def rows_of(page: Page, caption: str) -> Locator:
    """Return the rows of the table with a caption, header left out."""
    return page.get_by_role("table", name=caption).locator("tbody tr")


def test_incidents_are_those_of_the_api_and_a_filter_is_in_the_address(
    visit: Visit, stack: Stack, capture: str
) -> None:
    page = visit.page
    visit.go(f"/anomalies?capture={capture}")
    rows = rows_of(page, "Incidents, those seen last first")
    answer = stack.remote.get("/api/anomalies/incidents", capture=capture)
    assert texts(rows, 2) == [one["message"] for one in answer["incidents"]]
    expect(page.locator(".lane-mark")).to_have_count(answer["total"])
    page.get_by_label("Severity").select_option("medium")
    expect(page.get_by_role("heading", name="4 incidents")).to_be_visible()
    assert "severity=medium" in page.url
    medium = stack.remote.get("/api/anomalies/incidents", capture=capture, severity="medium")
    assert texts(rows, 2) == [one["message"] for one in medium["incidents"]]
    page.get_by_label("Source").fill("10.77.0.67")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="2 incidents")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="4 incidents")).to_be_visible()


def test_a_folded_incident_opens_into_its_anomalies(visit: Visit, stack: Stack, capture: str) -> None:
    page = visit.page
    visit.go(f"/anomalies?capture={capture}")
    page.get_by_role("link", name="all 2", exact=True).click()
    rows = rows_of(page, "Anomalies, newest first")
    expect(rows).to_have_count(2)
    incident = page.url.split("incident=")[1].split("&")[0]
    answer = stack.remote.get("/api/anomalies/", capture=capture, incident=incident)
    assert texts(rows, 2) == [one["message"] for one in answer["anomalies"]]


def test_an_anomaly_says_why_and_shows_its_flows_and_packets(visit: Visit, stack: Stack, scan: dict[str, Any]) -> None:
    page, path = visit.page, f"/api/anomalies/{scan['anomaly_id']}"
    visit.go(f"/anomalies/{scan['anomaly_id']}")
    expect(page.get_by_role("heading", name=scan["message"], level=1)).to_be_visible()
    why = page.get_by_role("region", name="Why")
    expect(why).to_contain_text(f"{scan['current_value']:g} {scan['explanation']['unit']}")
    expect(why).to_contain_text(scan["explanation"]["rule"])
    picture = page.get_by_role("region", name="Beside what is usual").get_by_role("img")
    metric = stack.remote.get(path)["picture"]["metric"].replace("_", " ")
    expect(picture).to_have_attribute("aria-label", re.compile(metric))
    flows = rows_of(page, "Flows of that time")
    expect(flows).to_have_count(10)
    assert all("PortScan" in text for text in texts(flows, 2))
    lines = page.locator(".packets tbody tr")
    read = stack.remote.get(f"{path}/dissect", limit=50)
    assert texts(lines, 7) == [packet["info"].strip() for packet in read["packets"]]
    expect(page.get_by_text(f"1–50 of {read['total']}")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Packets (pcapng)").click()
    saved = download.value.path().read_bytes()
    assert saved[:4] == b"\x0a\x0d\x0d\x0a"
    page.get_by_role("button", name="Next ›").click()
    expect(page.get_by_text(f"51–100 of {read['total']}")).to_be_visible()
    visit.settled()


def test_flows_are_those_of_the_api_page_by_page_and_class_by_class(visit: Visit, stack: Stack, capture: str) -> None:
    page = visit.page
    visit.go(f"/flows?capture={capture}&order=packets")
    rows = page.locator("table tbody tr")
    first = stack.remote.get("/api/flows/", capture=capture, order="packets", limit=100)
    assert texts(rows, 6) == [f"{flow['packets_forward']:,} / {flow['packets_backward']:,}" for flow in first["flows"]]
    page.get_by_role("button", name="Next 100").click()
    expect(page.get_by_role("button", name="First page")).to_be_enabled()
    visit.settled()
    second = stack.remote.get("/api/flows/", limit=100, cursor=first["next_cursor"])
    assert texts(rows, 6) == [f"{flow['packets_forward']:,} / {flow['packets_backward']:,}" for flow in second["flows"]]
    classes = page.get_by_role("list", name="Classes")
    classes.get_by_role("button", name="PortScan").click()
    asked: dict[str, Any] = {"capture": capture, "class": "PortScan", "uncertain": False}
    total = stack.remote.get("/api/classifications/", **asked)["total"]
    expect(page.get_by_role("heading", name=f"{total:,} flows")).to_be_visible()
    assert "class=PortScan" in page.url
    assert all("PortScan" in text for text in texts(rows, 2))


def test_a_flow_shows_what_decided_its_features_and_its_packets(
    visit: Visit, stack: Stack, named: dict[str, Any]
) -> None:
    page, path = visit.page, f"/api/flows/{named['flow_id']}"
    detail = stack.remote.get(path, capture=named["capture_id"])
    visit.go(f"/flows/{named['flow_id']}?capture={named['capture_id']}")
    reasons = page.get_by_role("list", name=f"Features that decided for {named['class_name']}")
    wanted = [reason["feature"] for reason in detail["classification"]["reasons"]]
    assert reasons.locator(".reason-name").all_inner_texts() == wanted
    shown = page.locator(".features dt").all_inner_texts()
    assert sorted(text.partition("(")[0].strip() for text in shown) == sorted(detail["features"])
    assert page.locator(".features .is-decisive").count() == len(wanted)
    packets = stack.remote.get(f"{path}/packets", capture=named["capture_id"], limit=100)["packets"]
    assert texts(rows_of(page, "Packets of the flow"), 1) == [f"{packet['frame']:,}" for packet in packets]
    expect(page.get_by_text(detail["community_id"])).to_be_visible()


def test_a_host_is_what_the_api_knows_of_it(visit: Visit, stack: Stack, capture: str) -> None:
    page = visit.page
    visit.go(f"/hosts?capture={capture}&order=attacks")
    listed = stack.remote.get("/api/hosts/", capture=capture, order="attacks")["hosts"]
    assert texts(rows_of(page, "Hosts"), 1) == [host["ip"] for host in listed]
    page.get_by_role("link", name=SCANNER, exact=True).click()
    expect(page.get_by_role("heading", name=SCANNER, level=1)).to_be_visible()
    visit.settled()
    host = stack.remote.get(f"/api/hosts/{SCANNER}", capture=capture)
    assert texts(rows_of(page, "Peers, most bytes first"), 1) == [peer["ip"] for peer in host["peers"]]
    expect(page.get_by_text(f"{host['total']['packets_sent']:,} packets")).to_be_visible()
    expect(page.get_by_role("region", name="Anomalies").get_by_text("Port scan detected")).to_be_visible()
    visit.go(f"/hosts/{SCANNER6.replace(':', '%3A')}?capture={capture}")
    expect(page.get_by_role("heading", name=SCANNER6, level=1)).to_be_visible()
    visit.go(f"/hosts/203.0.113.9?capture={capture}")
    expect(page.get_by_text("This address had no flow in this capture and time.")).to_be_visible()


def test_the_champion_has_a_report_class_by_class(visit: Visit, stack: Stack, capture: str) -> None:
    page = visit.page
    champion = stack.remote.get("/api/models")["champion"]
    report = stack.remote.get(f"/api/models/{champion}/report")
    visit.go("/models")
    expect(page.get_by_role("button", name="Roll back")).to_be_disabled()
    page.get_by_role("link", name="Report, class by class").click()
    rows = rows_of(page, "Classes: how well they are named, and how often")
    expect(rows).to_have_count(15)
    visit.settled()
    assert texts(rows, 6) == [f"{one['f1']:.3f}" for one in report["scores"][0]["classes"]]
    verdicts = stack.remote.get("/api/classifications/summary")["classes"]
    said = {one["class_name"]: one["flows"] for one in verdicts}
    assert texts(rows, 7) == [f"{said.get(one['class_name'], 0):,}" for one in report["scores"][0]["classes"]]


def test_an_address_is_blocked_after_a_preview_and_let_go_in_a_dry_run(
    visit: Visit, stack: Stack, scan: dict[str, Any]
) -> None:
    page = visit.page
    visit.go(f"/anomalies/{scan['anomaly_id']}")
    page.get_by_role("button", name=f"Block {SCANNER}…").click()
    dialog = page.get_by_role("dialog", name=f"Block {SCANNER}?")
    expect(dialog).to_contain_text("no packet is dropped")
    expect(dialog).to_contain_text("1 host would be cut off")
    assert stack.remote.get("/active-defense/block")["total"] == 0
    dialog.get_by_label("For").select_option("600")
    dialog.get_by_role("button", name=f"Block {SCANNER} (dry run)").click()
    expect(dialog.get_by_role("status")).to_contain_text("IP blocked successfully (dry run)")
    [block] = stack.remote.get("/active-defense/block")["blocks"]
    assert (block["ip"], block["reason"], block["is_dry_run"]) == (SCANNER, scan["message"], True)
    page.keyboard.press("Escape")
    visit.go("/defence")
    expect(page.get_by_role("region", name="Dry run: nothing is cut off")).to_be_visible()
    row = rows_of(page, "Blocks in force, newest first")
    expect(row).to_contain_text(scan["message"])
    row.get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_text("Nobody is blocked.")).to_be_visible()
    assert stack.remote.get("/active-defense/block")["total"] == 0
    page.get_by_role("tab", name="All there ever were").click()
    expect(rows_of(page, "All blocks, newest first").first).to_contain_text("undone")


def test_what_is_never_blocked_is_said_instead_of_a_button(visit: Visit) -> None:
    page = visit.page
    visit.go("/defence")
    page.get_by_role("textbox", name="Address").fill("127.0.0.1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Cannot block localhost")
    expect(page.get_by_role("button", name="Block 127.0.0.1")).to_have_count(0)


def test_no_view_has_a_serious_fault_in_light_or_dark_or_is_wider_than_a_phone(
    visit: Visit, stack: Stack, scan: dict[str, Any], named: dict[str, Any]
) -> None:
    champion = stack.remote.get("/api/models")["champion"]
    views = (
        *("/anomalies", f"/anomalies/{scan['anomaly_id']}", "/flows?class=Heartbleed", f"/flows/{named['flow_id']}"),
        *("/hosts", f"/hosts/{SCANNER}", "/models", f"/models/{champion}", f"/defence?ip={SCANNER}"),
    )
    for view in views:
        visit.page.emulate_media(color_scheme="light")
        visit.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        visit.go(view)
        assert visit.serious_faults() == [], view
        visit.prefer("dark")
        assert visit.serious_faults("color-contrast") == [], view
        visit.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert not visit.is_wider_than_the_screen(), view
