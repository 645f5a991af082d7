from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.panel_queries import ALL, Asked, View, alert_rules, asked, expanded, step_of
from benchmarks.panel_store import BUSIEST, WINDOW_S, Month, clear, fill
from infra.store import Store
from infra.store_clients import Clients
from schemas.protocols import IP_PROTOCOL_NAMES

DOCS = Path(__file__).resolve().parents[2] / "docs"
MOST_ROWS = 50_000
"""Rows that a query may read of the week below: those of its range, and what lies in the same granules."""

WEEK = Month(
    "panels-port", 1_774_915_200, days=7, packets=1_200_000, hosts_listed=6, hosts_learnt=20, anomalies=4_000, files=20
)
ASKED = list(asked())
ANSWERS: dict[str, dict[str, Any]] = {}
PORT = dict.fromkeys(("sensor", "class", "type", "severity"), (ALL,)) | {
    "capture": (WEEK.capture_id,),
    "host": (BUSIEST,),
}


@pytest.fixture(scope="module")
def clients(session_store: Store, store_folder: Path) -> Iterator[Clients]:
    """Clients of the store, with a week of a port in it; no test behind these finds it."""
    fill(session_store, WEEK)
    opened = Clients(f"chdb://{store_folder}")
    yield opened
    opened.close()
    session_store.delete_captures(["panels-names", "panels-twice"])
    clear(session_store, WEEK)


def answer(clients: Clients, sql: str) -> dict[str, Any]:
    """Return what ClickHouse answers: ``meta``, ``data`` and ``statistics``."""
    with clients.client() as client:
        found: dict[str, Any] = json.loads(client.raw_query(sql, fmt="JSON"))
    return found


def ask(clients: Clients, one: Asked, chosen: dict[str, tuple[str, ...]] | None = None) -> dict[str, Any]:
    """Return the answer for the default range; that for the port is asked once for all tests."""
    view = View(WEEK.end_s - one.range_s, WEEK.end_s, step_of(one.range_s, one.min_interval), chosen or PORT)
    if chosen is not None:
        return answer(clients, expanded(one.sql, view))
    if one.place not in ANSWERS:
        ANSWERS[one.place] = answer(clients, expanded(one.sql, view))
    return ANSWERS[one.place]


def panel(place: str) -> Asked:
    return next(one for one in ASKED if one.place == place)


def of_kind(*kinds: str) -> list[Any]:
    return [pytest.param(one, id=one.place) for one in ASKED if one.kind in kinds]


def types_of(found: dict[str, Any]) -> dict[str, str]:
    """Return the columns with their types, without what makes no difference to Grafana."""
    plain = re.compile(r"^(?:LowCardinality|Nullable)\((.*)\)$")
    kinds = {}
    for column in found["meta"]:
        kind = column["type"]
        while match := plain.match(kind):
            kind = match[1]
        kinds[column["name"]] = kind
    return kinds


def is_number(kind: str) -> bool:
    return kind.startswith(("Int", "UInt", "Float", "SimpleAggregateFunction"))


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("one", of_kind("series"))
def test_a_chart_gets_a_time_then_names_then_numbers_in_the_order_of_time(clients: Clients, one: Asked) -> None:
    found = ask(clients, one)
    kinds = list(types_of(found).items())
    assert kinds[0][0] == "time"
    assert kinds[0][1].startswith("DateTime")
    names = [name for name, kind in kinds[1:] if kind == "String"]
    assert [name for name, _ in kinds[1 : 1 + len(names)]] == names
    assert len(kinds) > 1 + len(names)
    assert all(is_number(kind) for _, kind in kinds[1 + len(names) :])
    rows = found["data"]
    assert rows
    times = [seconds(row["time"]) for row in rows]
    assert times == sorted(times)
    step = step_of(one.range_s, one.min_interval)
    assert WEEK.end_s - one.range_s - step < times[0] <= times[-1] <= WEEK.end_s
    assert len({(row["time"], *(row[name] for name in names)) for row in rows}) == len(rows)


@pytest.mark.parametrize("one", of_kind("table"))
def test_a_table_has_rows_and_nothing_that_grafana_cannot_show(clients: Clients, one: Asked) -> None:
    found = ask(clients, one)
    assert found["data"]
    assert all(is_number(kind) or kind.startswith(("String", "DateTime", "Bool")) for kind in types_of(found).values())


@pytest.mark.parametrize("one", of_kind("variable"))
def test_a_variable_gets_values_and_perhaps_their_names(clients: Clients, one: Asked) -> None:
    found = ask(clients, one)
    kinds = types_of(found)
    assert len(kinds) in (1, 2)
    assert set(kinds.values()) == {"String"}
    assert found["data"]


@pytest.mark.parametrize("one", of_kind("annotation"))
def test_a_mark_has_a_time_an_end_and_a_text(clients: Clients, one: Asked) -> None:
    found = ask(clients, one)
    kinds = types_of(found)
    assert kinds["time"].startswith("DateTime")
    assert kinds["timeEnd"].startswith("DateTime")
    assert kinds["text"] == "String"
    assert 0 < len(found["data"]) <= 100


@pytest.mark.parametrize("one", of_kind("alert"))
def test_an_alert_gets_one_number(clients: Clients, one: Asked) -> None:
    found = ask(clients, one)
    [kind] = types_of(found).values()
    assert is_number(kind)
    assert len(found["data"]) == 1


@pytest.mark.parametrize("one", ASKED, ids=lambda one: one.place)
def test_a_query_reads_little_more_than_its_range(clients: Clients, one: Asked) -> None:
    assert ask(clients, one)["statistics"]["rows_read"] <= MOST_ROWS


@pytest.mark.parametrize("view", ["panel_windows", "panel_verdicts", "panel_models_said", "panel_pipeline"])
def test_without_its_range_a_query_reads_more(clients: Clients, view: str) -> None:
    """The control of the test above."""
    found = answer(clients, f"SELECT count(), max(at), any(capture_id) FROM {view}".replace("any(capture_id)", "1"))
    assert found["statistics"]["rows_read"] > MOST_ROWS


@pytest.mark.parametrize("one", of_kind("series", "table", "variable", "annotation"))
def test_every_query_works_with_all_of_everything_and_with_names_that_have_quotes(clients: Clients, one: Asked) -> None:
    everything = PORT | {"capture": (ALL,)}
    assert ask(clients, one, everything)["data"]
    odd = dict.fromkeys(PORT, ("it's", "not' there")) | {"host": ("o'host",)}
    ask(clients, one, odd)


@pytest.mark.parametrize("one", [each for each in ASKED if "step_s" in each.sql], ids=lambda one: one.place)
def test_a_longer_step_reads_a_coarser_rollup_and_finds_the_same_packets(clients: Clients, one: Asked) -> None:
    read, totals = [], set()
    for step in (60, 300, 3_600):
        view = View(WEEK.end_s - WEEK.days * 86_400, WEEK.end_s - 1, step, PORT)
        found = answer(clients, expanded(one.sql, view))
        read.append(found["statistics"]["rows_read"])
        value = next(name for name, kind in types_of(found).items() if is_number(kind))
        totals.add(round(sum(row[value] for row in found["data"]) * step))
    assert read == sorted(read, reverse=True)
    assert read[-1] < read[0] / 2
    assert len(totals) == 1


def test_the_names_of_protocols_are_those_of_the_program(clients: Clients, session_store: Store) -> None:
    rows = "SELECT {c:String}, 60, 0, arrayJoin({n:Array(UInt8)}), 1, 1, 1"
    columns = "capture_id, interval_s, start_ns, protocol, packets, bytes, payload_bytes"
    numbers = [*IP_PROTOCOL_NAMES, 200, 255]
    session_store.command(f"INSERT INTO traffic ({columns}) {rows}", {"c": "panels-names", "n": numbers})
    found = answer(
        clients,
        "SELECT groupArray(ip_protocol) AS names FROM (SELECT ip_protocol FROM panel_traffic(step_s = 60)"
        " WHERE capture_id = 'panels-names')",
    )
    assert sorted(found["data"][0]["names"]) == sorted([*IP_PROTOCOL_NAMES.values(), "ip-200", "no IP"])


def test_the_figures_are_those_that_were_stored(clients: Clients) -> None:
    rates = ask(clients, panel("overview: Now"))["data"][0]
    assert rates["packets/s"] == pytest.approx(WEEK.packets // WEEK.windows / WINDOW_S)
    assert rates["bytes/s"] == pytest.approx(700 * rates["packets/s"])
    talkers = ask(clients, panel("overview: Top talkers"))["data"]
    assert [row["host"] for row in talkers] == [f"10.0.0.{number}" for number in range(WEEK.hosts_listed)]
    lost = ask(clients, panel("overview: Packets lost"))["data"][0]["lost"]
    ledger = ask(clients, panel("overview: Loss ledger"))["data"]
    assert lost == sum(row["lost"] for row in ledger) == 60
    assert [row["hop"] for row in ledger[:3]] == ["kernel", "kernel", "read"]
    band = ask(clients, panel("host: Traffic and what is usual (B)"))["data"][0]
    assert band["lower"] == pytest.approx(1.05e6 - 2 * 2.1e5)
    assert band["upper"] == pytest.approx(1.05e6 + 2 * 2.1e5)


def test_what_is_wrong_now_names_incidents_losses_failures_and_drift(clients: Clients) -> None:
    one = panel("overview: What is wrong now")
    everything = ask(clients, one, PORT | {"capture": (ALL,)})["data"]
    assert {"drift", "traffic_spike"} <= {row["kind"] for row in everything}
    view = View(WEEK.start_s, WEEK.end_s, chosen=PORT | {"capture": (ALL,)})
    week = expanded(one.sql.replace("INTERVAL 1 HOUR", "INTERVAL 7 DAY").replace("LIMIT 50", ""), view)
    kinds = {row["kind"] for row in answer(clients, week)["data"] if row["capture_id"].startswith("panels-port")}
    assert {"packets_lost", "capture_failed"} <= kinds


def test_a_corrected_or_judged_again_window_is_told_once(clients: Clients, session_store: Store) -> None:
    for version in (10, 12):
        session_store.command(
            "INSERT INTO windows (capture_id, version, window_start_ns, window_end_ns, record_count, sampling_rate)"
            " SELECT 'panels-twice', {v:UInt64}, {s:Int64} * 1000000000, ({s:Int64} + 10) * 1000000000, {v:UInt64}, 1",
            {"v": version, "s": WEEK.end_s - 60},
        )
    rates = ask(clients, panel("overview: Now"), PORT | {"capture": ("panels-twice",)})["data"]
    assert rates == [{"bytes/s": 0, "packets/s": 1.2}]


@pytest.mark.parametrize(
    ("uid", "later_s", "is_raised"),
    [
        ("spanwatch-packets-lost", 0, True),
        ("spanwatch-behind", 0, False),
        ("spanwatch-behind", 900, True),
        ("spanwatch-lag", 0, False),
        ("spanwatch-no-traffic", 0, False),
        ("spanwatch-high-anomaly", 86_400, False),
        ("spanwatch-drift", 0, True),
    ],
)
def test_an_alert_is_raised_when_it_should_be(clients: Clients, uid: str, later_s: int, is_raised: bool) -> None:
    rule = next(each for each in alert_rules() if each["uid"] == uid)
    first, _, last = rule["data"]
    end_s = WEEK.end_s + later_s
    view = View(end_s - first["relativeTimeRange"]["from"], end_s, 60)
    [row] = answer(clients, expanded(first["model"]["rawSql"], view))["data"]
    [condition] = last["model"]["conditions"]
    assert condition["evaluator"]["type"] == "gt"
    assert (next(iter(row.values())) > condition["evaluator"]["params"][0]) == is_raised


def test_every_column_of_the_views_is_documented(clients: Clients) -> None:
    page = (DOCS / "grafana.md").read_text(encoding="utf-8")
    calls = re.findall(r"^\| `(panel_\w+)(?:\((\w+)\))?`", page, re.MULTILINE)
    values = {"step_s": "60", "host": "''", "since": "toDateTime(0)", "": ""}
    for name, parameter in calls:
        call = f"{name}({parameter} = {values[parameter]})" if parameter else name
        columns = answer(clients, f"DESCRIBE (SELECT * FROM {call})")["data"]
        row = next(line for line in page.splitlines() if re.match(rf"\| `{name}[`(]", line))
        assert [column["name"] for column in columns if f"`{column['name']}`" not in row] == []
