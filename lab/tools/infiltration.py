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


class Shell(socketserver.StreamRequestHandler):
    """Sends the commands and reads the answers."""

    def handle(self) -> None:
        """Talk to one implant."""
        for command, _ in _DIALOGUE:
            time.sleep(random.uniform(0.2, 1.2))
            self.wfile.write(f"{command}\n".encode())
            while self.rfile.readline() not in (b".\n", b""):
                pass
        self.wfile.write(b"exit\n")


class Download(socketserver.StreamRequestHandler):
    """Serves the trojan to whatever asks."""

    def handle(self) -> None:
        """Answer one request."""
        wanted = self.rfile.readline().split(b" ")[1].rpartition(b"?")[2]
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {int(wanted)}\r\nConnection: close\r\n\r\n"
        self.wfile.write(head.encode() + random.Random(4444).randbytes(int(wanted)))


def handler(shell_port: int, download_port: int) -> None:
    """Wait for implants."""
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    download = socketserver.ThreadingTCPServer(("0.0.0.0", download_port), Download)
    threading.Thread(target=download.serve_forever, daemon=True).start()
    socketserver.ThreadingTCPServer(("0.0.0.0", shell_port), Shell).serve_forever()


def implant(host: str, shell_port: int, download_port: int, trojan_bytes: int, times: int) -> None:
    """Fetch the trojan, connect back and answer commands until told to leave."""
    connection = http.client.HTTPConnection(host, download_port, timeout=5)
    connection.request("GET", f"/update.bin?{trojan_bytes}")
    connection.getresponse().read()
    connection.close()
    with socket.create_connection((host, shell_port), timeout=5) as control, control.makefile("rwb") as lines:
        answers = dict(_DIALOGUE)
        while (command := lines.readline().decode().strip()) not in ("", "exit"):
            lines.write(answers[command] * times + b".\n")
            lines.flush()


def main() -> None:
    """Be one or the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    roles = parser.add_subparsers(dest="role", required=True)
    for role in ("handler", "implant"):
        sub = roles.add_parser(role)
        if role == "implant":
            sub.add_argument("host")
            sub.add_argument("--trojan-bytes", type=int, default=60_000)
            sub.add_argument("--times", type=int, default=1, help="how often the answers are sent")
        sub.add_argument("shell_port", type=int)
        sub.add_argument("download_port", type=int)
    given = parser.parse_args()
    if given.role == "handler":
        handler(given.shell_port, given.download_port)
    else:
        implant(given.host, given.shell_port, given.download_port, given.trojan_bytes, given.times)


if __name__ == "__main__":
    main()
