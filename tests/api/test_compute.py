from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.compute import new_capture_id
from infra.store import Store
from schemas.captures import CaptureRequest, LedgerRow
from schemas.enums import CaptureState
from schemas.errors import BrokerError
from tests.api.stack import (
    Running,
    balanced_ledger,
    capture_row,
    insert_captures,
    insert_ledger,
    insert_stored_capture,
    running,
    settings_in,
    until,
    write_as_storage,
)

COMPUTE = "/api/metrics/compute"


class Reader:
    """Stands where the agents stand: takes requests and writes the rows they would lead to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.requests: list[CaptureRequest] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.threads = ThreadPoolExecutor(4)

    def __call__(self, request: CaptureRequest) -> None:
        self.requests.append(request)
        self.threads.submit(self._write, request)

    def _write(self, request: CaptureRequest) -> None:
        self.may_write.wait(30)
        write_as_storage(self.store, request)


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    reader = Reader(store)
    yield reader
    reader.may_write.set()
    reader.threads.shutdown()


@pytest.fixture
def capture_file(tmp_path: Path) -> Path:
    # Only named, hashed and handed on: the reader of these tests does not look inside.
    path = tmp_path / "web.pcap"
    path.write_bytes(b"x" * 100)
    return path


@pytest.fixture
def computing(store: Store, reader: Reader, tmp_path: Path, capture_file: Path) -> Iterator[Running]:
    with running(settings_in(tmp_path), store, reader) as stack:
        yield stack


@contextmanager
def asked_in_background(ask: Callable[[], httpx.Response]) -> Iterator[Callable[[], httpx.Response]]:
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(ask).result


def test_a_compute_answers_when_its_windows_are_stored(computing: Running, reader: Reader) -> None:
    answer = computing.http.post(COMPUTE, json={"source": "pcap", "pcap_file": "web.pcap", "window_size": 10})
    assert answer.status_code == 200
    body = answer.json()
    [request] = reader.requests
    assert body["success"] is True
    assert body["message"] == "Metrics computed successfully"
    assert (body["window_count"], body["window_size"], body["packets"]) == (2, 10, 87)
    assert (body["capture_id"], body["from_cache"]) == (request.capture_id, False)
    assert computing.http.get(body["metrics_file"]).json()["total"] == body["window_count"]


def test_the_request_names_the_resolved_file(
    computing: Running, reader: Reader, capture_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    computing.http.post(COMPUTE, json={"pcap_file": "folder/../web.pcap", "window_size": 30})
    [request] = reader.requests
    assert request.path == str(capture_file)
    assert request.name == "folder/../web.pcap"
    assert request.window_s == 30
    assert request.speed == 0


def test_the_same_file_is_answered_from_the_store(computing: Running, reader: Reader) -> None:
    first = computing.http.post(COMPUTE, json={"pcap_file": "web.pcap"}).json()
    second = computing.http.post(COMPUTE, json={"pcap_file": "./web.pcap"}).json()
    assert len(reader.requests) == 1
    assert second["from_cache"] is True
    same = first.keys() - {"from_cache", "computation_time", "timestamp"}
    assert {key: first[key] for key in same} == {key: second[key] for key in same}


def test_another_window_size_or_a_changed_file_is_computed(
    computing: Running, reader: Reader, capture_file: Path
) -> None:
    body = {"pcap_file": "web.pcap", "window_size": 10}
    computing.http.post(COMPUTE, json=body)
    assert computing.http.post(COMPUTE, json={**body, "window_size": 5}).json()["window_size"] == 5
    os.utime(capture_file, ns=(0, 1))
    assert computing.http.post(COMPUTE, json=body).json()["from_cache"] is False
    assert len({request.fingerprint for request in reader.requests}) == 3


def test_force_computes_again_and_removes_the_older_capture(computing: Running, store: Store) -> None:
    first = computing.http.post(COMPUTE, json={"pcap_file": "web.pcap"}).json()
    second = computing.http.post(COMPUTE, json={"pcap_file": "web.pcap", "force": True}).json()
    assert second["from_cache"] is False
    # The older one goes after the answer, from each table by itself.
    until(lambda: computing.http.get(f"/api/captures/{first['capture_id']}").status_code == 404)
    listed = computing.http.get("/api/captures").json()["captures"]
    assert [capture["capture_id"] for capture in listed] == [second["capture_id"]]
    until(lambda: store.query("SELECT uniqExact(capture_id) AS n FROM windows") == [{"n": 1}])


def test_readers_have_the_older_capture_until_a_forced_one_is_complete(computing: Running, reader: Reader) -> None:
    first = computing.http.post(COMPUTE, json={"pcap_file": "web.pcap"}).json()
    reader.may_write.clear()
    forced = {"pcap_file": "web.pcap", "force": True}
    with asked_in_background(lambda: computing.http.post(COMPUTE, json=forced)) as result:
        until(lambda: len(reader.requests) == 2)
        assert computing.analyzer.get("/api/metrics/").json()["capture_id"] == first["capture_id"]
        reader.may_write.set()
        assert result().json()["capture_id"] != first["capture_id"]


def test_a_second_compute_of_the_same_file_gets_409(computing: Running, reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "dns.pcap").write_bytes(b"y")
    reader.may_write.clear()
    with asked_in_background(lambda: computing.http.post(COMPUTE, json={"pcap_file": "web.pcap"})) as result:
        until(lambda: len(reader.requests) == 1)
        second = computing.analyzer.post(COMPUTE, json={"pcap_file": "web.pcap", "force": True})
        assert second.status_code == 409
        assert second.json()["success"] is False
        with asked_in_background(lambda: computing.analyzer.post(COMPUTE, json={"pcap_file": "dns.pcap"})) as other:
            until(lambda: len(reader.requests) == 2)
            reader.may_write.set()
            assert other().status_code == 200
        assert result().status_code == 200
    assert computing.http.post(COMPUTE, json={"pcap_file": "web.pcap"}).json()["from_cache"] is True


def test_the_api_answers_while_a_file_is_computed(computing: Running, reader: Reader) -> None:
    reader.may_write.clear()
    with asked_in_background(lambda: computing.http.post(COMPUTE, json={"pcap_file": "web.pcap"})) as result:
        until(lambda: len(reader.requests) == 1)
        assert computing.analyzer.get("/health").status_code == 200
        reader.may_write.set()
        assert result().status_code == 200


def test_a_file_that_is_no_capture_is_a_400_that_says_why(store: Store, tmp_path: Path, capture_file: Path) -> None:
    def fail(request: CaptureRequest) -> None:
        row = capture_row(
            request.capture_id, fingerprint=request.fingerprint, state=CaptureState.FAILED, error="Not a capture."
        )
        insert_captures(store, row)

    with running(settings_in(tmp_path), store, fail) as stack:
        answer = stack.http.post(COMPUTE, json={"pcap_file": "web.pcap"})
        assert answer.status_code == 400
        assert answer.json()["success"] is False
        assert "Not a capture." in answer.json()["error"]
        # The failed one is not taken for a computed one.
        assert stack.http.post(COMPUTE, json={"pcap_file": "web.pcap"}).status_code == 400


def test_a_compute_that_does_not_move_is_given_up_and_can_be_asked_again(
    store: Store, tmp_path: Path, capture_file: Path
) -> None:
    taken: list[CaptureRequest] = []
    with running(settings_in(tmp_path), store, taken.append, stall_s=0.3) as stack:
        for _ in range(2):
            answer = stack.http.post(COMPUTE, json={"pcap_file": "web.pcap"})
            assert answer.status_code == 503
            assert answer.json()["success"] is False
    assert len(taken) == 2


def test_a_compute_that_moves_slowly_is_not_given_up(store: Store, tmp_path: Path, capture_file: Path) -> None:
    stall_s = 1.0

    def work(request: CaptureRequest) -> None:
        for version in range(1, 8):
            row = capture_row(
                request.capture_id, version=version, state=CaptureState.RUNNING, packets=version, ended_ns=None
            )
            insert_captures(store, row)
            threading.Event().wait(stall_s / 3)
        insert_captures(store, capture_row(request.capture_id, version=8, fingerprint=request.fingerprint))
        write_as_storage(store, request)

    def take(request: CaptureRequest) -> None:
        threading.Thread(target=work, args=(request,)).start()

    with running(settings_in(tmp_path), store, take, stall_s=stall_s) as stack:
        assert stack.http.post(COMPUTE, json={"pcap_file": "web.pcap"}).status_code == 200


def test_a_compute_answers_once_the_last_line_of_the_ledger_is_there(
    store: Store, tmp_path: Path, capture_file: Path
) -> None:
    told: list[LedgerRow] = []

    def work(request: CaptureRequest) -> None:
        insert_captures(store, capture_row(request.capture_id, fingerprint=request.fingerprint))
        for line in balanced_ledger(request.capture_id):
            # A line that is told again, with another count, is no further one.
            for version in (1, 2):
                told.append(line.model_copy(update={"version": version}))
                insert_ledger(store, [told[-1]])
                threading.Event().wait(0.03)

    def take(request: CaptureRequest) -> None:
        threading.Thread(target=work, args=(request,)).start()

    with running(settings_in(tmp_path), store, take, stall_s=10) as stack:
        answer = stack.http.post(COMPUTE, json={"pcap_file": "web.pcap"})
        lines = {(line.hop, line.partition, line.reason) for line in told}
    assert answer.status_code == 200
    assert len(lines) == len(balanced_ledger(answer.json()["capture_id"]))


def test_a_broker_that_does_not_answer_is_a_503(store: Store, tmp_path: Path, capture_file: Path) -> None:
    def no_broker(request: CaptureRequest) -> None:
        raise BrokerError(f"not reached for {request.path}")

    with running(settings_in(tmp_path), store, no_broker) as stack:
        answer = stack.http.post(COMPUTE, json={"pcap_file": "web.pcap"})
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text


def test_the_configured_capture_is_the_default(store: Store, tmp_path: Path, reader: Reader) -> None:
    outside = tmp_path / "outside.pcap"
    outside.write_bytes(b"z")
    (tmp_path / "root").mkdir()
    settings = settings_in(tmp_path, data_roots=str(tmp_path / "root"), pcap=outside, window_s=20.0)
    with running(settings, store, reader) as stack:
        body = stack.http.post(COMPUTE).json()
        assert (body["success"], body["window_size"]) == (True, 20)
        assert reader.requests[0].path == str(outside)
        assert stack.http.post(COMPUTE, json={"pcap_file": str(outside)}).json()["from_cache"] is True


def test_without_a_file_and_a_configured_one_it_is_a_400(stack: Running) -> None:
    answer = stack.http.post(COMPUTE)
    assert answer.status_code == 400
    assert answer.json()["success"] is False


def test_without_a_live_capture_there_is_none_to_compute(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    answer = stack.http.post(COMPUTE, json={"source": "live"})
    assert answer.status_code == 400
    assert "live capture" in answer.json()["error"]


def test_a_live_capture_is_computed_as_it_goes(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(
        store, windows=3, source="live", name="eth0", state=CaptureState.RUNNING, started_ns=1
    )
    insert_stored_capture(store)
    body = stack.http.post(COMPUTE, json={"source": "live"}).json()
    assert (body["success"], body["capture_id"], body["window_count"]) == (True, capture_id, 3)
    assert (body["window_size"], body["from_cache"]) == (10, True)
    assert stack.http.get(body["metrics_file"]).json()["total"] == 3
    assert stack.http.post(COMPUTE, json={"source": "live", "window_size": 10}).status_code == 200
    other = stack.http.post(COMPUTE, json={"source": "live", "window_size": 5})
    assert (other.status_code, "10 s" in other.json()["error"]) == (400, True)


def test_a_missing_file_is_the_documented_400(stack: Running) -> None:
    answer = stack.http.post(COMPUTE, json={"pcap_file": "invalid/path.pcapng"})
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["error"] == "PCAP file not found: invalid/path.pcapng"


@pytest.mark.parametrize(
    "body",
    [
        {"window_size": 0},
        {"window_size": 301},
        {"window_size": "10"},
        {"window_size": True},
        {"window_size": 2.5},
        {"force": "yes"},
        {"source": "ftp"},
        {"pcap_file": 5},
        {"pcap_file": ""},
        [],
        "web.pcap",
        7,
    ],
)
def test_a_body_with_nonsense_is_refused(stack: Running, body: object) -> None:
    answer = stack.http.post(COMPUTE, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"pcap_file": "\\ud800"}', b"[" * 60_000, b"nan"])
def test_a_body_that_is_no_json_is_refused(stack: Running, body: bytes) -> None:
    answer = stack.http.post(COMPUTE, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


@pytest.mark.parametrize("content_type", [None, "application/json; charset=utf-8", "application/x-www-form-urlencoded"])
def test_a_body_needs_no_content_type(computing: Running, reader: Reader, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = computing.http.post(COMPUTE, content=b'{"pcap_file": "web.pcap", "window_size": 7.0}', headers=headers)
    assert answer.json()["window_size"] == 7
    assert reader.requests[0].window_s == 7


def test_a_body_that_says_it_is_not_json_is_415(stack: Running) -> None:
    answer = stack.http.post(COMPUTE, content=b"<a/>", headers={"content-type": "text/xml"})
    assert (answer.status_code, answer.json()["error"]) == (415, "Unsupported Media Type")


def test_a_body_that_is_too_long_is_413(stack: Running) -> None:
    answer = stack.http.post(COMPUTE, content=b" " * 65_537)
    assert (answer.status_code, answer.json()["error"]) == (413, "Content Too Large")


def test_capture_ids_sort_by_time_and_fit_a_url() -> None:
    ids = []
    for _ in range(3):
        ids.append(new_capture_id())
        threading.Event().wait(0.002)
    assert ids == sorted(ids)
    assert all(len(one) == 15 and one.isalnum() and one == one.lower() for one in ids)
    assert len({new_capture_id() for _ in range(1000)}) == 1000
