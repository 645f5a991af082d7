from __future__ import annotations

import json
import random
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import LogLineError
from schemas.honeypots import LOG_SCHEMA, HoneypotType
from streams.honeypot_lines import parse_line
from tests.streams.honeypots import common, cowrie

AT_NS = 1_767_622_353_250_000_000
SSH, HTTP, FTP, ASYNCSSH = HoneypotType


def row_of(line: bytes, told: HoneypotType | None = None) -> dict[str, Any]:
    """Return a line's row by column, its address as text and its data as an object."""
    kind, values = parse_line(line, told)
    row: dict[str, Any] = dict(zip(LOG_SCHEMA.names, values, strict=True))
    address = ip_address(row["source_ip"])
    shown = str(getattr(address, "ipv4_mapped", None) or address)
    return {**row, "kind": kind, "source_ip": shown, "data": json.loads(row["data"])}


def reason_of(line: bytes) -> str:
    with pytest.raises(LogLineError) as refused:
        parse_line(line)
    return str(refused.value)


def test_a_line_of_cowries_is_understood() -> None:
    row = row_of(cowrie(username="root", password="123456", src_port=47718, dst_port=2222, protocol="ssh", uuid="u"))
    assert (row["kind"], row["ts_ns"], row["source_ip"]) == (SSH, AT_NS, "192.0.2.7")
    assert (row["source_port"], row["destination_port"], row["protocol"]) == (47718, 2222, "ssh")
    assert (row["event"], row["action"], row["level"]) == ("cowrie.login.failed", "login_failed", "INFO")
    assert (row["sensor"], row["session"]) == ("trap-1", "6d4ed71d8696")
    assert (row["username"], row["password"]) == ("root", "123456")
    assert row["message"] == "login attempt [root/123456] failed"
    assert row["data"] == {"username": "root", "password": "123456", "uuid": "u"}


@pytest.mark.parametrize(
    ("event", "told", "action", "column", "value"),
    [
        ("cowrie.session.connect", {"src_port": 5}, "connect", "source_port", 5),
        ("cowrie.login.success", {"username": "a"}, "login_success", "username", "a"),
        ("cowrie.command.input", {"input": "uname -a"}, "command", "command", "uname -a"),
        ("cowrie.command.failed", {"input": "wegt x"}, "other", "command", "wegt x"),
        ("cowrie.session.file_download", {"url": "x://y"}, "file", "data", {"url": "x://y"}),
        ("cowrie.session.file_upload", {"filename": "x"}, "file", "data", {"filename": "x"}),
        ("cowrie.direct-tcpip.request", {"dst_port": 25}, "request", "destination_port", 25),
        ("cowrie.client.kex", {"hassh": "be31"}, "other", "data", {"hassh": "be31"}),
        ("cowrie.log.closed", {"duration": 1.5}, "other", "data", {"duration": 1.5}),
        ("cowrie.session.closed", {"duration": 7}, "disconnect", "data", {"duration": 7}),
    ],
)  # fmt: skip
def test_cowries_events_are_named(event: str, told: dict[str, Any], action: str, column: str, value: Any) -> None:
    row = row_of(cowrie(event, **told))
    assert (row["action"], row[column]) == (action, value)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("http", HTTP), ("HTTPS", HTTP), ("ftp", FTP), ("asyncssh", ASYNCSSH), ("ssh", SSH), (" Cowrie ", SSH)],
)
def test_the_common_form_says_which_honeypot_it_is(kind: str, expected: HoneypotType) -> None:
    assert row_of(common(kind))["kind"] is expected


def test_the_command_may_say_which_honeypot_it_is() -> None:
    assert row_of(common("ssh"), ASYNCSSH)["kind"] is ASYNCSSH
    assert row_of(common(...), HTTP)["kind"] is HTTP
    assert row_of(common("smtp"), FTP)["data"]["honeypot_type"] == "smtp"


def test_a_line_of_the_common_form_is_understood() -> None:
    row = row_of(common(port=21, session="s1", extra=[1]))
    assert (row["event"], row["action"], row["level"], row["destination_port"]) == (
        "login_failed",
        "login_failed",
        "ERROR",
        21,
    )
    assert (row["username"], row["password"], row["session"]) == ("root", "123456", "s1")
    assert row["data"] == {"username": "root", "password": "123456", "extra": [1]}


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (common("ftp", event="command", data={"command": "CWD", "argument": "up"}), "CWD up"),
        (common("ftp", event="command", data={"command": "NLST", "argument": "", "raw": "NLST"}), "NLST"),
        (common("asyncssh", event="command", data={"cmd": "cat /etc/passwd"}), "cat /etc/passwd"),
        (common("http", event=..., data=..., method="GET", url="/admin?x=1"), "GET /admin?x=1"),
        (common("http", event="request", data={"method": "POST", "path": "/login"}), "POST /login"),
        (common("ftp", event="connect", data=None), ""),
    ],
)
def test_commands_and_requests_are_found(line: bytes, command: str) -> None:
    assert row_of(line)["command"] == command


def test_lines_from_before_there_were_events_are_understood() -> None:
    row = row_of(common("ssh", event=..., data=..., level=..., status="failed", username="admin", password=2222))
    assert (row["event"], row["action"], row["level"]) == ("failed", "login_failed", "INFO")
    assert (row["username"], row["password"], row["data"]["password"]) == ("admin", "2222", 2222)


@pytest.mark.parametrize("data", ["text", 3, [1, 2], True])
def test_data_that_is_no_object_is_kept(data: Any) -> None:
    assert row_of(common(data=data))["data"] == {"data": data}


@pytest.mark.parametrize("field", ["session", "message", "sensor", "protocol", "src_port", "level"])
@pytest.mark.parametrize("value", [{"a": 1}, [], None, -1, 70_000, "x" * 200])
def test_a_field_of_another_kind_stays_where_it_is(field: str, value: Any) -> None:
    if field == "message" and isinstance(value, str):
        assert row_of(common(message=value))["message"] == value
    elif field == "level" and value is None:
        assert row_of(common(level=None))["level"] == "INFO"
    else:
        assert row_of(common(**{field: value}))["data"][field] == value


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        (" 192.0.2.9 ", "192.0.2.9"),
        ("::1", "::1"),
    ],
)
def test_addresses_of_both_families_are_read(told: str, shown: str) -> None:
    assert row_of(common(source_ip=told))["source_ip"] == shown
    assert row_of(common(source_ip=..., src_ip=told))["source_ip"] == shown


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense", "it is not JSON: "),
        (b'{"eventid": "cowrie.login.failed", "us', "it is not JSON: "),
        (b"[1, 2]", "it is JSON, but no object"),
        (b'"text"', "it is JSON, but no object"),
        (b'{"a": NaN}', "it is not JSON: "),
        (b"[" * 100_000, "it is not JSON: "),
        (b'{"password": "caf\xe9"}', "it is not UTF-8: byte 0xe9 at column 18"),
        (common().decode().encode("utf-16"), "it is not UTF-8: byte 0xff at column 1"),
        (b"{}", "there is no event"),
        (common(event=...), "there is no event"),
        (common(event="x" * 200), "its event is longer than 128 letters"),
        (common(...), "there is no honeypot_type: say which with --type"),
        (common("smtp"), "the honeypot_type is none of ssh, http, ftp and asyncssh: 'smtp'; say which with --type"),
        (common(["ssh"]), "the honeypot_type is none of ssh, http, ftp and asyncssh: ['ssh']; say which with --type"),
        (common(source_ip=...), "there is no source_ip"),
        (common(source_ip="attacker.example"), "the source_ip is no IP address: 'attacker.example'"),
        (common(source_ip="192.0.2.300"), "the source_ip is no IP address: '192.0.2.300'"),
        (common(source_ip="1.2.3.4\0"), "the source_ip is no IP address: "),
        (common(source_ip=17), "the source_ip is no IP address: 17"),
        (common(timestamp=...), "there is no timestamp"),
        (common(timestamp="yesterday"), "the timestamp is no time: 'yesterday'"),
    ],
)
def test_a_line_that_cannot_be_understood_says_why(line: bytes, reason: str) -> None:
    assert reason_of(line).startswith(reason)


def test_half_characters_that_an_attacker_typed_do_not_cost_the_line() -> None:
    line = cowrie(username="x").replace(b'"x"', b'"a\\ud800b"')
    assert row_of(line)["username"] == "a?b"
    assert row_of(cowrie(username="\U0001f600\0"))["username"] == "\U0001f600\0"


@given(st.randoms(use_true_random=False), st.sampled_from([None, 1, 3]))
def test_the_id_is_of_the_content_and_not_of_how_it_is_written(order: random.Random, indent: int | None) -> None:
    fields = json.loads(common())
    names = list(fields)
    order.shuffle(names)
    written = json.dumps({name: fields[name] for name in names}, indent=indent).replace("\n", " ").encode()
    assert parse_line(written) == parse_line(common())


def test_any_change_of_content_is_another_event() -> None:
    lines = [common(), common(level="WARN"), common(data={"username": "root"}), common(source_ip="192.0.2.8"), cowrie()]
    assert len({parse_line(line)[1][0] for line in lines}) == len(lines)
