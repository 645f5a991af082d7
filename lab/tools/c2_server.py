"""The server an infected host reports to: hands out a task now and then, and takes results."""

from __future__ import annotations

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Every fifth question is answered with a task, the others with an empty answer."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        """Answer a beacon."""
        Handler.asked += 1
        self._answer(b'{"task": "screenshot"}' if Handler.asked % 5 == 0 else b"{}")

    def do_POST(self) -> None:
        """Take a result."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(b"ok")

    def _answer(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


class Server(ThreadingHTTPServer):
    """Listens on both address families."""

    address_family = socket.AF_INET6


if __name__ == "__main__":
    Server(("::", int(sys.argv[1])), Handler).serve_forever()
