"""Small talk between clients and servers of the lab: messages over a connection that stays, and datagrams.

``serve`` answers every line with a line, on TCP, and every datagram with one, on UDP. ``chat`` keeps a connection open
and says something now and then, as messengers, brokers and remote desktops do; ``feed`` does, too, and gets no answer,
as sensors do; ``ask`` sends datagrams and waits a moment for each answer, as clocks and management do; ``tell`` waits
for none, as logs do.
"""

from __future__ import annotations

import argparse
import random
import socket
import socketserver
import threading
import time
from contextlib import suppress

_WAIT_S = 2.0


class Lines(socketserver.StreamRequestHandler):
    """Answers each line with one of a length that the line asks for, below 0 with none."""

    def handle(self) -> None:
        """Talk until the other side has had enough."""
        while line := self.rfile.readline():
            wanted = int(line.split(b" ", 1)[0])
            if wanted >= 0:
                self.wfile.write(b"." * wanted + b"\n")


class Datagrams(socketserver.BaseRequestHandler):
    """Sends each datagram back."""

    def handle(self) -> None:
        """Answer one datagram."""
        data, sender = self.request
        if not data.startswith(b"<"):
            sender.sendto(data, self.client_address)


class _Tcp(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


class _Udp(socketserver.ThreadingUDPServer):
    address_family = socket.AF_INET6
    daemon_threads = True


def serve(tcp_ports: list[int], udp_ports: list[int]) -> None:
    """Serve all ports until ended."""
    servers: list[socketserver.BaseServer] = [_Tcp(("::", port), Lines) for port in tcp_ports]
    servers += [_Udp(("::", port), Datagrams) for port in udp_ports]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


def chat(host: str, port: int, count: int, pause_s: float, chance: random.Random) -> None:
    """Say `count` things with pauses of about `pause_s`."""
    with socket.create_connection((host, port), timeout=10) as connection, connection.makefile("rwb") as lines:
        for _ in range(count):
            words = b"x" * int(chance.lognormvariate(3.5, 1.2))
            lines.write(f"{int(chance.lognormvariate(4, 1.5))} ".encode() + words + b"\n")
            lines.flush()
            lines.readline()
            time.sleep(chance.expovariate(1 / pause_s))


def feed(host: str, port: int, count: int, pause_s: float, chance: random.Random) -> None:
    """Send `count` readings of about the same length, as regularly as a clock."""
    size_bytes = chance.choice([6, 20, 60, 180])
    with socket.create_connection((host, port), timeout=10) as connection:
        for _ in range(count):
            connection.sendall(b"-1 " + b"r" * (size_bytes + chance.randint(0, 4)) + b"\n")
            time.sleep(pause_s * chance.uniform(0.95, 1.05))


def ask(host: str, port: int, count: int, pause_s: float, chance: random.Random, *, is_answered: bool = True) -> None:
    """Send `count` datagrams from one port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    size_bytes = chance.choice([48, 60, 90, 160, 400, 1200])
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.settimeout(_WAIT_S)
        for _ in range(count):
            sender.sendto((b"#" if is_answered else b"<") * size_bytes, (host, port))
            if is_answered:
                # Lost, or refused: the next one is asked all the same.
                with suppress(OSError):
                    sender.recv(2048)
            time.sleep(chance.expovariate(1 / pause_s))


def main() -> None:
    """Be one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    roles = parser.add_subparsers(dest="role", required=True)
    server = roles.add_parser("serve")
    server.add_argument("--tcp", type=int, nargs="+", default=[])
    server.add_argument("--udp", type=int, nargs="+", default=[])
    for role in ("chat", "feed", "ask", "tell"):
        client = roles.add_parser(role)
        client.add_argument("host")
        client.add_argument("port", type=int)
        client.add_argument("--count", type=int, default=5)
        client.add_argument("--pause-s", type=float, default=1.0)
        client.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.role == "serve":
        serve(given.tcp, given.udp)
        return
    words = (given.host, given.port, given.count, given.pause_s, random.Random(given.seed))
    if given.role in ("chat", "feed"):
        (chat if given.role == "chat" else feed)(*words)
    else:
        ask(*words, is_answered=given.role == "ask")


if __name__ == "__main__":
    main()
