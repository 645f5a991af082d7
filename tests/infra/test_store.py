from __future__ import annotations

import http.server
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from infra.store import Store
from schemas.captures import CaptureRow, LedgerRow
from schemas.enums import CaptureState, Hop
from schemas.errors import StoreError
from schemas.packets import ROW_BITS
from schemas.table_parts import PARTITION_SLOTS
from schemas.tables import EVENT_BATCH, ROLLUP_INTERVALS_S
from schemas.windows import WINDOW_SCHEMA
from tests.infra.store_rows import NEW_YEAR_NS, captures, ledger, packets, run_python, start_python

DAY_NS = 86_400 * 10**9


def stored(store: Store, capture_id: str) -> dict[str, int]:
    """Return how many packets every table has of a capture."""
    sources = {"packet_logs": "count()"} | dict.fromkeys(ROLLUP_INTERVALS_S, "sum(packets)")
    counts = {}
    for table, total in sources.items():
        sql = f"SELECT {total} AS total FROM {table} WHERE capture_id = {{id:String}}"
        counts[table] = int(str(store.query(sql, {"id": capture_id})[0]["total"]))
    return counts


def everywhere(count: int) -> dict[str, int]:
    return dict.fromkeys(("packet_logs", *ROLLUP_INTERVALS_S), count)


def test_a_repeated_insert_changes_nothing_in_the_table_and_behind_it(store: Store) -> None:
    for token in ("twice:0:0", "twice:0:1", "twice:0:0", "twice:0:1"):
        store.insert("packet_logs", packets("twice", 500), token)
    assert stored(store, "twice") == everywhere(1000)


def test_inserts_without_the_same_token_are_not_taken_for_repeats(store: Store) -> None:
    """The control: the rows are identical, so only the token can have told them apart above."""
    for token in range(4):
        store.insert("packet_logs", packets("control", 500), f"control:{token}")
    assert stored(store, "control") == everywhere(2000)


def test_a_repeated_insert_fills_a_rollup_that_a_crash_left_behind(store: Store) -> None:
    store.command("DETACH TABLE traffic_from_packet_logs")
    try:
        store.insert("packet_logs", packets("behind", 500), "behind:0:0")
    finally:
        store.command("ATTACH TABLE traffic_from_packet_logs")
    assert stored(store, "behind") == {**everywhere(0), "packet_logs": 500}
    store.insert("packet_logs", packets("behind", 500), "behind:0:0")
    assert stored(store, "behind") == everywhere(500)


def test_rollups_add_up_packets_bytes_and_payload_by_protocol(store: Store) -> None:
    store.insert("packet_logs", packets("sums", 120_000), "sums:0:0")  # two minutes, one packet a millisecond
    columns = "start_ns, protocol, packets, bytes, payload_bytes"
    sql = f"SELECT {columns} FROM traffic_1m WHERE capture_id = 'sums' ORDER BY start_ns, protocol"
    minutes = [tuple(row.values()) for row in store.query(sql)]
    starts = (NEW_YEAR_NS, NEW_YEAR_NS + 60 * 10**9)
    assert minutes == [(s, p, 30_000, 3_000_000, 1_200_000) for s in starts for p in (6, 17)]
    hours = store.query(
        "SELECT start_ns, sum(bytes) AS bytes FROM traffic_1h WHERE capture_id = 'sums' GROUP BY start_ns"
    )
    assert hours == [{"start_ns": NEW_YEAR_NS, "bytes": 12_000_000}]


def test_a_deleted_capture_leaves_no_row_and_its_neighbour_whole(store: Store) -> None:
    for name in ("gone", "stays"):
        store.insert("packet_logs", packets(name, 400), f"{name}:0:0")
        store.insert("captures", captures(capture(name, CaptureState.COMPLETE)), f"{name}:1")
        store.insert("ledger", ledger(count(name, Hop.MERGE)), f"{name}:2")
        store.insert("windows", pa.Table.from_pylist([window(name, 0, 1)], schema=WINDOW_SCHEMA), f"{name}:3")
    store.delete_captures(["gone"])
    assert stored(store, "gone") == everywhere(0)
    assert stored(store, "stays") == everywhere(400)
    for table in ("captures", "ledger", "windows"):
        rows = store.query(f"SELECT DISTINCT capture_id FROM {table} WHERE capture_id IN ('gone', 'stays')")
        assert rows == [{"capture_id": "stays"}]


def test_an_insert_that_spans_decades_is_stored_once_in_few_parts(store: Store) -> None:
    days = np.arange(-20_000, 20_000, 20)
    batch = packets("decades", days.size, ts_ns=days * DAY_NS + 12_345_678_901)
    for _ in range(2):
        store.insert("packet_logs", batch, "decades:0:0")
    assert stored(store, "decades") == everywhere(days.size)
    parts = store.query("SELECT uniqExact(_part) AS parts FROM packet_logs WHERE capture_id = 'decades'")
    assert 1 <= int(str(parts[0]["parts"])) <= PARTITION_SLOTS
    for table, seconds in ROLLUP_INTERVALS_S.items():
        rows = store.query(f"SELECT start_ns FROM {table} WHERE capture_id = 'decades' ORDER BY start_ns")
        starts = (days * DAY_NS + 12_345_678_901) // (seconds * 10**9) * (seconds * 10**9)
        assert sorted({int(str(row["start_ns"])) for row in rows}) == starts.tolist()


def test_packets_come_back_as_they_were(store: Store) -> None:
    batch = packets("same", 300)
    store.insert("packet_logs", batch, "same:0:0")
    back = store.query_arrow("SELECT * FROM packet_logs WHERE capture_id = 'same' ORDER BY event_id")
    assert back.column_names == batch.schema.names
    for name in batch.schema.names[1:]:
        assert back[name].combine_chunks().equals(batch[name]), name


def test_a_packet_is_found_by_its_event_id_without_reading_every_granule(store: Store) -> None:
    store.insert("packet_logs", packets("by-id", 60_000), "by-id:0:0")
    condition = f"event_id = 59999 AND {EVENT_BATCH} = bitShiftRight(59999, {ROW_BITS})"
    assert store.query(f"SELECT frame FROM packet_logs WHERE capture_id = 'by-id' AND {condition}") == [
        {"frame": 60_000}
    ]
    plan = store.query(f"EXPLAIN indexes = 1 SELECT frame FROM packet_logs WHERE {condition}")
    assert any("Name: batch" in str(row["explain"]) for row in plan)


def test_computed_columns_of_packets_agree_with_the_stored_ones(store: Store) -> None:
    store.insert("packet_logs", packets("computed", 1), "computed:0:0")
    sql = (
        "SELECT toString(ts) AS ts, ip_version, toString(src_ip) AS src FROM packet_logs WHERE capture_id = 'computed'"
    )
    assert store.query(sql) == [{"ts": "2026-01-01 00:00:00.000000000", "ip_version": 4, "src": "::ffff:10.0.0.0"}]


def window(capture_id: str, window_id: int, version: int) -> dict[str, object]:
    """Return a window with a value in every column."""
    row: dict[str, object] = {}
    for field in WINDOW_SCHEMA:
        if pa.types.is_map(field.type):
            row[field.name] = [("TCP", 3), ("DNS", version)]
        elif pa.types.is_list(field.type):
            row[field.name] = [{"ip": "10.0.0.1", "bytes": 9}, {"ip": "::1", "bytes": 1}]
        else:
            row[field.name] = None if field.nullable else False if pa.types.is_boolean(field.type) else 7
    return row | {"capture_id": capture_id, "window_id": window_id, "version": version}


def test_the_newest_version_of_a_window_counts_whatever_the_order_of_arrival(store: Store) -> None:
    for version in (2, 3, 1):
        rows = pa.Table.from_pylist([window("corrected", 0, version)], schema=WINDOW_SCHEMA)
        store.insert("windows", rows, f"corrected:0:{version}")
    (row,) = store.query("SELECT * FROM windows_now WHERE capture_id = 'corrected'")
    assert row["version"] == 3
    assert row["protocol_packets"] == {"TCP": 3, "DNS": 3}
    assert [tuple(pair.values()) for pair in row["top_src_bytes"]] == [("10.0.0.1", 9), ("::1", 1)]  # type: ignore[attr-defined]
    assert row["first_ts_ns"] is None
    assert list(row) == WINDOW_SCHEMA.names


def capture(capture_id: str, state: CaptureState, version: int = 1) -> CaptureRow:
    return CaptureRow(
        capture_id=capture_id, version=version, state=state, source="pcap", name="a.pcap", fingerprint="f",
        sensor="here", window_ns=10**10, partitions=2, started_ns=NEW_YEAR_NS,
    )  # fmt: skip


def count(capture_id: str, hop: Hop, partition: int = -1) -> LedgerRow:
    return LedgerRow(capture_id=capture_id, hop=hop, partition=partition, packets_in=5, packets_out=5)


def test_a_capture_is_stored_once_every_stage_says_so(store: Store) -> None:
    def is_stored() -> object:
        (row,) = store.query("SELECT * FROM captures_now WHERE capture_id = 'steps'")
        return row["is_stored"]

    tokens = (f"steps:{number}" for number in itertools.count())
    store.insert("captures", captures(capture("steps", CaptureState.RUNNING)), next(tokens))
    store.insert("ledger", ledger(count("steps", Hop.STORE, 0), count("steps", Hop.STORE, 1)), next(tokens))
    for hop in (Hop.FLOWS, Hop.CLASSIFICATIONS):
        store.insert("ledger", ledger(count("steps", hop, 0), count("steps", hop, 1)), next(tokens))
    store.insert("ledger", ledger(count("steps", Hop.MERGE), count("steps", Hop.ANALYSIS)), next(tokens))
    assert not is_stored()  # it is still being read
    store.insert("captures", captures(capture("steps", CaptureState.COMPLETE, 2)), next(tokens))
    assert is_stored()


_BY_PARTITION = tuple((hop, part) for hop in (Hop.STORE, Hop.FLOWS, Hop.CLASSIFICATIONS) for part in (0, 1))
_STAGES = (*_BY_PARTITION, (Hop.MERGE, -1), (Hop.ANALYSIS, -1))


@pytest.mark.parametrize("missing", [count("lacks", *stage) for stage in _STAGES])
def test_a_capture_is_not_stored_while_a_ledger_row_is_missing(store: Store, missing: LedgerRow) -> None:
    name = f"lacks-{missing.hop.value}-{missing.partition}"
    have = [count(name, *stage) for stage in _STAGES]
    have = [row for row in have if (row.hop, row.partition) != (missing.hop, missing.partition)]
    store.insert("captures", captures(capture(name, CaptureState.COMPLETE)), f"{name}:0")
    store.insert("ledger", ledger(*have), f"{name}:1")
    (row,) = store.query("SELECT * FROM captures_now WHERE capture_id = {id:String}", {"id": name})
    assert not row["is_stored"]


def test_an_empty_insert_is_nothing(store: Store) -> None:
    store.insert("packet_logs", packets("empty", 1).slice(0, 0), "empty:0:0")
    assert stored(store, "empty") == everywhere(0)


def test_values_never_become_part_of_the_statement(store: Store) -> None:
    nasty = "x' OR 1 = 1 -- {y:String} \\ ; DROP TABLE captures"
    assert store.query("SELECT {value:String} AS value", {"value": nasty}) == [{"value": nasty}]
    assert store.query_arrow("SELECT {value:String} AS value", {"value": nasty})["value"].to_pylist() == [nasty]


def test_what_clickhouse_refuses_is_said_in_one_line_and_not_worth_another_try(store: Store) -> None:
    with pytest.raises(StoreError, match="no_such_table") as refused:
        store.query("SELECT * FROM no_such_table")
    assert "\n" not in str(refused.value)
    assert not refused.value.can_retry
    with pytest.raises(StoreError, match="packet_logs"):
        store.insert("packet_logs", pa.table({"no_such_column": [1]}), "refused:0")


def test_threads_insert_and_ask_at_the_same_time(store: Store) -> None:
    def insert(number: int) -> None:
        store.insert("packet_logs", packets("threads", 2000, first=number * 2000), f"threads:{number}")

    def ask(_: int) -> int:
        return stored(store, "threads")["packet_logs"]

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(insert, number % 10) for number in range(30)]  # every batch three times
        seen = list(pool.map(ask, range(20)))
        for future in done:
            future.result()
    assert all(0 <= number <= 20_000 for number in seen)
    assert stored(store, "threads") == everywhere(20_000)


def test_another_embedded_store_in_the_same_process_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="already has another embedded store open"):
        Store.open(f"chdb://{tmp_path / 'other'}")


def test_a_folder_that_another_process_has_open_is_refused_with_its_name(store: Store, store_folder: Path) -> None:
    said = run_python(
        """
        import sys
        from infra.store import Store
        from schemas.errors import StoreError
        try:
            Store.open(sys.argv[1])
        except StoreError as error:
            print(error, error.can_retry)
        """,
        f"chdb://{store_folder}",
    )
    assert str(store_folder) in said
    assert "another process has it open" in said


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "must be chdb://FOLDER"),
        ("chdb://", "must be chdb://FOLDER"),
        ("mysql://localhost/x", "must be chdb://FOLDER"),
        ("http://localhost/bad-name;", "not a database name"),
        ("chdb:///dev/null/store", "cannot be made"),
        ("http://127.0.0.1:9/spanwatch", "127.0.0.1:9 does not answer"),
    ],
)
def test_an_address_that_cannot_work_is_explained(address: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        Store.open(address)


def test_a_server_that_takes_connections_and_never_answers_is_told_of_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/spanwatch"
        began_s = time.monotonic()
        with pytest.raises(StoreError, match="does not answer; is ClickHouse running there"):
            Store.open(address)
        assert time.monotonic() - began_s < 20


@contextmanager
def refusing_server() -> Iterator[int]:
    """Run an HTTP server that refuses every login the way ClickHouse does (error 516); its port."""

    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b"Code: 516. DB::Exception: me: Authentication failed. (AUTHENTICATION_FAILED)"
            self.send_response(403)
            self.send_header("X-ClickHouse-Exception-Code", "516")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_password_is_called_one() -> None:
    with (
        refusing_server() as port,
        pytest.raises(StoreError, match="refuses this user and password") as refused,
    ):
        Store.open(f"http://me:wrong@127.0.0.1:{port}/spanwatch")
    assert not refused.value.can_retry
    assert "wrong@" not in str(refused.value)


def test_tokens_are_still_known_after_the_store_was_closed_and_opened_again(tmp_path: Path) -> None:
    said = run_python(
        """
        import sys
        from infra.store import Store
        from store_rows import packets
        from tests.infra.test_store import stored
        for _ in range(3):
            with Store.open(sys.argv[1]) as store:
                store.migrate()
                store.insert("packet_logs", packets("reopened", 700), "reopened:0:0")
                print(sorted(stored(store, "reopened").values()))
        try:
            store.query("SELECT 1")
        except Exception as error:
            print(error)
        """,
        f"chdb://{tmp_path}",
    )
    assert said.splitlines() == ["[700, 700, 700, 700]"] * 3 + ["the store is closed"]


INSERT_UNTIL_KILLED = """
import sys
from infra.store import Store
from store_rows import packets
with Store.open(sys.argv[1]) as store:
    store.migrate()
    for number in range(int(sys.argv[2]), 100_000):
        store.insert("packet_logs", packets("killed", 100, first=number * 100), f"killed:0:{number}")
        print(number, flush=True)
"""

INSERT_AGAIN = """
import sys
from infra.store import Store
from store_rows import packets
from tests.infra.test_store import stored
with Store.open(sys.argv[1]) as store:
    print(stored(store, "killed")["packet_logs"])
    for number in range(int(sys.argv[2])):
        store.insert("packet_logs", packets("killed", 100, first=number * 100), f"killed:0:{number}")
    print(*stored(store, "killed").values())
"""


def test_after_kill_9_acknowledged_inserts_are_there_and_repeats_make_no_second_row(tmp_path: Path) -> None:
    address = f"chdb://{tmp_path}"
    acknowledged = 0
    for kill in range(2):
        # From a little before the last acknowledgement, as a consumer that had not yet committed its offset.
        with start_python(INSERT_UNTIL_KILLED, address, max(0, acknowledged - 3)) as process:
            assert process.stdout is not None
            for line in itertools.islice(process.stdout, 4 + 9 * kill):
                acknowledged = max(acknowledged, int(line) + 1)
            process.kill()
            acknowledged = max([acknowledged, *(int(line) + 1 for line in process.stdout)])
        after, *final = map(int, run_python(INSERT_AGAIN, address, acknowledged + 2).split())
        assert after >= acknowledged * 100
        assert final == [(acknowledged + 2) * 100] * 4
        acknowledged += 2
