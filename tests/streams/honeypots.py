"""Lines as honeypots write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

COWRIE_LOG = Path(__file__).with_name("cowrie.jsonl")
"""What Cowrie 3.1.4 wrote when hydra, ssh, scp and a telnet client visited it: 67 lines."""


def cowrie(eventid: str = "cowrie.login.failed", **changed: Any) -> bytes:
    """Return a line of Cowrie's, as its documentation describes them."""
    fields = {
        "eventid": eventid,
        "timestamp": "2026-01-05T14:12:33.250000Z",
        "src_ip": "192.0.2.7",
        "session": "6d4ed71d8696",
        "sensor": "trap-1",
        "message": "login attempt [root/123456] failed",
        **changed,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def common(honeypot_type: Any = "ftp", **changed: Any) -> bytes:
    """Return a line in the common form; what is changed to ... is left out."""
    fields = {
        "timestamp": "2026-01-05T14:12:33.250000+00:00",
        "source_ip": "192.0.2.7",
        "honeypot_type": honeypot_type,
        "event": "login_failed",
        "data": {"username": "root", "password": "123456"},
        "level": "ERROR",
        **changed,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()
