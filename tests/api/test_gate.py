from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from api.access import Scope
from infra.store import Store
from tests.api.keys import bearer, make_key
from tests.api.stack import Running, running, settings_in, until

COMPUTE = "/api/metrics/compute"


@pytest.fixture(scope="module")
def gated(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = settings_in(
        tmp_path_factory.mktemp("gated"),
        max_body_bytes=65_536,
        cors_origins="https://soc.example",
        local_needs_key=True,
    )
    with running(settings, module_store) as stack:
        yield stack


@pytest.fixture(scope="module")
def key(gated: Running) -> str:
    return make_key(gated.settings, Scope.CAPTURE, Scope.ADMIN, name="night shift")


def rows(stack: Running, key: str, **wanted: str) -> list[dict[str, object]]:
    answer = stack.http.get("/api/audit", params=wanted, headers=bearer(key))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


def test_every_answer_tells_browsers_what_to_keep_to(gated: Running) -> None:
    for path in ("/health", "/docs", "/no/such/path", "/api/metrics"):
        headers = gated.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers.get_list("cache-control") == ["no-store"]


def test_only_the_pages_of_named_sites_may_read_answers(gated: Running) -> None:
    ours = gated.http.get("/health", headers={"Origin": "https://soc.example"})
    assert ours.headers["access-control-allow-origin"] == "https://soc.example"
    assert "access-control-allow-credentials" not in ours.headers
    theirs = gated.http.get("/health", headers={"Origin": "https://evil.example"})
    assert theirs.status_code == 200
    assert "access-control-allow-origin" not in theirs.headers
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    preflight = gated.http.options(COMPUTE, headers={"Origin": "https://soc.example", **asked})
    assert preflight.status_code == 200
    refused = gated.http.options(COMPUTE, headers={"Origin": "https://evil.example", **asked})
    assert refused.status_code == 400
    assert refused.json()["message"] == "Disallowed CORS origin"
    url = f"ws://127.0.0.1:{gated.settings.ports[0]}/api/stream"
    with connect(url, origin="https://soc.example"):  # type: ignore[arg-type]
        pass


def test_no_site_is_named_by_default(stack: Running) -> None:
    answer = stack.http.get("/health", headers={"Origin": "https://soc.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert stack.http.options("/health", headers={"Origin": "https://soc.example"}).status_code == 405


@pytest.mark.parametrize("path", ["/predict", COMPUTE])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_that_is_too_long_is_refused(gated: Running, key: str, path: str, is_chunked: bool) -> None:
    body = b'{"pcap_file": "' + b"x" * 70_000 + b'"}'
    content = iter([body[:40_000], body[40_000:]]) if is_chunked else body
    sent = {**bearer(key), "Content-Type": "application/json"}
    answer = gated.http.post(path, content=content, headers=sent)
    assert answer.status_code == 413
    assert "65536" in answer.json()["message"]


def test_what_was_done_and_what_was_refused_is_in_the_audit(gated: Running, key: str) -> None:
    assert gated.http.post(COMPUTE, json={"pcap_file": "no/such.pcap"}, headers=bearer(key)).status_code == 400
    assert gated.http.post(COMPUTE).status_code == 401
    until(lambda: len(rows(gated, key, action="compute_windows", target=COMPUTE, outcome="refused")) >= 2)
    nobody, known = rows(gated, key, action="compute_windows")[:2]
    assert (nobody["who"], nobody["key_id"], nobody["status"]) == ("127.0.0.1", "", 401)
    assert (known["who"], known["key_id"], known["status"]) == ("night shift", key.split("_")[1], 400)
    assert known["address"] == "127.0.0.1"


def test_reading_is_not_in_the_audit(gated: Running, key: str) -> None:
    gated.http.get("/api/captures", headers=bearer(key))
    gated.http.get("/no/such/path")
    gated.http.get("/api/audit")
    # What comes last is written last.
    gated.http.post("/api/control/capture/stop", headers=bearer(key))
    until(lambda: rows(gated, key, action="stop_live_capture") != [])
    assert {row["target"] for row in rows(gated, key)} <= {COMPUTE, "/api/control/capture/stop"}
