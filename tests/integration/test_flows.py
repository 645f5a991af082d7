"""Flows through the whole stack are those of the meter over the same file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lab.labels import read_labels
from schemas.enums import FlowEnd
from schemas.flows import FEATURE_NAMES
from streams.chunks import CapturePlan, chunks
from streams.files import open_capture
from streams.flows import FlowMeter
from streams.wire import packets_of
from tests.integration.conftest import SAMPLES
from tests.integration.stack import Stack

pytestmark = pytest.mark.timeout(300)

WINDOW_NS = 10_000_000_000


@pytest.fixture(scope="module")
def computed(stack: Stack, sample: Path) -> dict[str, Any]:
    return stack.compute(sample)


@pytest.fixture(scope="module")
def metered(sample: Path) -> dict[str, dict[str, Any]]:
    """The newest record of every flow of the sample, by id."""
    rows: list[pa.Table] = []
    with open_capture(sample) as file:
        meter = None
        for chunk in chunks(file, CapturePlan("direct", "", "", "", WINDOW_NS, partitions=1)):
            meter = meter or FlowMeter(WINDOW_NS, chunk.header.origin_ns)
            for batch in chunk.batches:
                if batch is not None:
                    rows.append(meter.feed(packets_of(batch), chunk.header.clock_ns))
        assert meter is not None
        rows.append(meter.flush())
    records = pa.concat_tables(rows).to_pylist()
    records.sort(key=lambda row: (row["fwd_packets"] + row["bwd_packets"], row["end_reason"] != FlowEnd.INTERIM))
    return {f"{row['flow_id']:016x}": row for row in records}


def listed(stack: Stack, capture_id: str, **asked: Any) -> list[dict[str, Any]]:
    """Return every flow of a capture, page after page."""
    found: list[dict[str, Any]] = []
    answer = stack.remote.get("/api/flows/", capture=capture_id, limit=1000, **asked)
    while True:
        found += answer["flows"]
        if answer["next_cursor"] is None:
            assert len(found) == answer["total"]
            return found
        answer = stack.remote.get("/api/flows/", limit=1000, cursor=answer["next_cursor"], **asked)


def test_the_flows_of_a_file_are_those_of_the_meter(
    stack: Stack, computed: dict[str, Any], metered: dict[str, dict[str, Any]]
) -> None:
    flows = {flow["flow_id"]: flow for flow in listed(stack, computed["capture_id"])}
    assert flows.keys() == metered.keys()
    counts = Counter(flow["end_reason"] for flow in flows.values())
    assert counts == Counter(row["end_reason"] for row in metered.values())
    for flow_id, row in metered.items():
        shown = (flows[flow_id]["packets_forward"], flows[flow_id]["packets_backward"], flows[flow_id]["bytes"])
        assert shown == (row["fwd_packets"], row["bwd_packets"], row["fwd_bytes"] + row["bwd_bytes"])


def test_the_largest_flows_have_the_features_of_the_meter_and_all_their_packets(
    stack: Stack, computed: dict[str, Any], metered: dict[str, dict[str, Any]]
) -> None:
    capture_id = computed["capture_id"]
    for flow in stack.remote.get("/api/flows/", capture=capture_id, order="packets", limit=20)["flows"]:
        path = f"/api/flows/{flow['flow_id']}"
        detail = stack.remote.get(path, capture=capture_id)
        assert list(detail["features"]) == list(FEATURE_NAMES)
        assert list(detail["features"].values()) == metered[flow["flow_id"]]["features"]
        packets = stack.remote.get(f"{path}/packets", capture=capture_id, limit=1000)
        assert packets["total"] == flow["packets"]
        assert sum(packet["is_forward"] for packet in packets["packets"]) <= flow["packets_forward"]


def test_every_packet_is_in_a_flow_and_judged_or_said_not_to_be(stack: Stack, computed: dict[str, Any]) -> None:
    ledger = stack.remote.get(f"/api/captures/{computed['capture_id']}/ledger")
    assert ledger["is_balanced"]
    hops = {hop["hop"]: hop for hop in ledger["hops"]}
    for name, upstream in (("flows", "produce"), ("classifications", "flows")):
        shown = (hops[name]["packets_in"], hops[name]["packets_out"], hops[name]["upstream"])
        assert shown == (computed["packets"], computed["packets"], upstream)


def test_every_flow_has_a_verdict_and_those_of_a_scan_and_of_a_flood_are_attacks(
    stack: Stack, computed: dict[str, Any], metered: dict[str, dict[str, Any]]
) -> None:
    capture_id = computed["capture_id"]
    summary = stack.remote.get("/api/classifications/summary", capture=capture_id)
    assert summary["flows"] == len(metered)
    for label in read_labels(SAMPLES / "mixed.labels.csv"):
        if label.tool in ("nmap -sS", "hping3 -S"):
            times = {"from": label.start_ns / 1e9, "to": label.end_ns / 1e9}
            ends = {"source_ip": label.src_ip, "destination_ip": label.dst_ip, "destination_port": label.dst_port}
            given = {name: value for name, value in ends.items() if value is not None}
            of_label = stack.remote.get("/api/classifications/summary", capture=capture_id, **times, **given)
            assert of_label["flows"] > 100
            assert of_label["attacks"] > of_label["flows"] / 2, label


def test_a_named_attack_is_explained_beside_its_flow(stack: Stack, computed: dict[str, Any]) -> None:
    asked = {"capture": computed["capture_id"], "is_attack": True, "limit": 1000}
    listed = stack.remote.get("/api/classifications/", **asked)["classifications"]
    silent = next(verdict for verdict in listed if verdict["reasons"] is None)
    told = next(verdict for verdict in listed if verdict["reasons"] is not None)
    for verdict in (silent, told):
        flow = stack.remote.get(f"/api/flows/{verdict['flow_id']}", capture=computed["capture_id"])
        reasons = flow["classification"]["reasons"]
        assert [flow["features"][reason["feature"]] for reason in reasons] == [reason["value"] for reason in reasons]
        assert len(reasons) == 3
