from __future__ import annotations

import logging
from pathlib import Path

import pytest

from api.app import create_app
from infra.store import Store
from tests.api.stack import Running, refuse, serving, settings_in, until


def test_every_error_has_the_keys_of_all_three_contracts(stack: Running) -> None:
    answers = [
        stack.http.get("/nowhere"),
        stack.http.delete("/health"),
        stack.http.get("/api/metrics/?limit=0"),
        stack.http.get("/api/metrics/7"),
        stack.http.post("/api/metrics/compute", content=b"a", headers={"content-type": "image/png"}),
        stack.http.post("/api/metrics/compute", content=b"a" * 70_000),
        stack.http.post("/api/control/capture/stop"),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 400, 404, 415, 413, 400]
    for answer in answers:
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert {"error", "message", "detail", "timestamp"} <= body.keys()
        assert body["message"] == body["detail"]


def test_a_wrong_method_is_told_the_right_ones(stack: Running) -> None:
    for method, path, allowed in (
        ("PUT", "/api/control/ping", "GET"),
        ("GET", "/api/metrics/compute", "POST"),
        ("POST", "/api/metrics/0", "GET"),
        ("GET", "/api/control/capture/stop", "POST"),
    ):
        answer = stack.http.request(method, path)
        assert (answer.status_code, answer.headers["allow"], answer.json()["error"]) == (
            405,
            allowed,
            "Method Not Allowed",
        )


def test_a_refusal_does_not_repeat_what_was_sent(stack: Running) -> None:
    answer = stack.http.post("/api/metrics/compute", json={"window_size": "hunter2"})
    assert "hunter2" not in answer.text


def test_a_fault_of_ours_is_a_500_without_its_cause(store: Store, tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path), store, refuse)

    @app.get("/fault")
    def fault() -> None:
        raise KeyError("secret of ours")

    with serving(app, settings_in(tmp_path)) as stack:
        answer = stack.http.get("/fault")
        assert answer.status_code == 500
        assert answer.json()["error"] == "Internal Server Error"
        assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("/api/metrics?limit=3&offset=1", "/api/metrics/?limit=3&offset=1"),
        ("/api/captures/", "/api/captures"),
        ("/health/", "/health"),
        ("/api/control/ping/", "/api/control/ping"),
    ],
)
def test_the_other_slash_form_is_a_permanent_redirect(stack: Running, asked: str, target: str) -> None:
    answer = stack.http.get(asked, headers={"host": "elsewhere.example"})
    assert (answer.status_code, answer.headers["location"]) == (308, target)
    assert stack.http.get(asked, follow_redirects=True).status_code == 200


def test_a_redirected_post_keeps_its_body(stack: Running) -> None:
    answer = stack.http.post("/api/metrics/compute/", json={"pcap_file": "no.pcap"}, follow_redirects=True)
    assert (answer.status_code, answer.json()["error"]) == (400, "PCAP file not found: no.pcap")


@pytest.mark.parametrize("path", ["//elsewhere.example/", "//elsewhere.example/health/", "/%2F/", "/a//"])
def test_no_path_redirects_to_another_host(stack: Running, path: str) -> None:
    answer = stack.http.request("GET", str(stack.http.base_url).rstrip("/") + path)
    assert answer.status_code == 404


def test_requests_are_logged_with_status_and_duration(stack: Running, caplog: pytest.LogCaptureFixture) -> None:
    def own() -> list[logging.LogRecord]:
        # A line is written once the answer is sent: that of another test's request may come only now.
        return [record for record in caplog.records if record.name == "api.access" and "%0A" in record.getMessage()]

    with caplog.at_level("INFO", logger="api.access"):
        stack.http.get("/api/metrics/%0A?limit=0")
        until(lambda: own() != [])
    [record] = own()
    assert record.getMessage() == "GET /api/metrics/%0A 400"
    assert vars(record)["query"] == "limit=0"
    assert vars(record)["port"] == stack.settings.ports[0]
    assert vars(record)["duration_ms"] > 0
