"""Lines of honeypots' logs onto their topics, and what was counted on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from infra.arrow import encode_table
from schemas.errors import WireError
from schemas.honeypots import HoneypotType
from schemas.topics import HONEYPOT_DEAD_LETTERS, HONEYPOT_LOGS, Topic
from streams.honeypot_blocks import LogBlock, parse_block
from streams.wire import KafkaHeaders

MAX_TOLD = 10
"""Malformed lines that a report names."""


@dataclass(frozen=True)
class LogHeader:
    """What travels beside a batch of lines.

    Parameters
    ----------
    read_id : str
        The reading of files that the batch is of.
    seq : int
        Number of the message in its reading, from 0: ``(read_id, seq)`` names it.
    kind : HoneypotType or None
        The honeypot; None for malformed lines.
    """

    read_id: str
    seq: int
    kind: HoneypotType | None

    def to_kafka(self) -> KafkaHeaders:
        """Return the header as Kafka headers."""
        kind = self.kind.value if self.kind else ""
        return [("read_id", self.read_id.encode()), ("seq", str(self.seq).encode()), ("honeypot", kind.encode())]

    @classmethod
    def from_kafka(cls, headers: Mapping[str, bytes]) -> LogHeader:
        """Read the header back.

        Raises
        ------
        WireError
            When a field is missing or malformed.
        """
        try:
            kind = headers["honeypot"].decode()
            return cls(headers["read_id"].decode(), int(headers["seq"]), HoneypotType(kind) if kind else None)
        except (KeyError, ValueError) as error:
            raise WireError(f"lines of honeypots without a usable header: {error}") from error


@dataclass
class ReadCount:
    """What a reading has counted.

    Attributes
    ----------
    lines : int
        That are not blank.
    by_type : Counter of HoneypotType
        Those that were understood.
    reasons : Counter of str
        Those that were not, by the reason up to its first colon.
    told : list of str
        The first of them, with file, line number and reason.
    in_future : int
        Lines whose time lies ahead.
    """

    lines: int = 0
    by_type: Counter[HoneypotType] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    in_future: int = 0

    @property
    def understood(self) -> int:
        """Lines that were understood."""
        return self.by_type.total()

    @property
    def malformed(self) -> int:
        """Lines that were not."""
        return self.reasons.total()

    def add_dead(self, dead: pa.RecordBatch) -> None:
        """Count malformed lines."""
        for letter in dead.select(["file", "line", "reason"]).to_pylist():
            self.reasons[letter["reason"].partition(":")[0]] += 1
            if len(self.told) < MAX_TOLD:
                self.told.append(f"{letter['file']}:{letter['line']}: {letter['reason']}")


Send = Callable[[Topic, bytes, KafkaHeaders], None]
"""Puts a message on a topic."""


def send_nothing(_topic: Topic, _body: bytes, _headers: KafkaHeaders) -> None:
    """Send nothing: for a reading that only looks."""


class LogReading:
    """One reading of files: parses blocks and sends one message for each honeypot in them.

    Parameters
    ----------
    read_id : str
        Names it.
    send : callable
        Where the messages go.
    told : HoneypotType, optional
        The honeypot of every line, whatever it says.

    Attributes
    ----------
    count : ReadCount
        What was counted so far.
    """

    def __init__(self, read_id: str, send: Send, told: HoneypotType | None = None) -> None:
        self.count = ReadCount()
        self._read_id = read_id
        self._send = send
        self._told = told
        self._seq = 0

    def add(self, block: LogBlock) -> None:
        """Take in some lines.

        Raises
        ------
        BrokerError
            Kafka does not take them.
        """
        parsed = parse_block(block, self._told)
        for kind, rows in parsed.rows.items():
            self._put(HONEYPOT_LOGS, rows, kind)
            self.count.by_type[kind] += rows.num_rows
        if parsed.dead.num_rows:
            self._put(HONEYPOT_DEAD_LETTERS, parsed.dead, None)
            self.count.add_dead(parsed.dead)
        self.count.lines += parsed.lines
        self.count.in_future += parsed.in_future

    def _put(self, topic: Topic, rows: pa.RecordBatch, kind: HoneypotType | None) -> None:
        header = LogHeader(self._read_id, self._seq, kind)
        self._seq += 1
        self._send(topic, encode_table(rows), header.to_kafka())
