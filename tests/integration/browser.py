"""The console in a real Chromium: pages that note what goes wrong in them, and what axe-core finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = (1280, 900)
PHONE = (360, 740)
WAIT_MS = 30_000
"""How long something may take to appear; the machine may be busy."""

Theme = Literal["light", "dark"]

_AXE = Path(__file__).parents[2] / "console" / "node_modules" / "axe-core" / "axe.min.js"
_SERIOUS = ("serious", "critical")
_RUN_AXE = """async (rules) => {
  const only = rules.length ? {runOnly: {type: "rule", values: rules}} : {};
  return (await axe.run(document, {resultTypes: ["violations"], ...only})).violations;
}"""


@dataclass
class Visit:
    """A browser tab on the console of a stack.

    Parameters
    ----------
    page : Page
        The tab.
    base : str
        Address of the API.
    faults : list of str
        What must not happen in it: errors on its console, requests to anybody else.
    """

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a view by its address, and wait until it shows what it loads."""
        self.page.goto(f"{self.base}/console{path}")
        self.settled()

    def settled(self) -> None:
        """Wait until the view is there and nothing in it is loading."""
        self.page.locator("main h1").first.wait_for()
        self.page.wait_for_function("() => !document.querySelector('.state-loading, [aria-busy=true]')")

    def prefer(self, theme: Theme) -> None:
        """Let the system say light or dark, and wait until the page follows."""
        self.page.emulate_media(color_scheme=theme)
        self.page.wait_for_function("(theme) => document.documentElement.dataset.theme === theme", arg=theme)

    def serious_faults(self, *rules: str) -> list[str]:
        """Return what axe-core finds that keeps people out: rule, and the first places; of these rules, else of all."""
        self.page.evaluate(_AXE.read_text(encoding="utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate(_RUN_AXE, list(rules))
        return [
            f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in _SERIOUS
        ]

    def is_wider_than_the_screen(self) -> bool:
        """Whether one has to scroll sideways."""
        return bool(self.page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth"))

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def _note_request(self, request: Request) -> None:
        origin = urlsplit(request.url)
        if origin.scheme not in ("data", "blob") and origin.netloc != urlsplit(self.base).netloc:
            self.faults.append(f"outside request: {request.url}")

    def watch(self) -> None:
        """Begin to note what goes wrong."""
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._note_request)


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Start Chromium; it ends with the context."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


def context_of(browser: Browser, theme: Theme = "light", size: tuple[int, int] = DESKTOP) -> BrowserContext:
    """Return a context of its own: nothing is remembered from another one."""
    context = browser.new_context(
        color_scheme=theme,
        viewport={"width": size[0], "height": size[1]},
        reduced_motion="reduce",
        accept_downloads=True,
    )
    context.set_default_timeout(WAIT_MS)
    return context


@contextmanager
def visiting(browser: Browser, base: str, theme: Theme = "light", size: tuple[int, int] = DESKTOP) -> Iterator[Visit]:
    """Open a tab; nothing must have gone wrong in it when it closes."""
    context = context_of(browser, theme, size)
    try:
        visit = Visit(context.new_page(), base)
        visit.watch()
        yield visit
        assert visit.faults == []
    finally:
        context.close()
