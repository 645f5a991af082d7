"""A trojan and its maker: a download, then a connection back over which commands are sent and answered.

The commands are only words on the wire; nothing is executed.
"""

from __future__ import annotations

import argparse
import http.client
import random
import socket
import socketserver
import threading
import time

_DIALOGUE = (
    ("whoami", b"alice\n"),
    ("ip addr", b"2: eth0 inet 10.77.0.21/24\n" * 6),
    ("ls -la /home", b"-rw-r--r-- 1 alice alice 4096 notes.txt\n" * 40),
    ("cat notes.txt", b"the vault is behind the picture\n" * 60),
)
_TROJAN_BYTES = 60_000


class Shell(socketserver.StreamRequestHandler):
    """Sends the commands and reads the answers."""

    def handle(self) -> None:
        """Talk to one implant."""
        for command, _ in _DIALOGUE:
            time.sleep(0.4)
            self.wfile.write(f"{command}\n".encode())
            while self.rfile.readline() not in (b".\n", b""):
                pass
        self.wfile.write(b"exit\n")


class Download(socketserver.StreamRequestHandler):
    """Serves the trojan to whatever asks."""

    def handle(self) -> None:
        """Answer one request."""
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {_TROJAN_BYTES}\r\nConnection: close\r\n\r\n"
        self.wfile.write(head.encode() + random.Random(4444).randbytes(_TROJAN_BYTES))


def handler(shell_port: int, download_port: int) -> None:
    """Wait for implants."""
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    download = socketserver.ThreadingTCPServer(("0.0.0.0", download_port), Download)
    threading.Thread(target=download.serve_forever, daemon=True).start()
    socketserver.ThreadingTCPServer(("0.0.0.0", shell_port), Shell).serve_forever()


def implant(host: str, shell_port: int, download_port: int) -> None:
    """Fetch the trojan, connect back and answer commands until told to leave."""
    connection = http.client.HTTPConnection(host, download_port, timeout=5)
    connection.request("GET", "/update.bin")
    connection.getresponse().read()
    connection.close()
    with socket.create_connection((host, shell_port), timeout=5) as control, control.makefile("rwb") as lines:
        answers = dict(_DIALOGUE)
        while (command := lines.readline().decode().strip()) not in ("", "exit"):
            lines.write(answers[command] + b".\n")
            lines.flush()


def main() -> None:
    """Be one or the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    roles = parser.add_subparsers(dest="role", required=True)
    for role in ("handler", "implant"):
        sub = roles.add_parser(role)
        if role == "implant":
            sub.add_argument("host")
        sub.add_argument("shell_port", type=int)
        sub.add_argument("download_port", type=int)
    given = parser.parse_args()
    if given.role == "handler":
        handler(given.shell_port, given.download_port)
    else:
        implant(given.host, given.shell_port, given.download_port)


if __name__ == "__main__":
    main()
