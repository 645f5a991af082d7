"""Somebody who browses: pages and what belongs to them over connections that are kept, with pauses for reading.

With ``--short`` each request has a connection of its own, as programs do that ask an API every few seconds.
"""

from __future__ import annotations

import argparse
import http.client
import random
import time
from urllib.parse import urlencode

_PAGES = (
    *("/", "/1k.bin", "/10k.bin", "/100k.bin", "/gone.html"),
    *("/app/item?id=7", "/app/search?q=lamp", "/app/login", "/app/report"),
)
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "python-requests/2.32.3",
    "okhttp/4.12.0",
)


def main() -> None:
    """Browse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--pause-s", type=float, default=1.0)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    headers = _headers(chance)
    connection = http.client.HTTPConnection(given.host, given.port, timeout=15)
    for number in range(given.count):
        if number:
            time.sleep(chance.expovariate(1 / given.pause_s))
        try:
            _ask(connection, headers, chance)
        except (http.client.HTTPException, OSError):
            # The server has closed a connection that was quiet for too long; a browser opens another.
            connection.close()
        if given.short:
            connection.close()
    connection.close()


def _headers(chance: random.Random) -> dict[str, str]:
    headers = {"User-Agent": chance.choice(_AGENTS)}
    if chance.random() < 0.7:
        headers |= {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "en-GB,en;q=0.7"}
    if chance.random() < 0.6:
        headers["Cookie"] = f"session={chance.getrandbits(8 * chance.randint(8, 90)):x}"
    return headers


def _ask(connection: http.client.HTTPConnection, headers: dict[str, str], chance: random.Random) -> None:
    if chance.random() < 0.12:
        body = urlencode({"user": "lab", "note": "n" * chance.randint(5, 900)})
        form = headers | {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/app/login", body=body, headers=form)
    else:
        connection.request(chance.choice(["GET"] * 9 + ["HEAD"]), chance.choice(_PAGES), headers=headers)
    connection.getresponse().read()


if __name__ == "__main__":
    main()
