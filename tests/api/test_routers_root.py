from __future__ import annotations

from pathlib import Path

from api.services import is_analyzer_port
from infra.store import Store
from tests.api.stack import Running, folder_of, insert_stored_capture, running, settings_in


def test_root_says_what_each_contract_documents(stack: Running) -> None:
    body = stack.http.get("/").json()
    assert body["message"] == "PhantomNet Active Defense System: ONLINE"
    assert body["service"] == "RL-based Intrusion Detection System API"
    assert body["status"] == "running"
    assert stack.http.get(body["docs"]).status_code == 200


def test_health_is_healthy_on_the_first_port_and_ok_on_the_analyzers(stack: Running) -> None:
    healthy, ok = stack.http.get("/health"), stack.analyzer.get("/health")
    assert (healthy.status_code, healthy.json()["status"]) == (200, "healthy")
    assert (ok.status_code, ok.json()["status"]) == (200, "ok")
    assert healthy.json().keys() == ok.json().keys()


def test_the_host_header_does_not_choose_the_contract(stack: Running) -> None:
    assert stack.http.get("/health", headers={"host": "localhost:5000"}).json()["status"] == "healthy"


def test_the_analyzers_port_is_5000_or_else_the_second_one(tmp_path: Path) -> None:
    def analyzer_ports(*ports: int) -> list[int]:
        settings = settings_in(tmp_path, ports=ports)
        return [port for port in (*ports, 5000) if is_analyzer_port(settings, port)]

    assert analyzer_ports(8000, 5000) == [5000, 5000]
    assert analyzer_ports(5000, 8000) == [5000, 5000]
    assert analyzer_ports(18000, 15000) == [15000, 5000]
    assert analyzer_ports(8000) == [5000]


def test_health_says_503_when_the_store_does_not_answer(tmp_path: Path, store: Store) -> None:
    # A closed store stands for one that went away: both raise StoreError with every call.
    gone = Store.open(f"chdb://{folder_of(store)}")
    gone.close()
    with running(settings_in(tmp_path), gone) as stack:
        answer = stack.http.get("/health")
        assert answer.status_code == 503
        assert answer.json()["status"] == "error"
        assert answer.json()["database"] == "The store does not answer."
        listed = stack.http.get("/api/metrics/")
        assert listed.status_code == 503
        assert listed.json()["error"] == "Service Unavailable"
        assert stack.http.get("/api/control/ping").status_code == 200


def test_status_says_whether_there_are_windows(stack: Running, store: Store) -> None:
    assert stack.http.get("/api/status").json()["data"]["metrics"] is False
    insert_stored_capture(store)
    assert stack.http.get("/api/status").json()["data"] == {
        "metrics": True,
        "baselines": False,
        "anomalies": False,
    }


def test_status_shows_the_configured_capture(store: Store, tmp_path: Path) -> None:
    with running(settings_in(tmp_path, pcap=tmp_path / "web.pcap"), store) as stack:
        assert stack.http.get("/api/status").json()["system"]["pcap_file"] == str(tmp_path / "web.pcap")
