from __future__ import annotations

import random
from ipaddress import IPv6Address

import pyarrow as pa
import pytest

from agents.app import Received
from agents.honeypots import HoneypotStage
from infra.arrow import encode_table
from infra.store import Store
from schemas.errors import WireError
from schemas.honeypots import LOG_SCHEMA
from schemas.topics import HONEYPOT_LOGS, Topic
from streams.honeypot_blocks import LogBlock
from streams.honeypot_topic import LogReading
from streams.wire import KafkaHeaders
from tests.streams.honeypots import COWRIE_LOG, common


class Lines:
    """Lines on their way into a store, the messages kept so that they can come again."""

    def __init__(self, store: Store) -> None:
        self.stage = HoneypotStage(store)
        self.store = store
        self.sent: list[tuple[Topic, Received]] = []

    def read(self, read_id: str, *blocks: list[bytes]) -> LogReading:
        """Read blocks of lines and store them."""
        begin = len(self.sent)
        reading = LogReading(read_id, self._keep)
        for block in blocks:
            reading.add(LogBlock(f"{read_id}.json", 1, block))
        for message in self.sent[begin:]:
            self.put(message)
        return reading

    def put(self, message: tuple[Topic, Received]) -> None:
        topic, received = message
        (self.stage.logs if topic is HONEYPOT_LOGS else self.stage.dead_letters)(received)

    def _keep(self, topic: Topic, body: bytes, headers: KafkaHeaders) -> None:
        self.sent.append((topic, Received(topic.name, 0, len(self.sent), dict(headers), body)))  # type: ignore[arg-type]


@pytest.fixture
def lines(store: Store) -> Lines:
    for table in ("ssh_logs", "http_logs", "ftp_logs", "asyncssh_logs", "honeypot_dead_letters"):
        store.command(f"TRUNCATE TABLE {table}")
    return Lines(store)


def rows(store: Store, table: str) -> int:
    return int(str(store.query(f"SELECT count() AS total FROM {table}")[0]["total"]))


def by_reading(store: Store, table: str = "ssh_logs") -> dict[str, int]:
    found = store.query(f"SELECT read_id, count() AS total FROM {table} GROUP BY read_id ORDER BY read_id")
    return {str(row["read_id"]): int(str(row["total"])) for row in found}


def test_each_honeypot_has_its_table(lines: Lines) -> None:
    lines.read("kinds", COWRIE_LOG.read_bytes().splitlines(), [common(kind) for kind in ("http", "ftp", "asyncssh")])
    tables = ("ssh_logs", "http_logs", "ftp_logs", "asyncssh_logs")
    assert [rows(lines.store, table) for table in tables] == [67, 1, 1, 1]
    [row] = lines.store.query("SELECT * FROM ftp_logs")
    assert (row["read_id"], row["event"], row["source_ip"]) == (
        "kinds",
        "login_failed",
        IPv6Address("::ffff:192.0.2.7"),
    )


def test_a_file_that_is_read_again_in_other_pieces_brings_nothing_new(lines: Lines) -> None:
    log = COWRIE_LOG.read_bytes().splitlines()
    lines.read("a", log[:40])
    lines.read("b", log[30:], log[::-1])
    assert by_reading(lines.store) == {"a": 40, "b": 27}
    lines.read("c", log, log)
    assert by_reading(lines.store) == {"a": 40, "b": 27}


def test_a_line_that_stands_twice_in_one_message_is_stored_once(lines: Lines) -> None:
    lines.read("twice", [common(), common(level="WARN"), common()])
    assert by_reading(lines.store, "ftp_logs") == {"twice": 2}


def test_messages_that_come_again_after_a_crash_change_nothing(lines: Lines) -> None:
    """Also one whose rows are there, in a message that was not acknowledged, before others that came later."""
    log = COWRIE_LOG.read_bytes().splitlines()
    lines.read("crash", log[:30], [*log[20:], b"nonsense"])
    before = lines.store.query("SELECT * FROM ssh_logs ORDER BY ts_ns, log_id")
    again = lines.sent * 2
    random.Random(7).shuffle(again)
    for message in again:
        lines.put(message)
    assert lines.store.query("SELECT * FROM ssh_logs ORDER BY ts_ns, log_id") == before
    assert rows(lines.store, "honeypot_dead_letters FINAL") == 1


def test_dead_letters_are_kept_once_with_their_newest_reading(lines: Lines) -> None:
    lines.read("first", [b"nonsense", b"{}"])
    lines.read("second", [b"", b"nonsense"])
    found = lines.store.query("SELECT read_id, line, text FROM honeypot_dead_letters FINAL ORDER BY text")
    assert found == [
        {"read_id": "second", "line": 2, "text": "nonsense"},
        {"read_id": "first", "line": 2, "text": "{}"},
    ]


def test_times_far_apart_in_one_message_are_all_looked_for(lines: Lines) -> None:
    ends = [common(timestamp=told) for told in (0, "2262-04-11T00:00:00Z", "2026-01-01T00:00:00Z")]
    lines.read("far", ends)
    lines.read("again", ends)
    assert by_reading(lines.store, "ftp_logs") == {"far": 3}


@pytest.mark.parametrize(
    "broken",
    [
        Received("t", 0, 0, {}, b""),
        Received("t", 0, 0, {"read_id": b"r", "seq": b"0", "honeypot": b""}, b""),
        Received("t", 0, 0, {"read_id": b"r", "seq": b"0", "honeypot": b"ssh"}, b"nonsense"),
    ],
)
def test_a_message_that_cannot_be_understood_is_refused(lines: Lines, broken: Received) -> None:
    with pytest.raises(WireError):
        lines.stage.logs(broken)


def test_a_message_without_rows_is_stored_as_nothing(lines: Lines) -> None:
    lines.read("empty", [common()])
    topic, message = lines.sent[0]
    nothing = encode_table(pa.Table.from_pylist([], LOG_SCHEMA))
    lines.put((topic, Received(message.topic, 0, 9, message.headers, nothing)))
    assert by_reading(lines.store, "ftp_logs") == {"empty": 1}
