"""What honeypots log: one row per line, whatever honeypot wrote it, and the lines that nobody understands."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

from schemas.columns import Column, arrow_schema
from schemas.packets import IP_ADDRESS


class HoneypotType(StrEnum):
    """Which honeypot a line is of; each has a table of its own."""

    SSH = "ssh"
    """Cowrie, its telnet side included, or another SSH honeypot."""
    HTTP = "http"
    FTP = "ftp"
    ASYNCSSH = "asyncssh"
    """A honeypot made with asyncssh."""

    @property
    def table(self) -> str:
        """Its table in the store."""
        return f"{self.value}_logs"


class LogAction(StrEnum):
    """What happened, under one name for all honeypots."""

    CONNECT = "connect"
    LOGIN_ATTEMPT = "login_attempt"
    """Somebody tried to log in; how it ended is another line."""
    LOGIN_FAILED = "login_failed"
    LOGIN_SUCCESS = "login_success"
    COMMAND = "command"
    """Somebody typed a command."""
    FILE = "file"
    """A file came in, or was fetched from elsewhere."""
    REQUEST = "request"
    """Somebody asked for a page, or for a tunnel to elsewhere."""
    DISCONNECT = "disconnect"
    OTHER = "other"
    """Anything else: versions, key exchanges, terminal sizes …"""


MAX_LINE_BYTES = 1 << 20
"""A longer line is malformed: Cowrie's longest, a command pasted by an attacker, are some 10 kB."""

DEAD_LETTER_BYTES = 4096
"""What is kept of a malformed line."""

_WORDS = "LowCardinality(String)"

LOG_COLUMNS: tuple[Column, ...] = (
    Column("log_id", pa.uint64(), "UInt64", "", "Hash of the line's content: the same event read twice has the same."),
    Column("ts_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "When it happened, as the honeypot says; ns since the Unix epoch, UTC."),
    Column("source_ip", IP_ADDRESS, "IPv6", "ZSTD(1)", "Who connected; IPv4 mapped into IPv6."),
    Column("source_port", pa.uint16(), "UInt16", "ZSTD(1)", "Port of who connected; 0 when it is not told."),
    Column("destination_port", pa.uint16(), "UInt16", "ZSTD(1)", "Port of the honeypot; 0 when it is not told."),
    Column("protocol", pa.string(), _WORDS, "", "Protocol as the honeypot names it, such as ssh or telnet; empty when it is not told."),
    Column("sensor", pa.string(), _WORDS, "", "Name of the honeypot's machine; empty when it is not told."),
    Column("session", pa.string(), "String", "ZSTD(1)", "Connection that the line is of, as the honeypot names it; empty when it is not told."),
    Column("event", pa.string(), _WORDS, "", "What happened, as the honeypot names it."),
    Column("action", pa.string(), _WORDS, "", "What happened, under one name for all honeypots (enum LogAction)."),
    Column("level", pa.string(), _WORDS, "", "Level of the line in capitals; INFO when it is not told."),
    Column("username", pa.string(), "String", "ZSTD(1)", "User name that was tried; empty when there is none."),
    Column("password", pa.string(), "String", "ZSTD(1)", "Password that was tried; empty when there is none."),
    Column("command", pa.string(), "String", "ZSTD(1)", "Command or request that was sent; empty when there is none."),
    Column("message", pa.string(), "String", "ZSTD(1)", "What the honeypot wrote for people; may be empty."),
    Column("data", pa.string(), "String", "ZSTD(3)", "Everything else that the line says, as a JSON object."),
)  # fmt: skip
"""Columns of a batch of lines. What is in ``username``, ``password`` and ``command`` is in ``data`` as well."""

LOG_SCHEMA: pa.Schema = arrow_schema(LOG_COLUMNS)
"""Arrow schema of the messages on ``honeypot-logs``."""

STORED_LOG_COLUMNS: tuple[Column, ...] = (
    Column("read_id", pa.string(), _WORDS, "", "The reading of files that brought it first."),
    *LOG_COLUMNS,
)
"""Columns of ``ssh_logs``, ``http_logs``, ``ftp_logs`` and ``asyncssh_logs``."""

STORED_LOG_SCHEMA: pa.Schema = arrow_schema(STORED_LOG_COLUMNS)
"""Arrow schema of what is inserted."""

DEAD_LETTER_COLUMNS: tuple[Column, ...] = (
    Column("letter_id", pa.uint64(), "UInt64", "", "Hash of the line: read twice, it is kept once."),
    Column("read_ns", pa.int64(), "Int64", "ZSTD(1)", "When it was read last, ns since the Unix epoch, UTC."),
    Column("read_id", pa.string(), _WORDS, "", "The reading of files that brought it last."),
    Column("file", pa.string(), _WORDS, "", "Where it stood, as the command was given it; - for standard input."),
    Column("line", pa.uint64(), "UInt64", "ZSTD(1)", "Number of the line in the file, from 1."),
    Column("reason", pa.string(), "String", "ZSTD(1)", "Why it was not understood."),
    Column("size_bytes", pa.uint64(), "UInt64", "ZSTD(1)", "Length of the line."),
    Column("text", pa.string(), "String", "ZSTD(1)", "Its first 4,096 bytes; what is not UTF-8 as \\xNN."),
)  # fmt: skip
"""Columns of a malformed line, on its topic and in ``honeypot_dead_letters``."""

DEAD_LETTER_SCHEMA: pa.Schema = arrow_schema(DEAD_LETTER_COLUMNS)
"""Arrow schema of the messages on ``honeypot-dead-letters``."""
