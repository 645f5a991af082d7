"""Answers about honeypots: what was logged, what each type has told, and what nobody understood."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self

import orjson
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.answers import example
from api.errors import iso_of
from api.filters import NS_PER_S
from api.flow_rows import hex_id
from api.honeypot_rows import DeadLetterRow, HoneypotLogRow, HoneypotRow
from api.window_answers import Count
from schemas.honeypots import HoneypotType, LogAction


def iso_of_ns(time_ns: int) -> str:
    """Return a time of rows in the documented form: UTC, microseconds, no zone."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    return iso_of(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000))


_LOG: JsonDict = {
    "log_id": "1508c4e0a3cf7d1b",
    "timestamp": "2026-01-09T17:41:06.493726",
    "source_ip": "192.0.2.7",
    "honeypot_type": "ssh",
    "event": "cowrie.login.failed",
    "data": {"username": "root", "password": "123456", "dst_ip": "10.0.0.5"},
    "level": "INFO",
    "action": "login_failed",
    "time": 1767980466.493726,
    "source_port": 47718,
    "destination_port": 2222,
    "protocol": "ssh",
    "sensor": "trap-1",
    "session": "6d4ed71d8696",
    "username": "root",
    "password": "123456",
    "command": "",
    "message": "login attempt [root/123456] failed",
    "read_id": "01kb2m9t8x7qd4",
}


class HoneypotLogAnswer(BaseModel):
    """One line of a honeypot's log, in the common form with what we add."""

    model_config = example(_LOG)

    log_id: str = Field(description="16 hexadecimal digits: a hash of the line's content.")
    timestamp: str = Field(description="When it happened, as the honeypot says; UTC.")
    source_ip: str = Field(description="Who connected.")
    honeypot_type: HoneypotType
    event: str = Field(description="What happened, as the honeypot names it.")
    data: dict[str, Any] = Field(description="Everything the line says that has no field of its own here.")
    level: str = Field(description="INFO when the line has none.")
    action: LogAction = Field(description="What happened, under one name for all honeypots.")
    time: float = Field(description="The timestamp in seconds since the epoch.")
    source_port: Count = Field(description="0 when it is not told.")
    destination_port: Count = Field(description="Of the honeypot; 0 when it is not told.")
    protocol: str = Field(description="As the honeypot names it, such as ssh or telnet; may be empty.")
    sensor: str
    session: str = Field(description="Connection, as the honeypot names it; may be empty.")
    username: str
    password: str
    command: str = Field(description="Command or request; empty when there is none.")
    message: str
    read_id: str = Field(description="The reading of files that brought it first.")

    @classmethod
    def of(cls, row: HoneypotLogRow) -> Self:
        """Return the answer for a row of the store."""
        return cls.model_validate(
            {
                **row.model_dump(exclude={"ts_ns"}),
                "log_id": hex_id(row.log_id),
                "timestamp": iso_of_ns(row.ts_ns),
                "time": row.ts_ns / NS_PER_S,
                "data": orjson.loads(row.data),
            }
        )


class HoneypotLogsAnswer(BaseModel):
    """A page of lines."""

    model_config = example(
        {
            "count": 1,
            "total": 18240,
            "total_by_type": {"ssh": 18240, "http": 0, "ftp": 0, "asyncssh": 0},
            "offset": 0,
            "limit": 1,
            "next_cursor": "n..1767980466493726000.1508c4e0a3cf7d1b",
            "logs": [_LOG],
        }
    )

    count: Count
    total: Count = Field(description="All that the filters let through.")
    total_by_type: dict[HoneypotType, int] = Field(description="The same by type of honeypot.")
    offset: Count
    limit: Count
    next_cursor: str | None = Field(description="Send it as `cursor` for what follows; null when nothing does yet.")
    logs: list[HoneypotLogAnswer]


_HONEYPOT: JsonDict = {
    "honeypot_type": "ssh",
    "is_active": True,
    "last_heard": "2026-01-09T17:41:06.493726",
    "first_heard": "2026-01-02T03:12:44.120000",
    "lines": 18240,
    "sources": 41,
    "last_24h": {"lines": 2210, "sources": 7, "logins": 1480, "commands": 96},
}


class LastDayAnswer(BaseModel):
    """What a type of honeypot has told of the last 24 hours."""

    lines: Count
    sources: Count = Field(description="Addresses that connected.")
    logins: Count = Field(description="Lines about an attempt to log in, failed or not.")
    commands: Count


class HoneypotAnswer(BaseModel):
    """One type of honeypot."""

    model_config = example(_HONEYPOT)

    honeypot_type: HoneypotType
    is_active: bool = Field(description="Whether it was heard from in the last 24 hours, by the time of its lines.")
    last_heard: str | None = Field(description="Time of its newest line; lines of the future left out. UTC.")
    first_heard: str
    lines: Count
    sources: Count = Field(description="Addresses that connected.")
    last_24h: LastDayAnswer

    @classmethod
    def of(cls, row: HoneypotRow) -> Self:
        """Return the answer for what the store has."""
        recent = {"sources": row.sources_24h, "logins": row.logins_24h, "commands": row.commands_24h}
        return cls(
            honeypot_type=row.honeypot_type,
            is_active=row.lines_24h > 0,
            last_heard=iso_of_ns(row.last_heard_ns) if row.last_heard_ns else None,
            first_heard=iso_of_ns(row.first_heard_ns),
            lines=row.lines,
            sources=row.sources,
            last_24h=LastDayAnswer(lines=row.lines_24h, **recent),
        )


class HoneypotsAnswer(BaseModel):
    """The types of honeypots that have been heard from."""

    model_config = example({"count": 1, "active": 1, "honeypots": [_HONEYPOT], "dead_letters": 3})

    count: Count
    active: Count = Field(description="Types heard from in the last 24 hours.")
    honeypots: list[HoneypotAnswer]
    dead_letters: Count = Field(description="Lines that could not be understood.")


_LETTER: JsonDict = {
    "letter_id": "0011223344556677",
    "read": "2026-01-09T17:41:06.493726",
    "read_id": "01kb2m9t8x7qd4",
    "file": "/var/log/cowrie/cowrie.json",
    "line": 17,
    "reason": "it is not JSON: unexpected end of data at column 120",
    "size_bytes": 119,
    "text": '{"eventid":"cowrie.login.failed","username":"ro',
}


class DeadLetterAnswer(BaseModel):
    """A line that could not be understood."""

    model_config = example(_LETTER)

    letter_id: str = Field(description="16 hexadecimal digits: a hash of the line.")
    read: str = Field(description="When it was read last; UTC.")
    read_id: str = Field(description="The reading of files that brought it last.")
    file: str
    line: Count = Field(description="Number of the line in the file, from 1.")
    reason: str
    size_bytes: Count = Field(description="Length of the line.")
    text: str = Field(description="Its first 4,096 bytes; what is not UTF-8 as \\xNN.")

    @classmethod
    def of(cls, row: DeadLetterRow) -> Self:
        """Return the answer for a row of the store."""
        told = {"letter_id": hex_id(row.letter_id), "read": iso_of_ns(row.read_ns)}
        return cls.model_validate({**row.model_dump(exclude={"read_ns"}), **told})


class DeadLettersAnswer(BaseModel):
    """A page of lines that could not be understood, those read last first."""

    model_config = example(
        {"count": 1, "total": 3, "offset": 0, "limit": 100, "next_cursor": None, "dead_letters": [_LETTER]}
    )

    count: Count
    total: Count
    offset: Count
    limit: Count
    next_cursor: str | None = Field(description="Send it as `cursor` for what follows; null when nothing does.")
    dead_letters: list[DeadLetterAnswer]
