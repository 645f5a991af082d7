"""ClickHouse's HTTP interface over an embedded engine, as far as clickhouse-connect uses it: a server for tests.

``python clickhouse_http.py FOLDER`` prints its port. The engine, its SQL and its formats are ClickHouse's own; of the
protocol there is what the driver needs: https://clickhouse.com/docs/interfaces/http.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import clickhouse_connect
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

_NOT_SETTINGS = {"database", "query", "default_format", "session_id", "query_id", "enable_http_compression", "role"}
_INSERT = re.compile(r"\s*INSERT\s+INTO\s+(\S+)\s*(?:\((.*?)\))?\s+FORMAT\s+(\w+)\s*$", re.IGNORECASE | re.DOTALL)
_INSERT_IN_BODY = re.compile(rb"(INSERT INTO [^\n]*FORMAT \w+)\n")


def unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    if encoding in ("gzip", "deflate"):
        return gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body)
    assert not encoding, encoding
    return body


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    path_of_engine = ""
    lock = threading.Lock()
    clients: ClassVar[dict[str, Client]] = {}

    @classmethod
    def client_of(cls, database: str) -> Client:
        if database not in cls.clients:
            made = clickhouse_connect.get_client(interface="chdb", path=cls.path_of_engine, database=database)
            cls.clients[database] = made
        return cls.clients[database]

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(unpacked(body, self.headers.get("Content-Encoding", "")))

    def _answer(self, body: bytes) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        # Scalars only: the engine's own client escapes them again.
        values = {name[6:]: re.sub(r"\\(.)", r"\1", v) for name, v in asked.items() if name.startswith("param_")}
        settings = {n: v for n, v in asked.items() if n not in _NOT_SETTINGS and not n.startswith("param_")}
        database = asked.get("database") or self.headers.get("X-ClickHouse-Database") or "default"
        if "query" in asked:
            sql, data = asked["query"], body
        elif found := _INSERT_IN_BODY.match(body):
            sql, data = found[1].decode(), body[found.end() :]
        else:
            sql, data = body.decode(), b""
        status, summary, content = 200, {}, b""
        with self.lock:
            try:
                client = self.client_of(database)
                if insert := _INSERT.match(sql):
                    names = [name.strip(" `") for name in insert[2].split(",")] if insert[2] else None
                    done = client.raw_insert(insert[1].strip("`"), names, data, settings=settings, fmt=insert[3])
                    summary = done.summary
                else:
                    content = client.raw_query(sql, parameters=values or None, settings=settings)
            except ClickHouseError as error:
                status, content = 500, str(error).encode()
        self.send_response(status)
        if status == 500:
            code = re.search(rb"Code: (\d+)", content)
            self.send_header("X-ClickHouse-Exception-Code", code[1].decode() if code else "0")
        self.send_header("X-ClickHouse-Summary", json.dumps(summary))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    Handler.path_of_engine = sys.argv[1]
    Handler.client_of("default")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
