"""The console on a running stack, with the bundled capture, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from api.access import Scope
from infra.store import Store
from tests.api.keys import make_key
from tests.api.stack import running, settings_in
from tests.integration.browser import DESKTOP, PHONE, Theme, chromium, visiting
from tests.integration.stack import Stack

THEMES: tuple[Theme, ...] = ("light", "dark")
SMALL: ViewportSize = {"width": PHONE[0], "height": PHONE[1]}
LARGE: ViewportSize = {"width": DESKTOP[0], "height": DESKTOP[1]}
MOST_ANOMALIES = 12
"""What the list of the view "Now" has at most."""
SHOWN_MS = 30_000
"""What a class counts is asked for again only now and then."""
VIEWS = ("/", "/windows?window=9", "/captures", "/captures/{capture}", "/pipeline")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def base(stack: Stack) -> str:
    return stack.remote.url


@pytest.fixture(scope="module")
def capture(stack: Stack, sample: Path) -> str:
    """The bundled capture, computed."""
    return str(stack.compute(sample)["capture_id"])


def test_from_an_upload_to_the_packets_of_what_is_wrong_in_three_clicks(
    browser: Browser, base: str, sample: Path
) -> None:
    with visiting(browser, base) as visit:
        page = visit.page
        visit.go("/captures")
        # First click: the file. Its report opens by itself.
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose a file").click()
        chooser.value.set_files(sample)
        wrong = page.get_by_role("region", name="What is wrong")
        scan = wrong.get_by_role("link", name="Port scan detected: 10.77.0.66 tried")
        expect(scan).to_be_visible()
        # Second click: why.
        scan.click()
        expect(page.get_by_text("distinct ports of one source within 60 s").first).to_be_visible()
        # And show me the packets: tshark's words, then every field of one with the third click.
        packets = page.get_by_role("region", name="Packets", exact=True)
        expect(packets.get_by_role("row", name="10.77.0.66 10.77.0.10 TCP").first).to_be_visible()
        packets.get_by_role("row", name="10.77.0.66 10.77.0.10 TCP").first.get_by_role("button").click()
        expect(packets.get_by_text("tcp.dstport").first).to_be_visible()
        visit.settled()


def test_every_view_can_be_used_in_light_and_dark_and_on_a_phone(browser: Browser, base: str, capture: str) -> None:
    found: dict[str, list[str]] = {}
    with visiting(browser, base) as visit:
        for path in VIEWS:
            visit.go(path.format(capture=capture))
            for theme in THEMES:
                visit.prefer(theme)
                found[f"{path} {theme}"] = visit.serious_faults()
            visit.page.set_viewport_size(SMALL)
            found[f"{path} phone"] = ["it is wider than the screen"] if visit.is_wider_than_the_screen() else []
            visit.page.set_viewport_size(LARGE)
    assert not any(found.values()), found


def test_a_phone_has_its_navigation_behind_one_button(browser: Browser, base: str) -> None:
    with visiting(browser, base, size=PHONE) as visit:
        visit.go("/captures")
        visit.page.get_by_role("button", name="Captures").click()
        assert not visit.is_wider_than_the_screen()
        assert visit.serious_faults() == []
        visit.page.get_by_role("link", name="Pipeline", exact=True).click()
        expect(visit.page.get_by_role("heading", name="Pipeline", level=1)).to_be_visible()


def test_everything_is_reached_with_the_keyboard_alone(browser: Browser, base: str, capture: str) -> None:
    with visiting(browser, base) as visit:
        page, keys = visit.page, visit.page.keyboard
        visit.go(f"/captures/{capture}")
        keys.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        keys.press("Enter")
        expect(page.locator("main")).to_be_focused()
        keys.press("g")
        keys.press("w")
        expect(page.get_by_role("heading", name="Windows", level=1)).to_be_visible()
        visit.settled()
        page.get_by_role("button", name="Packets").focus()
        keys.press("Enter")
        expect(page.get_by_role("columnheader", name="Packets")).to_have_attribute("aria-sort", "descending")
        expect(page.locator(".table tbody tr").first).to_contain_text("9,255")
        keys.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        keys.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        before = page.evaluate("() => getComputedStyle(document.body.parentElement).backgroundColor")
        keys.press("t")
        assert page.evaluate("() => getComputedStyle(document.body.parentElement).backgroundColor") != before
        page.reload()
        visit.settled()
        assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_the_theme_is_the_systems_until_one_is_chosen_and_is_there_before_the_console(
    browser: Browser, base: str
) -> None:
    colour = "() => getComputedStyle(document.documentElement).backgroundColor"
    with visiting(browser, base) as visit:
        page = visit.page
        visit.go("/captures")
        light = page.evaluate(colour)
        visit.prefer("dark")
        dark = page.evaluate(colour)
        assert dark != light
        page.keyboard.press("t")
        assert page.evaluate(colour) == light
        page.emulate_media(color_scheme="light")
        page.keyboard.press("t")
        page.emulate_media(color_scheme="dark")
        page.emulate_media(color_scheme="light")
        assert page.evaluate(colour) == dark
        page.route("**/assets/index-*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
        page.reload()
        assert page.locator("#app").inner_html() == ""
        assert page.evaluate(colour) == dark


def test_an_address_says_what_is_shown(browser: Browser, base: str, capture: str) -> None:
    with visiting(browser, base) as visit:
        page = visit.page
        visit.go(f"/windows?capture={capture}")
        expect(page.get_by_role("heading", name="31 windows")).to_be_visible()
        page.get_by_role("link", name="9", exact=True).click()
        expect(page.get_by_role("heading", name="Window 9")).to_be_visible()
        page.get_by_role("button", name="Time (UTC)").click()
        page.get_by_role("button", name="Last minute").click()
        expect(page.get_by_role("heading", name="7 windows")).to_be_visible()
        shown = page.url
        assert f"capture={capture}" in shown
        assert "from=" in shown
        page.goto("about:blank")
        page.goto(shown)
        expect(page.get_by_role("heading", name="7 windows")).to_be_visible()
        # The range goes along to other views.
        page.get_by_role("navigation", name="Views").get_by_role("link", name="Now").click()
        assert "from=" in page.url


def test_what_comes_in_shows_by_itself_and_what_is_kept_is_bounded(
    browser: Browser, base: str, stack: Stack, capture: str, sample: Path
) -> None:
    with visiting(browser, base) as visit:
        page = visit.page
        visit.go("/")
        expect(page.get_by_text("listening")).to_be_visible()
        before = page.get_by_role("main").get_by_role("link", name="mixed.pcap").get_attribute("href")
        counts = []
        # Each of them brings 300 s of traffic within a moment.
        for _ in range(3):
            newest = stack.compute(sample, force=True)["capture_id"]
            expect(page.locator(f"main a[href*='{newest}']").first).to_be_visible()
            expect(page.get_by_text("04:52:42")).to_be_visible()
            found = stack.remote.get("/api/anomalies/", capture=newest, limit=1)["total"]
            expect(page.locator(".feed li")).to_have_count(min(MOST_ANOMALIES, found), timeout=SHOWN_MS)
            flows = stack.remote.get("/api/classifications/summary", capture=newest)["flows"]
            expect(page.get_by_text(f"Of {flows:,} flows judged")).to_be_visible(timeout=SHOWN_MS)
            visit.settled()
            counts.append(page.evaluate("() => document.querySelectorAll('*').length"))
            points = page.locator(".chart [role=img]").first.get_attribute("data-points")
            assert points == "31"
        assert page.get_by_role("main").get_by_role("link", name="mixed.pcap").get_attribute("href") != before
        assert max(counts[1:]) <= counts[0] * 1.1, counts


def test_a_file_that_is_no_capture_is_refused_in_plain_words(browser: Browser, base: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.pcap"
    text.write_text("these are not packets")
    with visiting(browser, base) as visit:
        visit.go("/captures")
        visit.page.locator("#capture-file").set_input_files(text)
        expect(visit.page.get_by_role("alert")).to_contain_text("This is not a capture file")
        # The browser itself notes every answer that is an error.
        visit.faults = [fault for fault in visit.faults if "400" not in fault]


def test_a_key_is_asked_for_when_the_api_wants_one(browser: Browser, session_store: Store, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, read_needs_key=True, local_needs_key=True)
    with running(settings, session_store) as api, visiting(browser, str(api.http.base_url).rstrip("/")) as visit:
        page = visit.page
        page.goto(f"{visit.base}/console/captures")
        dialog = page.get_by_role("dialog", name="A key is needed")
        expect(dialog).to_be_visible()
        assert visit.serious_faults() == []
        dialog.get_by_label("Key").fill(make_key(api.settings, Scope.READ))
        dialog.get_by_role("button", name="Use it").click()
        expect(page.get_by_role("heading", name="Listen on an interface")).to_be_visible()
        visit.settled()
        expect(page.get_by_role("dialog")).to_have_count(0)
        # The browser itself notes every answer that is an error.
        visit.faults = [fault for fault in visit.faults if "401" not in fault]


def test_a_page_of_an_older_build_says_that_it_is_out_of_date(browser: Browser, base: str) -> None:
    with visiting(browser, base) as visit:
        visit.go("/captures")
        # What a new build does to the files of the old one.
        visit.page.route("**/assets/pipeline-*", lambda route: route.abort())
        visit.page.get_by_role("link", name="Pipeline").click()
        expect(visit.page.get_by_role("heading", name="This page is out of date")).to_be_visible()
        visit.page.unroute("**/assets/pipeline-*")
        visit.page.get_by_role("button", name="Load it again").click()
        expect(visit.page.get_by_role("heading", name="Pipeline", level=1)).to_be_visible()
        visit.settled()
        visit.faults = [fault for fault in visit.faults if "ERR_FAILED" not in fault]


def test_a_live_capture_that_cannot_begin_says_why_in_plain_words(
    browser: Browser, session_store: Store, tmp_path: Path
) -> None:
    with (
        running(settings_in(tmp_path, mode="live"), session_store) as api,
        visiting(browser, str(api.http.base_url).rstrip("/")) as visit,
    ):
        visit.go("/captures")
        visit.page.get_by_role("textbox", name="Interface").fill("nosuch0")
        visit.page.get_by_role("button", name="Start").click()
        expect(visit.page.get_by_role("alert")).to_contain_text("No interface has this name. There are:")
        # The browser itself notes every answer that is an error.
        visit.faults = [fault for fault in visit.faults if "400" not in fault]
