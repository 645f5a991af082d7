from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api import queries_export
from api.queries_export import DATASETS
from infra.store import Store
from schemas.anomalies import ANOMALY_SCHEMA
from schemas.baselines import BASELINE_SCHEMA
from schemas.packets import STORED_PACKET_COLUMNS
from schemas.windows import WINDOW_SCHEMA
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import (
    ORIGIN_NS,
    Running,
    S,
    balanced_ledger,
    blank_of,
    capture_row,
    insert_captures,
    insert_ledger,
    insert_windows,
    window_values,
)
from tests.api.test_line_protocol import LINE
from tests.infra.store_rows import NEW_YEAR_NS, packets

WINDOWS, ANOMALIES, PACKETS = 7, 9, 1000

SOURCES = {
    "windows": "SELECT {columns} FROM windows_now ORDER BY window_id",
    "anomalies": "SELECT {columns} FROM anomalies_now ORDER BY window_id, anomaly_id",
    "baselines": "SELECT {columns} FROM baselines FINAL ORDER BY source, kind, subject, version",
    "captures": "SELECT {columns} FROM captures_now ORDER BY capture_id",
    "ledger": "SELECT {columns} FROM ledger_now ORDER BY hop, partition, reason",
}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages so small that every list has several, and the last one is not full or just full."""
    for name, dataset in DATASETS.items():
        monkeypatch.setitem(queries_export.DATASETS, name, replace(dataset, rows_per_page=3))
    monkeypatch.setitem(queries_export.DATASETS, "packets", replace(DATASETS["packets"], rows_per_page=100))


@pytest.fixture
def full(stack: Running, store: Store) -> Running:
    """A stack with some of everything."""
    insert_captures(store, capture_row("c", name='a "web", capture.pcap'), capture_row("b", started_ns=1))
    insert_ledger(store, balanced_ledger("c"))
    insert_windows(store, *(window_values("c", number) for number in range(WINDOWS)), window_values("b"))
    insert_windows(store, window_values("c", 2, version=2, record_count=99))
    insert_anomalies(
        store,
        *(
            anomaly_values("c", n // 2, anomaly_id=f"{n:016x}", incident_id=f"{n % 4:016x}", message=f'it, "said" {n}')
            for n in range(ANOMALIES)
        ),
    )
    blank = {field.name: blank_of(field) for field in BASELINE_SCHEMA}
    same = {**blank, "source": "c", "capture_id": "c", "distribution": [("dns", 0.5)]}
    rows = [{**same, "kind": kind, "version": n, "mean": n / 3} for kind in ("bandwidth", "latency") for n in range(3)]
    store.insert("baselines", pa.Table.from_pylist(rows, schema=BASELINE_SCHEMA), "export-test")
    store.command("TRUNCATE TABLE packet_logs")
    # Several packets of one time: the key's second column tells them apart.
    times = NEW_YEAR_NS + np.arange(PACKETS) // 7 * 10**6
    store.insert("packet_logs", packets("c", PACKETS, ts_ns=times), f"export-{id(stack)}")
    return stack


def export(stack: Running, what: str, form: str, **asked: Any) -> bytes:
    answer = stack.http.get(f"/api/export/{what}", params={"format": form, **asked})
    assert answer.status_code == 200, answer.text
    return answer.content


def stored(store: Store, what: str) -> pa.Table:
    columns = ", ".join(DATASETS[what].columns)
    where = "" if what == "captures" else "WHERE capture_id = 'c'"
    return store.query_arrow(SOURCES[what].format(columns=columns).replace(" ORDER", f" {where} ORDER"))


@pytest.mark.parametrize("what", list(SOURCES))
def test_arrow_and_parquet_are_the_rows_of_the_store(full: Running, store: Store, what: str) -> None:
    expected = stored(store, what)
    assert expected.num_rows > 3 or what == "captures"
    arrow = pa.ipc.open_stream(export(full, what, "arrow")).read_all()
    assert arrow.schema.names == expected.schema.names
    assert arrow.to_pylist() == expected.to_pylist()
    parquet = pq.read_table(io.BytesIO(export(full, what, "parquet")))
    assert parquet.to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("what", list(SOURCES))
def test_json_lines_and_csv_say_the_same(full: Running, store: Store, what: str) -> None:
    expected = json.loads(json.dumps([dict(row) for row in named(stored(store, what))]))
    told = [json.loads(line) for line in export(full, what, "jsonl").splitlines()]
    assert told == expected
    read = list(csv.DictReader(io.StringIO(export(full, what, "csv").decode(), newline="")))
    assert list(read[0]) == list(DATASETS[what].columns)
    assert [text_of(row, what) for row in expected] == read


def named(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows with maps as objects, as JSON has them."""
    maps = [field.name for field in table.schema if pa.types.is_map(field.type)]
    rows: list[dict[str, Any]] = table.to_pylist()
    return [{**row, **{name: dict(row[name]) for name in maps}} for row in rows]


def text_of(row: dict[str, Any], what: str) -> dict[str, str]:
    def written(name: str, value: Any) -> str:
        if name in DATASETS[what].nested:
            return json.dumps(value, separators=(",", ":"))
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return repr(value).removesuffix(".0")
        return "" if value is None else str(value)

    return {name: written(name, value) for name, value in row.items()}


def test_packets_are_exported_with_readable_addresses(full: Running, store: Store) -> None:
    names = [column.name for column in STORED_PACKET_COLUMNS]
    expected = store.query(
        f"SELECT {', '.join(names)} FROM packet_logs WHERE capture_id = 'c' ORDER BY ts_ns, event_id"
    )
    for row in expected:
        for name in ("src_ip", "dst_ip"):
            address = IPv6Address(str(row[name]))
            row[name] = str(address.ipv4_mapped or address)
    assert pa.ipc.open_stream(export(full, "packets", "arrow")).read_all().to_pylist() == expected
    assert pq.read_table(io.BytesIO(export(full, "packets", "parquet"))).to_pylist() == expected
    assert [json.loads(line) for line in export(full, "packets", "jsonl").splitlines()] == expected
    read = list(csv.DictReader(io.StringIO(export(full, "packets", "csv").decode())))
    assert read == [{name: str(value) for name, value in row.items()} for row in expected]


def test_incidents_count_their_anomalies(full: Running) -> None:
    rows = [json.loads(line) for line in export(full, "incidents", "jsonl").splitlines()]
    assert [row["incident_id"][-1] for row in rows] == ["0", "1", "2", "3"]
    assert sum(row["anomalies"] for row in rows) == ANOMALIES


def test_line_protocol_has_a_valid_line_for_each_row(full: Running) -> None:
    windows = export(full, "windows", "influx").decode().splitlines(keepends=True)
    assert len(windows) == WINDOWS
    anomalies = export(full, "anomalies", "influx").decode().splitlines(keepends=True)
    assert all(LINE.fullmatch(line) for line in windows + anomalies)
    assert "record_count=99i" in windows[2]
    assert windows[2].endswith(f" {ORIGIN_NS + 20 * S}\n")
    assert anomalies[0].startswith(
        "spanwatch_anomaly,capture_id=c,severity=high,signal=vertical_scan,subject=10.0.0.9,"
    )


def test_columns_times_and_captures_are_chosen(full: Running) -> None:
    text = export(full, "windows", "csv", columns="record_count, window_id", capture="b").decode()
    assert text == "record_count,window_id\n87,0\n"
    start_s = ORIGIN_NS / S
    asked = {"from": str(start_s + 20), "to": str(start_s + 40), "columns": "window_id"}
    assert export(full, "windows", "csv", **asked).decode().split() == ["window_id", "2", "3"]
    asked = {"from": "2026-01-01T00:00:00.010", "to": "2026-01-01T00:00:00.012", "columns": "event_id"}
    assert len(export(full, "packets", "csv", **asked).split()) == 1 + 14


def test_nothing_is_a_file_without_rows(stack: Running) -> None:
    assert export(stack, "windows", "jsonl") == b""
    assert export(stack, "ledger", "csv").decode().startswith("capture_id,hop,")
    table = pa.ipc.open_stream(export(stack, "windows", "arrow")).read_all()
    assert (table.num_rows, table.schema.names) == (0, WINDOW_SCHEMA.names)
    assert pq.read_table(io.BytesIO(export(stack, "anomalies", "parquet"))).schema.names == ANOMALY_SCHEMA.names


def test_a_file_has_a_name_a_type_and_how_many_rows_there_are(full: Running) -> None:
    answer = full.http.get("/api/export/anomalies", params={"format": "parquet"})
    assert answer.headers["content-disposition"] == 'attachment; filename="spanwatch-anomalies-c.parquet"'
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["x-total-rows"] == str(ANOMALIES)


def test_text_is_packed_for_who_takes_it(full: Running) -> None:
    def raw(accepted: str, form: str = "csv") -> tuple[str | None, bytes]:
        headers = {"Accept-Encoding": accepted}
        with full.http.stream("GET", "/api/export/packets", params={"format": form}, headers=headers) as answer:
            return answer.headers.get("content-encoding"), b"".join(answer.iter_raw())

    (_, plain), (named_as, packed) = raw("identity"), raw("gzip, deflate")
    assert (named_as, gzip.decompress(packed)) == ("gzip", plain)
    assert len(packed) < len(plain) / 3
    assert raw("gzip;q=0")[0] is None
    assert raw("gzip", "parquet")[0] is None


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("windows?format=xlsx", 400, "format"),
        ("windows?columns=window_id,password", 400, "columns: each of capture_id, window_id"),
        ("windows?columns=window_id,window_id", 400, "at most once"),
        ("windows?from=yesterday", 400, "from"),
        ("ledger?from=1", 400, "ledger has no time"),
        ("packets?format=influx", 400, "influx is for windows and anomalies"),
        ("windows?capture=nobody", 404, "Capture not found"),
        ("passwords", 400, "what"),
    ],
)
def test_nonsense_is_refused(stack: Running, path: str, status: int, says: str) -> None:
    answer = stack.http.get(f"/api/export/{path}")
    assert answer.status_code == status
    assert says in answer.json()["message"]
