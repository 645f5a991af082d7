"""Rows as storage writes them, and the real server over the real embedded store."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from fastapi import FastAPI

from api.analysis import SendWindows
from api.app import create_app
from api.compute import RequestCapture, new_capture_id
from api.serve import listen, server_of, with_ports_of
from infra.model_topic import SendModels
from infra.settings import Settings, load_settings
from infra.store import Store
from schemas.analysis import AnalysisRequest
from schemas.captures import CAPTURE_SCHEMA, LEDGER_SCHEMA, CaptureRequest, CaptureRow, LedgerRow
from schemas.enums import CaptureState, Hop
from schemas.windows import WINDOW_SCHEMA

S = 10**9
ORIGIN_NS = 1_234_567_890_500_000_000
PARTITIONS = 4

_tokens = count()


def settings_in(folder: Path, **overrides: Any) -> Settings:
    """Return settings with two free ports, the first ours and the second the Analyzer's."""
    chosen = {"state": folder / "state", "data_roots": str(folder), "ports": (0, 0), **overrides}
    return load_settings(**chosen)


def window_values(capture_id: str, window_id: int = 0, **changed: Any) -> dict[str, Any]:
    """Return the values of a window with 87 packets in 9.9 s."""
    start_ns = ORIGIN_NS + window_id * 10 * S
    values: dict[str, Any] = {
        "capture_id": capture_id,
        "window_id": window_id,
        "version": 1,
        "window_start_ns": start_ns,
        "window_end_ns": start_ns + 10 * S,
        "record_count": 87,
        "bytes": 9900,
        "first_ts_ns": start_ns,
        "last_ts_ns": start_ns + 9_900_000_000,
        "top_src_bytes": [{"ip": "10.0.0.1", "bytes": 6000}, {"ip": "10.0.0.2", "bytes": 3900}],
        "top_dst_bytes": [{"ip": "10.0.0.2", "bytes": 6000}, {"ip": "10.0.0.1", "bytes": 3900}],
        "hosts": 2,
        "rtt_count": 4,
        "rtt_sum_ns": 180_000_000,
        "rtt_max_ns": 120_500_000,
        "rtt_p95_ns": 90_100_000,
        "rtt_is_sketched": False,
        "handshake_rtt_count": 2,
        "handshake_rtt_sum_ns": 60_000_000,
        "connections_total": 42,
        "connections_by_protocol": {"https": 12, "dns": 30},
        "connections_attempted": 12,
        "connections_established": 9,
        "connections_failed": 2,
        "connections_half_open": 1,
        "protocol_packets": {"https": 57, "dns": 30},
        "protocol_bytes": {"https": 6900, "dns": 3000},
        "ip_protocol_packets": {"6": 57, "17": 30},
        "ip_protocol_bytes": {"6": 6900, "17": 3000},
        "tcp_segments": 57,
        "tcp_data_segments": 40,
        "tcp_analysis": {"retransmission": 5, "duplicate_ack": 3},
        "undecoded": {"truncated_network": 1},
        "late_packets": 0,
        "is_complete": True,
        "lost_upstream": 0,
        "sampling_rate": 1.0,
        "tcp_retransmissions": 5,
        "host_traffic": [],
        "scan_sources": [],
        "contacts": [],
        "conversations": [],
        "age_median_ns": 2 * S,
        "age_p95_ns": 8 * S,
        "age_max_ns": 9 * S,
    }
    return {**values, **changed}


def empty_window_values(capture_id: str, window_id: int) -> dict[str, Any]:
    """Return the values of a window without a packet."""
    full = window_values(capture_id, window_id)
    empty = {key: type(value)() for key, value in full.items() if isinstance(value, int | dict | list)}
    nulls = dict.fromkeys(("first_ts_ns", "last_ts_ns", "rtt_max_ns", "rtt_p95_ns"))
    nulls |= dict.fromkeys(("age_median_ns", "age_p95_ns", "age_max_ns"))
    kept = ("window_id", "version", "window_start_ns", "window_end_ns", "is_complete")
    return {**full, **empty, **nulls, **{key: full[key] for key in kept}}


def blank_of(field: pa.Field) -> object:
    """Return the value of a column that a test says nothing about."""
    if field.nullable:
        return None
    if pa.types.is_list(field.type) or pa.types.is_map(field.type):
        return []
    return "" if pa.types.is_string(field.type) else 0


def insert_windows(store: Store, *values: dict[str, Any]) -> None:
    """Insert windows."""
    blank = {field.name: blank_of(field) for field in WINDOW_SCHEMA}
    maps = [field.name for field in WINDOW_SCHEMA if pa.types.is_map(field.type)]
    rows = [{**blank, **row} for row in values]
    rows = [{**row, **{name: list(dict(row[name]).items()) for name in maps}} for row in rows]
    store.insert("windows", pa.Table.from_pylist(rows, schema=WINDOW_SCHEMA), f"test:{next(_tokens)}")


def capture_row(capture_id: str, **changed: Any) -> CaptureRow:
    """Return a capture that was read to its end."""
    values: dict[str, Any] = {
        "capture_id": capture_id,
        "state": CaptureState.COMPLETE,
        "source": "pcap",
        "name": "web.pcap",
        "fingerprint": "f",
        "sensor": "probe-1",
        "window_ns": 10 * S,
        "partitions": PARTITIONS,
        "started_ns": time.time_ns(),
        "ended_ns": time.time_ns(),
        "first_ts_ns": ORIGIN_NS,
        "last_ts_ns": ORIGIN_NS + 19 * S,
        "packets": 87,
        "bytes": 9900,
        "file_bytes": 12_000,
    }
    return CaptureRow(**{**values, **changed})


def insert_captures(store: Store, *rows: CaptureRow) -> None:
    """Insert states of captures."""
    table = pa.Table.from_pylist([row.model_dump(mode="json") for row in rows], schema=CAPTURE_SCHEMA)
    store.insert("captures", table, f"test:{next(_tokens)}")


def balanced_ledger(capture_id: str, packets: int = 87) -> list[LedgerRow]:
    """Return the ledger of a capture that lost nothing, three of its packets cut short."""

    def row(hop: Hop, passed: int, partition: int = -1, reason: str = "") -> LedgerRow:
        return LedgerRow(
            capture_id=capture_id,
            hop=hop,
            partition=partition,
            reason=reason,
            packets_in=passed,
            packets_out=passed,
        )

    shares = [packets // PARTITIONS + (part < packets % PARTITIONS) for part in range(PARTITIONS)]
    return [
        row(Hop.READ, packets),
        row(Hop.DECODE, packets),
        row(Hop.DECODE, 3, reason="truncated_network"),
        row(Hop.PRODUCE, packets),
        *(row(Hop.WINDOWS, share, part) for part, share in enumerate(shares)),
        row(Hop.MERGE, packets),
        *(row(Hop.STORE, share, part) for part, share in enumerate(shares)),
        row(Hop.ANALYSIS, packets),
        *(row(Hop.FLOWS, share, part) for part, share in enumerate(shares)),
        *(row(Hop.CLASSIFICATIONS, share, part) for part, share in enumerate(shares)),
    ]


def insert_ledger(store: Store, rows: list[LedgerRow]) -> None:
    """Insert ledger rows."""
    table = pa.Table.from_pylist([row.model_dump(mode="json") for row in rows], schema=LEDGER_SCHEMA)
    store.insert("ledger", table, f"test:{next(_tokens)}")


def insert_stored_capture(store: Store, windows: int = 2, **changed: Any) -> str:
    """Insert a complete capture with its windows and ledger; return its id."""
    capture_id = new_capture_id()
    insert_windows(store, *(window_values(capture_id, number) for number in range(windows)))
    insert_ledger(store, balanced_ledger(capture_id))
    insert_captures(store, capture_row(capture_id, **changed))
    return capture_id


def write_as_storage(store: Store, request: CaptureRequest, windows: int = 2) -> None:
    """Write what the agents would have written for a request."""
    insert_windows(store, *(window_values(request.capture_id, number) for number in range(windows)))
    insert_ledger(store, balanced_ledger(request.capture_id))
    insert_captures(
        store,
        capture_row(
            request.capture_id,
            name=request.name,
            fingerprint=request.fingerprint,
            window_ns=round(request.window_s * S),
        ),
    )


def refuse(request: CaptureRequest) -> None:
    """Fail: this test computes nothing."""
    raise AssertionError(f"nobody should have asked for {request.name}")


def refuse_windows(request: AnalysisRequest, _: bytes) -> None:
    """Fail: this test judges nothing again."""
    raise AssertionError(f"nobody should have asked for a run of kind {request.kind.value}")


class Running:
    """The server of a test: one client per port."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.http, self.analyzer = (
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) for port in settings.ports
        )


@contextmanager
def running(
    settings: Settings,
    store: Store,
    request_capture: RequestCapture = refuse,
    stall_s: float = 60.0,
    send_windows: SendWindows = refuse_windows,
    send_model: SendModels | None = None,
) -> Iterator[Running]:
    """Run the application over a store on free ports."""
    sockets = listen(settings)
    known = with_ports_of(settings, sockets)
    app = create_app(known, store, request_capture, send_windows=send_windows, send_model=send_model, stall_s=stall_s)
    with _served(app, known, sockets) as stack:
        yield stack


@contextmanager
def serving(app: FastAPI, settings: Settings) -> Iterator[Running]:
    """Run an application on free ports."""
    sockets = listen(settings)
    with _served(app, with_ports_of(settings, sockets), sockets) as stack:
        yield stack


@contextmanager
def _served(app: FastAPI, settings: Settings, sockets: list[socket.socket]) -> Iterator[Running]:
    """Run the real server in a thread."""
    server = server_of(app, settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": sockets})
    thread.start()
    stack = Running(settings)
    try:
        until(lambda: server.started or not thread.is_alive())
        yield stack
    finally:
        stack.http.close()
        stack.analyzer.close()
        server.should_exit = True
        thread.join()


def until(is_reached: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Wait for a condition; deletions are done at low priority, and a machine may be busy."""
    end_s = time.monotonic() + timeout_s
    while not is_reached():
        if time.monotonic() > end_s:
            raise TimeoutError
        time.sleep(0.01)


def folder_of(store: Store) -> str:
    """Return the folder of an embedded store."""
    [row] = store.query("SELECT value FROM system.server_settings WHERE name = 'path'")
    return str(row["value"])
