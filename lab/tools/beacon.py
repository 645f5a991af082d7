"""An infected host: reports at a fixed interval with a little jitter, and uploads when told to."""

from __future__ import annotations

import argparse
import http.client
import random
import time


def main() -> None:
    """Report `count` times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--interval-s", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    next_s = time.monotonic()
    for number in range(given.count):
        report(given.host, given.port, chance)
        if number + 1 < given.count:
            next_s += given.interval_s * chance.uniform(0.95, 1.05)
            time.sleep(max(0.0, next_s - time.monotonic()))


def report(host: str, port: int, chance: random.Random) -> None:
    """Ask for a task, and send 2-6 kB back if there is one."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    headers = {
        "User-Agent": "Mozilla/4.0 (compatible; MSIE 8.0)",
        "Cookie": f"id={chance.getrandbits(64):016x}",
    }
    connection.request("GET", f"/ping.php?i={chance.getrandbits(32):08x}", headers=headers)
    if b"task" in connection.getresponse().read():
        connection.request("POST", "/upload.php", body=chance.randbytes(chance.randint(2000, 6000)), headers=headers)
        connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    main()
