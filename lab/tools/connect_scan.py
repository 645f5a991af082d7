"""A scan that opens connections, with the system's own sockets and many threads."""

from __future__ import annotations

import argparse
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress


def main() -> None:
    """Try ports in an order by chance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int, default=300)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    ports = list(range(given.first, given.last + 1))
    random.Random(given.seed).shuffle(ports)
    with ThreadPoolExecutor(given.threads) as pool:
        for port in ports:
            pool.submit(_try, given.host, port)
            time.sleep(1 / given.rate)


def _try(host: str, port: int) -> None:
    # Refused, which is what most ports say.
    with suppress(OSError):
        socket.create_connection((host, port), timeout=1).close()


if __name__ == "__main__":
    main()
