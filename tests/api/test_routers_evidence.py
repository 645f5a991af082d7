from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api.files import NamedFile
from api.serve import SHUTDOWN_S
from api.services import MAX_EXTRACTIONS
from infra.store import Store
from tests.api.askers import asking, children
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import Running, S, capture_row, insert_captures, running, settings_in, until
from tests.tshark import is_tshark_missing

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "mixed.pcap.gz"
START_NS = 1_767_261_600 * 10**9
SCAN_ID = "00000000000000ab"

needs_tshark = pytest.mark.skipif(is_tshark_missing(), reason="tshark is not installed")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A capture file in the data root."""
    return Path(shutil.copy(SAMPLE, tmp_path / "mixed.pcap.gz"))


@pytest.fixture
def stack(store: Store, tmp_path: Path, file: Path) -> Iterator[Running]:
    with running(settings_in(tmp_path), store) as stack:
        yield stack


def first_ns(path: Path) -> int:
    """Return the time of a pcap file's first packet, by its header."""
    head = gzip.decompress(path.read_bytes())[:40]
    return int.from_bytes(head[24:28], "little") * S


def insert_capture(store: Store, file: Path, **changed: Any) -> None:
    values = {"fingerprint": NamedFile(file.resolve(), file.name).fingerprint(10.0), "name": file.name, **changed}
    insert_captures(store, capture_row("c", **values))


def insert_anomaly(store: Store, file: Path, **changed: Any) -> None:
    start_ns = first_ns(file)
    values = {
        "anomaly_id": SCAN_ID,
        "window_start_ns": start_ns,
        "window_end_ns": start_ns + 400 * S,
        "source_ip": "10.77.0.66",
        "destination_ip": "",
    }
    insert_anomalies(store, anomaly_values("c", 0, **{**values, **changed}))


def times(path: Path, display_filter: str) -> list[str]:
    command = ["tshark", "-n", "-r", str(path), "-Y", display_filter, "-T", "fields", "-e", "frame.time_epoch"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@needs_tshark
@pytest.mark.parametrize(
    ("signal", "fields"),
    [
        ("vertical_scan", ("ip.src#1", "ip.dst#1", "arp.src.proto_ipv4", "arp.dst.proto_ipv4")),
        ("arp_sweep", ("arp.src.proto_ipv4", "arp.dst.proto_ipv4")),
    ],
)
def test_the_packets_of_an_anomaly_are_those_of_its_source_and_time(
    stack: Running, store: Store, file: Path, tmp_path: Path, signal: str, fields: tuple[str, ...]
) -> None:
    insert_capture(store, file)
    insert_anomaly(store, file, signal=signal)
    answer = stack.http.get(f"/api/anomalies/{SCAN_ID}/pcap")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="anomaly-{SCAN_ID}.pcapng"'
    out = tmp_path / "out.pcapng"
    out.write_bytes(answer.content)
    expected = times(file, " || ".join(f"{field} == 10.77.0.66" for field in fields))
    assert times(out, "frame") == expected != []
    assert (answer.headers["x-packets"], answer.headers["x-truncated"]) == (str(len(expected)), "false")


def test_a_margin_widens_the_time_and_a_limit_is_told(stack: Running, store: Store, file: Path) -> None:
    insert_capture(store, file)
    start_ns = first_ns(file)
    insert_anomaly(store, file, window_start_ns=start_ns + 100 * S, window_end_ns=start_ns + 101 * S)

    def packets(**asked: int) -> tuple[int, str]:
        answer = stack.http.get(f"/api/anomalies/{SCAN_ID}/pcap", params=asked)
        return int(answer.headers["x-packets"]), answer.headers["x-truncated"]

    narrow, wide = packets(margin=0), packets(margin=100)
    assert 0 <= narrow[0] < wide[0]
    assert wide[1] == "false"
    assert packets(margin=100, max_packets=5) == (5, "true")


@needs_tshark
def test_a_dissection_reads_them_as_tshark_does(stack: Running, store: Store, file: Path) -> None:
    insert_capture(store, file)
    insert_anomaly(store, file)
    body = stack.http.get(f"/api/anomalies/{SCAN_ID}/dissect", params={"limit": 5, "first": 3}).json()
    assert (body["count"], [packet["number"] for packet in body["packets"]]) == (5, [3, 4, 5, 6, 7])
    assert body["total"] > 5000
    assert {"10.77.0.66"} <= {packet["source"] for packet in body["packets"]} | {
        packet["destination"] for packet in body["packets"]
    }
    assert all(packet["info"] and packet["protocol"] and packet["layers"] is None for packet in body["packets"])

    deep = stack.http.get(f"/api/anomalies/{SCAN_ID}/dissect", params={"limit": 1, "first": 3, "layers": True}).json()
    [packet] = deep["packets"]
    assert packet["layers"]["frame"]["frame.number"] == "3"
    assert float(packet["layers"]["frame"]["frame.time_epoch"]) == pytest.approx(packet["time"])
    assert {**packet, "layers": None} == body["packets"][0]


def test_packets_of_a_live_capture_come_from_its_ring(stack: Running, store: Store, file: Path, tmp_path: Path) -> None:
    insert_capture(store, file, source="live", name="eth0", fingerprint="")
    insert_anomaly(store, file)
    gone = stack.http.get(f"/api/anomalies/{SCAN_ID}/pcap")
    assert (gone.status_code, "ring is bounded" in gone.json()["message"]) == (410, True)
    ring = stack.settings.captures_folder / "c"
    ring.mkdir(parents=True)
    (ring / "000002.pcapng").write_bytes(gzip.decompress(file.read_bytes()))
    assert int(stack.http.get(f"/api/anomalies/{SCAN_ID}/pcap").headers["x-packets"]) > 5000


@needs_tshark
def test_a_segment_of_the_ring_that_cannot_be_read_is_told_and_logged(
    stack: Running, store: Store, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    insert_capture(store, file, source="live", name="eth0", fingerprint="")
    insert_anomaly(store, file)
    ring = stack.settings.captures_folder / "c"
    ring.mkdir(parents=True)
    (ring / "000001.pcapng").write_bytes(b"torn")
    (ring / "000002.pcapng").write_bytes(gzip.decompress(file.read_bytes()))
    body = stack.http.get(f"/api/anomalies/{SCAN_ID}/dissect", params={"limit": 1}).json()
    assert body["segments_gone"] == 0
    [sentence] = body["segments_unreadable"]
    assert sentence.startswith("000001.pcapng: is not a capture file")
    assert sentence in caplog.text
    headers = stack.http.get(f"/api/anomalies/{SCAN_ID}/pcap").headers
    assert (headers["x-segments-gone"], headers["x-segments-unreadable"]) == ("0", "1")


@needs_tshark
@pytest.mark.parametrize(
    ("what", "program"), [("pcap", "streams.extract"), ("dissect", "streams.extract"), ("dissect", "tshark")]
)
def test_packets_that_nobody_waits_for_are_not_taken_out_and_keep_no_place(
    stack: Running, store: Store, file: Path, what: str, program: str
) -> None:
    insert_capture(store, file)
    insert_anomaly(store, file)
    path = f"/api/anomalies/{SCAN_ID}/{what}"
    for _ in range(MAX_EXTRACTIONS + 1):
        with asking(stack, path, program):
            pass
        until(lambda: not children(program), timeout_s=10)
    assert stack.http.get(path).status_code == 200


def test_a_service_that_stops_does_not_wait_for_packets_to_be_taken_out(
    store: Store, file: Path, tmp_path: Path
) -> None:
    insert_capture(store, file)
    insert_anomaly(store, file)
    with ExitStack() as asker:
        with running(settings_in(tmp_path), store) as stack:
            asker.enter_context(asking(stack, f"/api/anomalies/{SCAN_ID}/pcap", "streams.extract"))
            began_s = time.monotonic()
        assert time.monotonic() - began_s < SHUTDOWN_S + 20
        assert not children("streams.extract")


@pytest.mark.parametrize("layout", ["changed", "deleted", "outside", "pipe", "nobody"])
def test_a_capture_without_its_file_is_a_sentence(
    stack: Running, store: Store, file: Path, tmp_path_factory: pytest.TempPathFactory, layout: str
) -> None:
    outside = shutil.copy(file, tmp_path_factory.mktemp("outside"))
    insert_anomaly(store, file)
    if layout == "outside":
        insert_capture(store, Path(outside), name=str(outside))
    elif layout == "pipe":
        insert_capture(store, file, name="-", fingerprint="")
    elif layout != "nobody":
        insert_capture(store, file)
    if layout == "changed":
        os.utime(file, ns=(1, 1))
    if layout == "deleted":
        file.unlink()
    answers = [stack.http.get(f"/api/anomalies/{SCAN_ID}/{what}") for what in ("pcap", "dissect")]
    says = {
        "changed": (410, "was changed after it was read"),
        "deleted": (410, "is gone, or lies outside"),
        "outside": (410, "is gone, or lies outside"),
        "pipe": (404, "read from a pipe"),
        "nobody": (410, "has been deleted"),
    }
    for answer in answers:
        assert answer.status_code == says[layout][0]
        assert says[layout][1] in answer.json()["message"]
        assert str(outside) not in answer.text


def test_an_unknown_anomaly_is_not_found(stack: Running) -> None:
    for what in ("pcap", "dissect"):
        answer = stack.http.get(f"/api/anomalies/{SCAN_ID}/{what}")
        assert (answer.status_code, answer.json()["error"]) == (404, "Anomaly not found")
        assert stack.http.get(f"/api/anomalies/nonsense/{what}").status_code == 400
        assert stack.http.get(f"/api/anomalies/{SCAN_ID}/{what}", params={"margin": "nan"}).status_code == 400
