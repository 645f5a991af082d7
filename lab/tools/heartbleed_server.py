"""A TLS responder that answers heartbeats as OpenSSL 1.0.1 to 1.0.1f did (CVE-2014-0160).

It greets like TLS 1.0 with the heartbeat extension (RFC 6520) and stops there: it has no key, and what it
"leaks" is filler. That is all a scanner asks of it, and the packets look the same.
"""

from __future__ import annotations

import random
import socketserver
import struct
import sys

_HANDSHAKE, _HEARTBEAT, _TLS_1_0 = 22, 24, b"\x03\x01"
_CHUNK_BYTES = 16_384  # RFC 5246 6.2.1: longest record


def greeting() -> bytes:
    """Return ServerHello with the heartbeat extension, Certificate and ServerHelloDone."""
    filler = random.Random(5246)
    extension = b"\x00\x0f\x00\x01\x01"  # RFC 6520: heartbeat, peer allowed to send
    hello = _TLS_1_0 + filler.randbytes(32) + b"\x00" + b"\x00\x2f" + b"\x00"
    hello += struct.pack(">H", len(extension)) + extension
    certificate = filler.randbytes(800)
    chain = len(certificate).to_bytes(3) + certificate
    messages = [(2, hello), (11, len(chain).to_bytes(3) + chain), (14, b"")]
    return b"".join(_record(_HANDSHAKE, bytes([kind]) + len(body).to_bytes(3) + body) for kind, body in messages)


def answer(request: bytes) -> bytes:
    """Return what the faulty library sends back: as many bytes as the request claims to hold."""
    claimed = int.from_bytes(request[1:3])
    body = b"\x02" + request[1:3] + request[3:] + bytes(max(0, claimed - len(request) + 3)) + bytes(16)
    pieces = [body[at : at + _CHUNK_BYTES] for at in range(0, len(body), _CHUNK_BYTES)]
    return b"".join(_record(_HEARTBEAT, piece) for piece in pieces)


def _record(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _TLS_1_0 + struct.pack(">H", len(body)) + body


class Handler(socketserver.StreamRequestHandler):
    """Reads records until the other side has enough."""

    def handle(self) -> None:
        """Greet the first handshake record, answer every heartbeat."""
        has_greeted = False
        while len(header := self.rfile.read(5)) == 5:
            body = self.rfile.read(int.from_bytes(header[3:5]))
            if header[0] == _HANDSHAKE and not has_greeted:
                self.wfile.write(greeting())
                has_greeted = True
            elif header[0] == _HEARTBEAT:
                self.wfile.write(answer(body))


class Server(socketserver.ThreadingTCPServer):
    """Listens on IPv4."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
