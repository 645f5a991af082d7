"""The whole OpenAPI document against the service, with keys and without.

Every documented operation gets six requests, half of them with a key; ``SPANWATCH_EXAMPLES=N`` asks for N.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from api.access import Scope
from api.app import create_app
from api.errors import ANALYZER_PREFIXES
from infra.store import Store
from schemas.captures import CaptureRequest
from tests.api.analysis import Worker, baseline_values, insert_all_baselines, insert_baselines, scan_in_each
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.flows import flow_values, insert_flows, insert_packets, packet_values
from tests.api.keys import bearer, make_key
from tests.api.stack import (
    Running,
    empty_window_values,
    insert_stored_capture,
    insert_windows,
    running,
    settings_in,
    write_as_storage,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def fuzzed(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stack with one capture, and a file that can be computed at once."""

    def compute(request: CaptureRequest) -> None:
        write_as_storage(module_store, request)

    capture_id = insert_stored_capture(module_store, windows=3)
    insert_windows(module_store, empty_window_values(capture_id, 3))
    insert_anomalies(module_store, *(anomaly_values(capture_id, number) for number in range(3)))
    insert_all_baselines(module_store, capture_id)
    insert_baselines(module_store, baseline_values(capture_id, subject="10.0.0.1"))
    insert_flows(module_store, *(flow_values(capture_id, number) for number in range(3)))
    insert_packets(module_store, packet_values(capture_id, 1, 1, 2), packet_values(capture_id, 2, 2, 1))
    folder = tmp_path_factory.mktemp("fuzzed")
    pcap = folder / "web.pcap"
    pcap.write_bytes(b"x")
    worker = Worker(module_store, scan_in_each)
    known = settings_in(folder, pcap=pcap, limit_read="none", limit_act="none")
    with running(known, module_store, compute, send_windows=worker) as stack:
        yield stack
    worker.close()


# Keys are shown by the test: those that a tool makes up would all end in 401.
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})

schema = schemathesis.openapi.from_dict(create_app().openapi(), config=CONFIG)

turns = count()

EXAMPLES = int(os.environ.get("SPANWATCH_EXAMPLES", "6"))


@pytest.fixture(scope="module")
def key(fuzzed: Running) -> str:
    return make_key(fuzzed.settings, Scope.ADMIN)


@schema.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_request_gets_a_documented_answer(case: Any, fuzzed: Running, key: str) -> None:
    # In turns without a key, as this machine may, and with one, as everybody must.
    headers = [{}, bearer(key)][next(turns) % 2]
    case.call_and_validate(base_url=str(fuzzed.http.base_url), headers=headers, checks=CHECKS)


def test_every_operation_has_a_summary_and_an_example(fuzzed: Running) -> None:
    document = fuzzed.http.get("/openapi.json").json()
    models = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            for status, answer in operation["responses"].items():
                if "application/json" not in answer["content"]:
                    # A file, a stream or a page of text.
                    assert answer["content"], (path, status)
                    continue
                named = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert "example" in models[named], (path, status)


def test_no_operation_documents_422_where_the_contract_says_400(fuzzed: Running) -> None:
    document = fuzzed.http.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"] or not path.startswith(ANALYZER_PREFIXES), path
