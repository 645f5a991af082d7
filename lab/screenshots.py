"""``python -m lab.screenshots``: pictures of the console for its page, from a real run.

A stack of its own reads the bundled capture; Chromium opens the views at the size of a desktop, in both themes, and
one at the size of a phone. The pictures are palette PNGs, so that all of them together stay small.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import click
import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from infra.ports import is_free
from lab.errors import LabError
from lab.network import REPOSITORY

SAMPLE = REPOSITORY / "samples" / "mixed.pcap.gz"
FOLDER = REPOSITORY / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
SIZES = {"desktop": (1280, 860), "phone": (390, 780)}
MAX_BYTES = 250_000
START_S = 90.0
COLOURS = 128
"""Of a picture's palette: more than a page without photographs has, but for the edges of letters."""


@dataclass(frozen=True)
class Shot:
    """One picture.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    view : str
        Path below ``/console``; ``{scan}``, ``{flow}``, ``{capture}`` and ``{model}`` stand for what the run found.
    theme : str
        ``light`` or ``dark``.
    size : str
        Key of ``SIZES``.
    """

    name: str
    view: str
    theme: Literal["light", "dark"] = "light"
    size: str = "desktop"


SHOTS = (
    Shot("console-now", "/"),
    Shot("console-now-dark", "/", "dark"),
    Shot("console-anomalies", "/anomalies"),
    Shot("console-anomaly", "/anomalies/{scan}"),
    Shot("console-anomaly-dark", "/anomalies/{scan}", "dark"),
    Shot("console-anomaly-phone", "/anomalies/{scan}", size="phone"),
    Shot("console-flows", "/flows"),
    Shot("console-flow", "/flows/{flow}"),
    Shot("console-host-dark", "/hosts/10.77.0.66", "dark"),
    Shot("console-capture", "/captures/{capture}"),
    Shot("console-models", "/models/{model}"),
    Shot("console-defence", "/defence?ip=10.77.0.66&capture={capture}"),
    Shot("console-pipeline", "/pipeline"),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=FOLDER, show_default="docs/images")
@click.option("--chromium", default=CHROMIUM, show_default=True, help="Program to open the views with.")
@click.option("--only", default="", help="Only pictures whose name has this in it.")
def main(out: Path, chromium: str, only: str) -> None:
    """Take pictures of the console's views, showing the bundled capture."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as base, sync_playwright() as playwright:
        found = analysed(base)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for shot in (shot for shot in SHOTS if only in shot.name):
            path = out / f"{shot.name}.png"
            path.write_bytes(packed(taken(browser, base, shot, found)))
            print(f"{path.stat().st_size / 1000:6.0f} kB  {path.relative_to(out.parent)}")
            if path.stat().st_size > MAX_BYTES:
                raise LabError(f"{path.name} is larger than {MAX_BYTES / 1000:.0f} kB")
        browser.close()


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start a stack with its state in a folder; yield its address, and stop it."""
    port = next(port for port in range(18_900, 19_900) if is_free(port))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPANWATCH_")},
        "SPANWATCH_STATE": str(folder / "state"),
        "SPANWATCH_PORTS": str(port),
        "SPANWATCH_DATA_ROOTS": str(SAMPLE.parent),
    }
    with (folder / "up.log").open("wb") as log:
        stack = subprocess.Popen(
            [sys.executable, "-m", "spanwatch", "up"], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            base = f"http://127.0.0.1:{port}"
            wait_until_up(base, stack)
            yield base
        finally:
            stack.send_signal(signal.SIGINT)
            stack.wait(60)


def wait_until_up(base: str, stack: subprocess.Popen[bytes]) -> None:
    """Wait until the API answers; raises ``LabError`` when it does not."""
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and stack.poll() is None:
        try:
            if httpx.get(f"{base}/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise LabError("the stack does not answer: see `spanwatch up`")


def analysed(base: str) -> dict[str, str]:
    """Analyse the bundled capture; return the ids of what the pictures show."""
    with httpx.Client(base_url=base, timeout=300) as http:

        def read(path: str, **asked: Any) -> Any:
            return http.get(path, params=asked).raise_for_status().json()

        computed = http.post("/api/metrics/compute", json={"pcap_file": SAMPLE.name}).raise_for_status().json()
        scans = read("/api/anomalies/", type="port_scan", source_ip="10.77.0.66")["anomalies"]
        attacks = read("/api/classifications/", is_attack=True, order="confidence", limit=1000)["classifications"]
        flow = next(verdict for verdict in attacks if verdict["reasons"] and verdict["packets"] > 10)
        return {
            "capture": computed["capture_id"],
            "scan": scans[0]["anomaly_id"],
            "flow": flow["flow_id"],
            "model": read("/api/models")["champion"],
        }


def taken(browser: Browser, base: str, shot: Shot, found: dict[str, str]) -> bytes:
    """Return the picture of a view as Chromium makes it."""
    width, height = SIZES[shot.size]
    context = browser.new_context(
        color_scheme=shot.theme, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"{base}/console{shot.view.format(**found)}")
    settle(page)
    picture = page.screenshot()
    context.close()
    return picture


def settle(page: Page) -> None:
    """Wait until a view is there, and nothing in it is loading."""
    page.locator("main h1").first.wait_for()
    page.wait_for_function("() => !document.querySelector('.state-loading, [aria-busy=true]')")
    page.wait_for_timeout(500)


def packed(picture: bytes) -> bytes:
    """Return a PNG with a palette instead of 24 bits a pixel."""
    image = Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
