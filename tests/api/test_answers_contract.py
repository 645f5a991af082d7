"""The documents' own samples: every documented key is there, with the documented type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.store import Store
from tests.api.analysis import Worker, insert_all_baselines
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.samples import SAMPLES, STATUS, VERBATIM, lacks
from tests.api.stack import Running, insert_stored_capture, running, settings_in, write_as_storage


@pytest.fixture
def computed(store: Store, tmp_path: Path) -> Any:
    pcap = tmp_path / "web.pcap"
    pcap.write_bytes(b"x")
    capture_id = insert_stored_capture(store)
    loss = {"type": "packet_loss", "signal": "flow_loss", "metric": "packet_loss_percent", "current_value": 83.33}
    flow = {"flow_src": "10.0.15.35:51148", "flow_dst": "192.178.223.188:5228"}
    insert_anomalies(store, anomaly_values(capture_id, 0, **loss, **flow))
    insert_all_baselines(store, capture_id)
    settings = settings_in(tmp_path, pcap=pcap)
    worker = Worker(store)
    with running(settings, store, lambda request: write_as_storage(store, request), send_windows=worker) as stack:
        yield stack
    worker.close()


@pytest.mark.parametrize("request_line", SAMPLES)
def test_an_answer_has_every_documented_key_and_type(computed: Running, request_line: str) -> None:
    line, _, _ = request_line.partition(" (")
    method, path, body = [*line.split(" ", 2), ""][:3]
    client = computed.analyzer if "Analyzer" in request_line else computed.http
    answer = client.request(method, path, content=body)
    sample, got = json.loads(SAMPLES[request_line]), answer.json()
    assert answer.status_code == STATUS.get(request_line, 200)
    assert lacks(sample, got) == []
    if request_line != "GET /nowhere":
        verbatim = VERBATIM & sample.keys()
        assert {key: got[key] for key in verbatim} == {key: sample[key] for key in verbatim}


def test_the_comparison_sees_a_missing_key_and_another_type() -> None:
    sample = {"a": {"b": 1}, "c": [{"d": "x"}], "e": 1.5}
    assert lacks(sample, {"a": {"b": 2}, "c": [], "e": 1}) == []
    assert lacks(sample, {"a": {}, "c": [{"d": 3}], "e": None}) == [".a.b is missing", ".c[].d is 3", ".e is None"]
    assert lacks(sample, {"a": {"b": 1.0}, "c": {}, "e": True}) == [".a.b is 1.0", ".c is no list", ".e is True"]
