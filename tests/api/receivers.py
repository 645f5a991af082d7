"""Real servers that messages are sent to: a webhook and a mail server, on free ports of this machine."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook(ThreadingHTTPServer):
    """Keeps what was posted to it; answers with the statuses it was given, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.posted: list[dict[str, Any]] = []
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        """Its apprise URL, with a secret in it."""
        return f"json://user:hunter2secret@127.0.0.1:{self.server_port}/T0PSECRETPATH"

    @property
    def titles(self) -> list[str]:
        """Titles of what has arrived."""
        return [str(body["title"]) for body in self.posted]


class _Post(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.posted.append(body)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


class MailServer(socketserver.ThreadingTCPServer):
    """Takes every mail (RFC 5321, the commands that a client cannot do without)."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[str] = []

    @property
    def url(self) -> str:
        """Its apprise URL."""
        port = self.server_address[1]
        return f"mailto://127.0.0.1:{port}?from=probe@example.org&to=people@example.org&mode=insecure"


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            command = line[:4].upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(part.decode())
                self.server.mails.append("".join(lines))
            if command == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
