from __future__ import annotations

import json
import time
from itertools import count
from typing import Any

import pyarrow as pa
import pytest

from api.queries_honeypots import active_honeypots, interactions
from infra.store import Store
from schemas.honeypots import DEAD_LETTER_SCHEMA, STORED_LOG_SCHEMA, HoneypotType
from tests.api.stack import ORIGIN_NS, Running, S, blank_of

LIST = "/api/honeypots/logs"
HOUR_NS = 3600 * S

_tokens = count()


def mapped(number: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes([192, 0, 2, number])


def insert_lines(store: Store, kind: HoneypotType, *lines: dict[str, Any]) -> None:
    """Insert lines with what storage would write of the rest."""
    blank = {field.name: blank_of(field) for field in STORED_LOG_SCHEMA}
    usual = {"read_id": "r1", "source_ip": mapped(7), "action": "other", "level": "INFO", "data": "{}"}
    rows = [{**blank, **usual, **line} for line in lines]
    store.insert(kind.table, pa.Table.from_pylist(rows, STORED_LOG_SCHEMA), f"lines:{next(_tokens)}")


def insert_letters(store: Store, *letters: dict[str, Any]) -> None:
    blank = {field.name: blank_of(field) for field in DEAD_LETTER_SCHEMA}
    rows = [{**blank, **letter} for letter in letters]
    table = pa.Table.from_pylist(rows, DEAD_LETTER_SCHEMA)
    store.insert("honeypot_dead_letters", table, f"letters:{next(_tokens)}")


@pytest.fixture
def lines(store: Store) -> None:
    """Five lines of three honeypots, a second apart: ids 0 to 4."""
    tried = {"event": "cowrie.login.failed", "action": "login_failed", "username": "root", "password": "Hunter%2"}
    insert_lines(
        store,
        HoneypotType.SSH,
        {"log_id": 0, "ts_ns": ORIGIN_NS, **tried, "data": json.dumps({"password": "Hunter%2", "deep": [1]})},
        {"log_id": 3, "ts_ns": ORIGIN_NS + 3 * S, "event": "cowrie.session.connect", "action": "connect"},
    )
    typed = {"event": "GET", "action": "request", "command": "GET /admin", "level": "WARN"}
    insert_lines(store, HoneypotType.HTTP, {"log_id": 1, "ts_ns": ORIGIN_NS + S, **typed, "read_id": "r2"})
    insert_lines(
        store,
        HoneypotType.FTP,
        {"log_id": 2, "ts_ns": ORIGIN_NS + 2 * S, "event": "connect", "action": "connect", "source_ip": mapped(8)},
        {"log_id": 4, "ts_ns": ORIGIN_NS + 3 * S, "source_ip": bytes(15) + b"\1", "session": "abc"},
    )


def listed(stack: Running, **query: Any) -> list[int]:
    answer = stack.http.get(LIST, params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["count"] == len(body["logs"])
    return [int(line["log_id"], 16) for line in body["logs"]]


def test_an_empty_store_has_no_honeypot_and_no_line(stack: Running) -> None:
    body = stack.http.get(LIST).json()
    assert (body["count"], body["total"], body["logs"], body["next_cursor"]) == (0, 0, [], None)
    body = stack.http.get("/api/honeypots/").json()
    assert body == {"count": 0, "active": 0, "honeypots": [], "dead_letters": 0}


@pytest.mark.usefixtures("lines")
def test_a_line_is_the_common_form_with_more(stack: Running) -> None:
    [line] = stack.http.get(LIST, params={"order": "oldest", "limit": 1}).json()["logs"]
    assert line["timestamp"] == "2009-02-13T23:31:30.500000"
    assert (line["source_ip"], line["honeypot_type"], line["event"]) == ("192.0.2.7", "ssh", "cowrie.login.failed")
    assert (line["level"], line["action"]) == ("INFO", "login_failed")
    assert line["data"] == {"password": "Hunter%2", "deep": [1]}


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"order": "oldest"}, [0, 1, 2, 3, 4]),
        ({"type": "ssh"}, [3, 0]),
        ({"type": "asyncssh"}, []),
        ({"source_ip": "192.0.2.8"}, [2]),
        ({"source_ip": "::1"}, [4]),
        ({"event": "Cowrie.Login.FAILED"}, [0]),
        ({"action": "connect"}, [3, 2]),
        ({"level": "warn"}, [1]),
        ({"username": "root", "password": "Hunter%2"}, [0]),
        ({"session": "abc"}, [4]),
        ({"read_id": "r2"}, [1]),
        ({"q": "hunter%"}, [0]),
        ({"q": "hunter_"}, []),
        ({"q": "/ADMIN"}, [1]),
        ({"from": "1234567891.5", "to": "1234567893.5"}, [2, 1]),
        ({"offset": 3}, [1, 0]),
    ],
)
def test_filters_narrow_the_list_down(stack: Running, query: dict[str, Any], expected: list[int]) -> None:
    assert listed(stack, **query) == expected
    if not {"order", "offset"} & query.keys():
        assert stack.http.get(LIST, params={**query, "limit": 1}).json()["total"] == len(expected)


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(("order", "expected"), [("newest", [4, 3, 2, 1, 0]), ("oldest", [0, 1, 2, 3, 4])])
def test_cursors_page_through_everything_once(stack: Running, order: str, expected: list[int]) -> None:
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2, "order": order}
    while True:
        body = stack.http.get(LIST, params=query).json()
        seen += [int(line["log_id"], 16) for line in body["logs"]]
        if body["next_cursor"] is None:
            break
        query = {"limit": 2, "cursor": body["next_cursor"]}
    assert seen == expected


@pytest.mark.usefixtures("lines")
def test_a_line_that_two_readings_brought_is_shown_and_counted_once(stack: Running, store: Store) -> None:
    insert_lines(store, HoneypotType.SSH, {"log_id": 3, "ts_ns": ORIGIN_NS + 3 * S, "read_id": "r9"})
    body = stack.http.get(LIST, params={"type": "ssh"}).json()
    assert (body["count"], body["total"]) == (2, 2)
    assert interactions(store, ["192.0.2.7"]) == {"192.0.2.7": 3}


@pytest.mark.parametrize(
    "query", [{"type": "smtp"}, {"source_ip": "nobody"}, {"from": "2", "to": "1"}, {"cursor": "d..1."}, {"limit": 0}]
)
def test_nonsense_is_refused(stack: Running, query: dict[str, Any]) -> None:
    answer = stack.http.get(LIST, params=query)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_types_heard_from_within_a_day_are_active_whatever_lies_in_the_future(stack: Running, store: Store) -> None:
    now_ns = time.time_ns()
    login = {"action": "login_failed"}
    insert_lines(
        store,
        HoneypotType.SSH,
        {"log_id": 1, "ts_ns": now_ns - HOUR_NS, **login},
        {"log_id": 2, "ts_ns": now_ns - 30 * HOUR_NS, **login, "source_ip": mapped(9)},
        {"log_id": 3, "ts_ns": now_ns + 48 * HOUR_NS},
    )
    insert_lines(store, HoneypotType.HTTP, {"log_id": 4, "ts_ns": now_ns + 48 * HOUR_NS})
    insert_lines(store, HoneypotType.ASYNCSSH, {"log_id": 5, "ts_ns": now_ns - 25 * HOUR_NS})
    assert active_honeypots(store, now_ns) == [HoneypotType.SSH]
    body = stack.http.get("/api/honeypots/").json()
    by_type = {row["honeypot_type"]: row for row in body["honeypots"]}
    assert (body["count"], body["active"], sorted(by_type)) == (3, 1, ["asyncssh", "http", "ssh"])
    assert (by_type["ssh"]["lines"], by_type["ssh"]["sources"]) == (3, 2)
    assert by_type["ssh"]["last_24h"] == {"lines": 1, "sources": 1, "logins": 1, "commands": 0}
    assert (by_type["http"]["is_active"], by_type["http"]["last_heard"]) == (False, None)


@pytest.mark.usefixtures("lines")
def test_interactions_are_counted_by_source_within_a_time(store: Store) -> None:
    asked = ["192.0.2.7", "192.0.2.8", "::1", "203.0.113.1"]
    assert interactions(store, asked) == {"192.0.2.7": 3, "192.0.2.8": 1, "::1": 1}
    assert interactions(store, asked, ORIGIN_NS, ORIGIN_NS + 3 * S) == {"192.0.2.7": 2, "192.0.2.8": 1}
    assert interactions(store, []) == {}


def test_dead_letters_say_where_and_why_and_are_kept_once(stack: Running, store: Store) -> None:
    letter = {
        "letter_id": 7,
        "read_ns": ORIGIN_NS,
        "read_id": "r1",
        "file": "a.json",
        "line": 3,
        "reason": "it is not JSON",
    }
    insert_letters(store, letter, {**letter, "letter_id": 8, "text": "\\xff"})
    insert_letters(store, {**letter, "read_ns": ORIGIN_NS + S, "read_id": "r2"})
    first = stack.http.get("/api/honeypots/dead-letters", params={"limit": 1}).json()
    [shown] = first["dead_letters"]
    assert (first["total"], shown["read_id"], shown["file"], shown["line"]) == (2, "r2", "a.json", 3)
    second = stack.http.get("/api/honeypots/dead-letters", params={"cursor": first["next_cursor"]}).json()
    assert ([row["text"] for row in second["dead_letters"]], second["next_cursor"]) == (["\\xff"], None)
    assert stack.http.get("/api/honeypots/dead-letters", params={"read_id": "r1"}).json()["total"] == 1
