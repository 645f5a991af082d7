from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.honeypots import DEAD_LETTER_BYTES, MAX_LINE_BYTES, HoneypotType
from streams.honeypot_blocks import FUTURE_NS, LogBlock, parse_block
from tests.streams.honeypots import COWRIE_LOG, common, cowrie

AT_NS = 1_767_622_353_250_000_000
SSH, HTTP, FTP, ASYNCSSH = HoneypotType


def test_what_cowrie_wrote_under_attack_is_understood_to_the_last_line() -> None:
    parsed = parse_block(LogBlock("cowrie.jsonl", 1, COWRIE_LOG.read_bytes().splitlines()))
    assert (parsed.lines, parsed.dead.num_rows, list(parsed.rows)) == (67, 0, [SSH])
    rows = parsed.rows[SSH].to_pylist()
    assert len({row["log_id"] for row in rows}) == 67
    actions = Counter((row["protocol"], row["action"]) for row in rows)
    assert actions["ssh", "login_failed"] + actions["ssh", "login_success"] == 9
    assert (actions["telnet", "login_success"], actions["telnet", "command"]) == (1, 2)
    assert actions["ssh", "file"] == 2


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([common(), cowrie(), b"", b"  \r"])), max_size=20))
def test_every_line_is_a_row_or_a_dead_letter_or_blank(lines: list[bytes]) -> None:
    parsed = parse_block(LogBlock("a", 1, lines))
    blank = sum(not line.strip() for line in lines)
    assert sum(rows.num_rows for rows in parsed.rows.values()) + parsed.dead.num_rows == parsed.lines
    assert parsed.lines + blank == len(lines)


def test_a_dead_letter_says_where_it_stood_and_keeps_the_beginning() -> None:
    lines = [common(), b"", b"\xff" + b"x" * 9000, b"y" * DEAD_LETTER_BYTES]
    parsed = parse_block(LogBlock("a.json", 11, lines, {3: 5_000_000}), now_ns=7)
    bad, long = parsed.dead.to_pylist()
    assert (bad["file"], bad["line"], bad["read_ns"], bad["size_bytes"]) == ("a.json", 13, 7, 9001)
    assert bad["text"] == "\\xff" + "x" * (DEAD_LETTER_BYTES - 1)
    assert (long["line"], long["size_bytes"]) == (14, 5_000_000)
    assert long["reason"] == f"it is longer than {MAX_LINE_BYTES:,} bytes"


def test_lines_of_the_future_are_kept_and_counted() -> None:
    lines = [common(), common(timestamp="2031-01-01T00:00:00Z")]
    parsed = parse_block(LogBlock("a", 1, lines), now_ns=AT_NS - FUTURE_NS)
    assert (parsed.rows[FTP].num_rows, parsed.in_future) == (2, 1)
