from __future__ import annotations

import pytest

from schemas.errors import WireError
from schemas.honeypots import DEAD_LETTER_SCHEMA, LOG_SCHEMA, HoneypotType
from schemas.topics import HONEYPOT_DEAD_LETTERS, HONEYPOT_LOGS, Topic
from streams.honeypot_blocks import LogBlock
from streams.honeypot_topic import MAX_TOLD, LogHeader, LogReading, send_nothing
from streams.wire import KafkaHeaders, decode_table
from tests.streams.honeypots import common, cowrie


def test_a_block_is_one_message_for_each_honeypot_in_it_and_one_of_malformed_lines() -> None:
    sent: list[tuple[Topic, bytes, KafkaHeaders]] = []
    reading = LogReading("r1", lambda *message: sent.append(message))
    reading.add(LogBlock("a", 1, [cowrie(), common("ftp"), b"x", common("http"), common("ftp", level="INFO")]))
    reading.add(LogBlock("a", 6, [common("ftp", level="DEBUG")]))
    headers = [LogHeader.from_kafka(dict(h)) for _, _, h in sent]  # type: ignore[arg-type]
    kinds = [HoneypotType.SSH, HoneypotType.FTP, HoneypotType.HTTP, None, HoneypotType.FTP]
    assert headers == [LogHeader("r1", seq, kind) for seq, kind in enumerate(kinds)]
    rows = [decode_table(body, LOG_SCHEMA).num_rows for topic, body, _ in sent if topic is HONEYPOT_LOGS]
    assert rows == [1, 2, 1, 1]
    [dead] = [decode_table(body, DEAD_LETTER_SCHEMA) for topic, body, _ in sent if topic is HONEYPOT_DEAD_LETTERS]
    assert dead.column("line").to_pylist() == [3]


def test_a_reading_counts_what_it_took_in() -> None:
    reading = LogReading("r1", send_nothing)
    reading.add(LogBlock("a", 1, [common("ftp"), b"", *[b"x%d" % number for number in range(30)], b"{}"]))
    count = reading.count
    assert (count.lines, count.understood, count.malformed) == (32, 1, 31)
    assert count.reasons == {"it is not JSON": 30, "there is no event": 1}
    assert len(count.told) == MAX_TOLD
    assert count.told[0].startswith("a:3: it is not JSON: ")


@pytest.mark.parametrize("broken", [{}, {"seq": b"x"}, {"honeypot": b"smtp"}])
def test_a_header_that_is_none_is_refused(broken: dict[str, bytes]) -> None:
    good = {"read_id": b"r", "seq": b"1", "honeypot": b"ssh"}
    with pytest.raises(WireError):
        LogHeader.from_kafka({**good, **broken} if broken else {})
