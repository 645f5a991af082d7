"""How soon the console can be used, and what its moving view costs a browser that stays open.

``python -m benchmarks.console --url http://127.0.0.1:8000`` asks a stack that runs and has captures. Every view is
opened ``--rounds`` times in a browser without a cache: how long from the address to its heading, when everything can be
pressed, and until nothing in it is loading. With ``--minutes`` the view of what happens now stays open so long, and
the heap and the elements that are left after a garbage collection are told: something should be coming in, a live
capture or, with ``--compute FILE``, that file computed again and again.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
import httpx
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.processes import MIB

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
VIEWS = ("/", "/anomalies", "/windows", "/flows", "/hosts", "/captures", "/defence", "/models", "/pipeline")
LOOK_S = 15.0
COMPUTE_S = 10.0

# Noted in the page itself, so that the time it takes to ask is not in it.
_WATCH = """
const watch = new MutationObserver(() => {
  window.seen ??= {};
  const heading = document.querySelector("main h1");
  if (heading && !seen.usable) seen.usable = performance.now();
  if (heading && !document.querySelector(".state-loading, [aria-busy=true]")) seen.settled ??= performance.now();
  else delete seen.settled;
});
watch.observe(document, {childList: true, subtree: true, attributes: true});
"""
_IS_SETTLED = "() => window.seen?.settled && performance.now() - seen.settled > 200"


@dataclass(frozen=True)
class Opened:
    """How long a view took, ms after its address was asked for."""

    usable_ms: float
    settled_ms: float


@dataclass(frozen=True)
class Cost:
    """What the page holds after a garbage collection."""

    heap_mib: float
    elements: int
    listeners: int
    windows: int


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Browser, address: str) -> Opened:
    """Open a view in a browser that remembers nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.goto(address)
        page.wait_for_function(_IS_SETTLED)
        seen = page.evaluate("() => seen")
        return Opened(seen["usable"], seen["settled"])
    finally:
        context.close()


def cost(page: Page, session: CDPSession) -> Cost:
    """Collect garbage and look at what is left."""
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")
    counters = session.send("Memory.getDOMCounters")
    said = page.locator(".chart [role=img]").first.get_attribute("data-points")
    return Cost(heap["usedSize"] / MIB, counters["nodes"], counters["jsEventListeners"], int(said or 0))


def soak(browser: Browser, url: str, minutes: float, compute: str | None, capture: str) -> Iterator[tuple[float, Cost]]:
    """Keep the moving view open; yield the minutes and what it costs, every quarter of a minute."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{url}/console/?capture={capture}" if capture else f"{url}/console/")
    page.locator(".chart").first.wait_for()
    session = context.new_cdp_session(page)
    began_s = computed_s = time.monotonic()
    while (gone_s := time.monotonic() - began_s) < 60 * minutes:
        yield gone_s / 60, cost(page, session)
        if compute and time.monotonic() - computed_s >= COMPUTE_S:
            httpx.post(f"{url}/api/metrics/compute", json={"pcap_file": compute, "force": True}, timeout=120)
            computed_s = time.monotonic()
        page.wait_for_timeout(1000 * LOOK_S)
    yield (time.monotonic() - began_s) / 60, cost(page, session)
    context.close()


@click.command()
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Address of the API.")
@click.option("--rounds", default=5, show_default=True, help="How often each view is opened.")
@click.option("--minutes", default=0.0, help="How long the moving view is watched.")
@click.option("--compute", metavar="FILE", help="A capture to compute again and again meanwhile.")
@click.option("--capture", default="", metavar="ID", help="Which is watched; the newest else.")
def main(url: str, rounds: int, minutes: float, compute: str | None, capture: str) -> None:
    """Measure the console of a stack that runs."""
    with chromium() as browser:
        opened(browser, f"{url}/console/")
        click.echo("view          usable, ms   settled, ms   (medians; slowest usable)")
        for view in VIEWS if rounds else ():
            found = [opened(browser, f"{url}/console{view}") for _ in range(rounds)]
            usable = statistics.median(one.usable_ms for one in found)
            settled = statistics.median(one.settled_ms for one in found)
            click.echo(f"{view:12} {usable:11.0f} {settled:13.0f}   ({max(one.usable_ms for one in found):.0f})")
        if minutes:
            click.echo("minutes   heap, MiB   elements   listeners   windows drawn")
            for gone, now in soak(browser, url, minutes, compute, capture):
                click.echo(f"{gone:7.2f} {now.heap_mib:11.2f} {now.elements:10} {now.listeners:11} {now.windows:15}")


if __name__ == "__main__":
    main()
