from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.store import Store
from schemas.captures import CaptureRequest
from schemas.errors import BrokerError
from tests.api.stack import Running, running, settings_in, until, write_as_storage

UPLOAD = "/api/captures/upload"
PCAP = b"\xd4\xc3\xb2\xa1" + bytes(60)


@pytest.fixture
def requests() -> list[CaptureRequest]:
    return []


@pytest.fixture
def reading(store: Store, requests: list[CaptureRequest], tmp_path: Path) -> Iterator[Running]:
    """An API whose requests are noted; a test reads the file, or does not."""
    with running(settings_in(tmp_path), store, requests.append) as stack:
        yield stack


def test_an_uploaded_file_is_read_at_once(reading: Running, store: Store, requests: list[CaptureRequest]) -> None:
    answer = reading.http.post(UPLOAD, params={"name": "office.pcap"}, content=PCAP)
    body = answer.json()
    assert (answer.status_code, body["bytes"], body["from_cache"]) == (202, 64, False)
    (request,) = requests
    assert (request.capture_id, request.name) == (body["capture_id"], body["name"])
    assert Path(request.path).read_bytes() == PCAP
    # Asked for again while it is read: the same capture, and no second reading.
    again = reading.http.post(UPLOAD, params={"name": "office.pcap"}, content=PCAP).json()
    assert (again["capture_id"], len(requests)) == (body["capture_id"], 1)
    write_as_storage(store, request)

    def later() -> dict[str, object]:
        return dict(reading.http.post(UPLOAD, params={"name": "office.pcap"}, content=PCAP).json())

    until(lambda: later()["from_cache"] is True)
    assert (later()["capture_id"], len(requests)) == (body["capture_id"], 1)


def test_it_can_be_computed_by_the_name_it_was_given(
    reading: Running, store: Store, requests: list[CaptureRequest]
) -> None:
    name = reading.http.post(UPLOAD, params={"name": "office.pcap"}, content=PCAP).json()["name"]
    write_as_storage(store, requests[0])
    # 409 until it is noticed that the upload has been read.
    until(lambda: reading.http.post("/api/metrics/compute", json={"pcap_file": name}).status_code == 200)
    assert len(requests) == 1


def test_the_audit_says_who_uploaded_what(reading: Running, store: Store) -> None:
    body = reading.http.post(UPLOAD, params={"name": "office.pcap"}, content=PCAP).json()
    (entry,) = reading.http.get("/api/audit").json()["entries"]
    assert (entry["action"], entry["target"], entry["outcome"]) == ("capture.upload", "office.pcap", "done")
    assert entry["details"]["capture_id"] == body["capture_id"]


def test_what_is_no_capture_is_a_400_in_plain_words(reading: Running, requests: list[CaptureRequest]) -> None:
    answer = reading.http.post(UPLOAD, content=b"hello")
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert "not a capture file" in answer.json()["message"]
    assert requests == []


def test_a_broker_that_is_away_is_a_503_and_another_try_is_not_refused(store: Store, tmp_path: Path) -> None:
    def away(_: CaptureRequest) -> None:
        raise BrokerError("Kafka does not answer.")

    with running(settings_in(tmp_path), store, away) as stack:
        for _ in range(2):
            assert stack.http.post(UPLOAD, content=PCAP).status_code == 503


def test_what_an_earlier_service_left_is_removed_at_the_start(store: Store, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    part = settings.uploads_folder / ".part-abc"
    part.mkdir(parents=True)
    (part / "file").write_bytes(PCAP)
    with running(settings, store):
        until(lambda: not part.exists())
