"""Rows of honeypots' logs, as the queries return them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from schemas.honeypots import HoneypotType, LogAction


class HoneypotLogRow(BaseModel):
    """One line; see ``schemas.honeypots.STORED_LOG_COLUMNS``. Addresses are texts, ``data`` is JSON."""

    model_config = ConfigDict(frozen=True)

    honeypot_type: HoneypotType
    read_id: str
    log_id: int
    ts_ns: int
    source_ip: str
    source_port: int
    destination_port: int
    protocol: str
    sensor: str
    session: str
    event: str
    action: LogAction
    level: str
    username: str
    password: str
    command: str
    message: str
    data: str


class HoneypotRow(BaseModel):
    """What the store has of one type of honeypot."""

    model_config = ConfigDict(frozen=True)

    honeypot_type: HoneypotType
    lines: int
    sources: int
    lines_24h: int
    sources_24h: int
    logins_24h: int
    commands_24h: int
    first_heard_ns: int
    last_heard_ns: int
    """0 when nothing of a time before now is there."""


class DeadLetterRow(BaseModel):
    """One malformed line; see ``schemas.honeypots.DEAD_LETTER_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    letter_id: int
    read_ns: int
    read_id: str
    file: str
    line: int
    reason: str
    size_bytes: int
    text: str
