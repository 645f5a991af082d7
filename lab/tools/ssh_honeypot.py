"""An SSH honeypot: lets one password in, runs nothing, and logs what was tried in the common form.

Usage: python -m lab.tools.ssh_honeypot ADDRESS LOG [--port N] [--password WORD]
"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh


class Journal:
    """The log: one JSON object a line, in the file that has its name at the moment (so that it may be rotated)."""

    def __init__(self, path: Path, port: int) -> None:
        self._path = path
        self._port = port

    def write(self, source_ip: str, event: str, level: str = "INFO", **data: str) -> None:
        """Append a line."""
        line = {
            "timestamp": datetime.now(UTC).isoformat(),
            "source_ip": source_ip,
            "honeypot_type": "asyncssh",
            "port": self._port,
            "event": event,
            "data": data or None,
            "level": level,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Trap(asyncssh.SSHServer):
    """One connection."""

    def __init__(self, journal: Journal, password: str) -> None:
        self._journal = journal
        self._password = password
        self._source_ip = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Log who comes."""
        self._source_ip = conn.get_extra_info("peername")[0]
        self._journal.write(self._source_ip, "connect")

    def connection_lost(self, exc: Exception | None) -> None:
        """Log that they are gone."""
        self._journal.write(self._source_ip, "disconnect")

    def begin_auth(self, username: str) -> bool:
        """Ask for a password."""
        return True

    def password_auth_supported(self) -> bool:
        """Take passwords."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Let one password in, and log every one."""
        is_right = password == self._password
        event, level = ("login_success", "INFO") if is_right else ("login_failed", "ERROR")
        self._journal.write(self._source_ip, event, level, username=username, password=password)
        return is_right


async def _serve(options: argparse.Namespace) -> None:
    journal = Journal(options.log, options.port)

    async def handle(process: asyncssh.SSHServerProcess[Any]) -> None:
        source_ip = process.get_extra_info("peername")[0]
        journal.write(source_ip, "command", cmd=process.command or "")
        process.stdout.write("command not found\n")
        process.exit(127)

    await asyncssh.create_server(
        lambda: Trap(journal, options.password),
        options.address,
        options.port,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-rsa")],
        process_factory=handle,
    )
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("log", type=Path)
    parser.add_argument("--port", type=int, default=2222)
    parser.add_argument("--password", default="letmein")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
