"""A small web application with the classic holes, reachable only inside the lab's namespaces.

``/login`` builds SQL from what it is given, ``/item`` too, and ``/search`` echoes its query unescaped. ``/report``
takes its time and does one at a time: who asks when others do waits in a queue. It listens on loopback; nginx stands
in front.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_REPORTING = threading.Lock()
_MEDIAN_WORK_S, _MOST_WORK_S = 0.03, 1.5


def _database() -> sqlite3.Connection:
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE users (id INTEGER, name TEXT, password TEXT)")
    base.execute("CREATE TABLE items (id INTEGER, title TEXT, price REAL)")
    base.executemany("INSERT INTO users VALUES (?, ?, ?)", [(1, "admin", "s3cret-77"), (2, "alice", "wonder")])
    base.executemany("INSERT INTO items VALUES (?, ?, ?)", [(i, f"item {i}", i * 1.5) for i in range(1, 200)])
    return base


class Handler(BaseHTTPRequestHandler):
    """Answers the pages of the application."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve ``/item?id=``, ``/search?q=`` and ``/report``."""
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path == "/item":
            self._answer(*_rows(f"SELECT id, title, price FROM items WHERE id = {query.get('id', '0')}"))
        elif address.path == "/search":
            self._answer(200, f"<h1>Results for {query.get('q', '')}</h1><p>None.</p>")
        elif address.path == "/report":
            with _REPORTING:
                time.sleep(min(_MEDIAN_WORK_S * random.lognormvariate(0, 1), _MOST_WORK_S))
            self._answer(200, f"<p>{'#' * random.randint(10, 9000)}</p>")
        elif address.path == "/login":
            self._answer(200, "<form method=post><input name=user><input name=password></form>")
        else:
            self._answer(404, "<h1>Not here</h1>")

    def do_POST(self) -> None:
        """Serve the login form."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode(errors="replace")
        form = {name: values[0] for name, values in parse_qs(body).items()}
        user, password = form.get("user", ""), form.get("password", "")
        status, text = _rows(f"SELECT id, name FROM users WHERE name = '{user}' AND password = '{password}'")
        if status == 200 and "<td>" not in text:
            self._answer(200, "<h1>Login incorrect</h1>")
        else:
            self._answer(status, f"<h1>Welcome</h1>{text}")

    def _answer(self, status: int, text: str) -> None:
        data = f"<html><body>{text}</body></html>\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: nginx keeps the access log."""


def _rows(sql: str) -> tuple[int, str]:
    """Run SQL on a fresh database; return status and table. The error text leaks, as it does in the wild."""
    base = _database()
    try:
        rows = base.execute(sql).fetchall()
    except sqlite3.Error as error:
        return 500, f"<pre>{error} in {sql}</pre>"
    finally:
        base.close()
    cells = ("".join(f"<td>{value}</td>" for value in row) for row in rows)
    return 200, f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
