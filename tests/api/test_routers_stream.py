from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from api import subscription as subscriptions
from infra.store import Store
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import Running, insert_windows, running, settings_in, until, window_values


def url(stack: Running, query: str = "") -> str:
    return f"ws://127.0.0.1:{stack.settings.ports[0]}/api/stream{query}"


def listeners(stack: Running, state: str) -> float:
    """Return how many subscribers there are in a state, as the service itself counts them."""
    name = f'spanwatch_stream_subscribers{{state="{state}"}} '
    [line] = [line for line in stack.http.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))


def read(listener: ClientConnection) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(listener.recv(timeout=20))
    return body


@contextmanager
def events(stack: Running, query: str = "", **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    """Yield server-sent events as the standard says to read them: fields of lines up to an empty one."""

    def parsed(lines: Iterator[str]) -> Iterator[dict[str, str]]:
        fields: dict[str, str] = {}
        for line in lines:
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield fields
                fields = {}

    with stack.http.stream("GET", f"/api/stream/events{query}", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield parsed(answer.iter_lines())


def test_a_socket_tells_windows_and_anomalies_in_the_form_of_their_lists(stack: Running, store: Store) -> None:
    with connect(url(stack)) as listener:
        assert read(listener)["event"] == "ready"
        insert_windows(store, window_values("c", 3))
        window = read(listener)
        insert_anomalies(store, anomaly_values("c", 3))
        anomaly = read(listener)
    listed = stack.http.get("/api/metrics/3", params={"capture": "c"})
    assert (window["event"], window["data"]["window_id"]) == ("window", 3)
    assert listed.status_code in (200, 404)
    assert anomaly["event"] == "anomaly"
    assert (anomaly["data"]["type"], anomaly["data"]["source_ip"]) == ("port_scan", "10.0.0.9")
    assert anomaly["data"]["explanation"]["rule"] == "r"


def test_server_sent_events_tell_the_same(stack: Running, store: Store) -> None:
    with connect(url(stack)) as listener, events(stack) as told:
        ready, greeted = next(told), read(listener)
        insert_anomalies(store, anomaly_values("c", 3))
        event, message = next(told), read(listener)
    assert (ready["event"], ready["id"]) == ("ready", greeted["id"])
    assert (event["event"], event["id"], json.loads(event["data"])) == ("anomaly", message["id"], message["data"])


def test_a_reconnecting_client_goes_on_behind_the_last_id(stack: Running, store: Store) -> None:
    with connect(url(stack, "?kinds=windows")) as listener:
        last = read(listener)["id"]
    insert_windows(store, *(window_values("c", number) for number in range(3)))
    found = []
    for _ in range(3):
        with connect(url(stack, f"?kinds=windows&last_event_id={last}")) as listener:
            assert read(listener)["event"] == "ready"
            message = read(listener)
        found.append(message["data"]["window_id"])
        last = message["id"]
    assert found == [0, 1, 2]
    # A browser's EventSource sends the header by itself.
    first = last.rpartition("-")[0] + "-0"
    with events(stack, "?kinds=windows", **{"Last-Event-ID": first}) as told:
        assert [next(told)["event"], json.loads(next(told)["data"])["window_id"]] == ["ready", 1]


def test_filters_restrict_what_is_told(stack: Running, store: Store) -> None:
    query = "?kinds=anomalies&severity=high&type=port_scan,packet_loss&capture=c&source_ip=10.0.0.9"
    with connect(url(stack, query)) as listener:
        read(listener)
        insert_windows(store, window_values("c"))
        insert_anomalies(
            store,
            anomaly_values("c", 0, severity="medium"),
            anomaly_values("d", 1),
            anomaly_values("c", 2, type="traffic_spike"),
            anomaly_values("c", 3, source_ip="10.0.0.1"),
            anomaly_values("c", 4),
        )
        assert read(listener)["data"]["window_id"] == 4


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("kinds=flows", "kinds: it is one of windows, anomalies"),
        ("type=nonsense", "type: it is one of traffic_spike"),
        ("severity=low", "severity: it is one of medium, high"),
        ("source_ip=hunter2", "source_ip: it is not an IP address"),
        ("capture=%20", "capture: it is not a capture id"),
        ("capture=" + ",".join(map(str, range(65))), "capture: 64 values are the most"),
        ("colour=red", "colour is no filter"),
        ("last_event_id=7", "last_event_id: it is not the id of an event"),
    ],
)
def test_nonsense_is_refused_before_the_stream_begins(stack: Running, query: str, says: str) -> None:
    if query != "capture=%20":
        answer = stack.http.get(f"/api/stream/events?{query}")
        assert (answer.status_code, says in answer.json()["message"]) == (400, True)
        with pytest.raises(InvalidStatus) as refused, connect(url(stack, f"?{query}")):
            pass
        assert refused.value.response.status_code == 400
        assert says in json.loads(refused.value.response.body or b"")["message"]


def test_pages_of_other_sites_may_not_open_the_socket(stack: Running) -> None:
    own = f"http://127.0.0.1:{stack.settings.ports[0]}"
    with connect(url(stack), origin=own) as listener:
        assert read(listener)["event"] == "ready"
    with pytest.raises(InvalidStatus) as refused, connect(url(stack), origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403


def test_without_news_a_heartbeat_carries_the_id(store: Store, tmp_path: Path) -> None:
    query = "?kinds=anomalies&severity=high"
    with (
        running(settings_in(tmp_path, stream_heartbeat_s=1), store) as stack,
        connect(url(stack, query)) as listener,
        events(stack, query) as told,
    ):
        ready, greeted = read(listener), next(told)
        insert_anomalies(store, anomaly_values("c", 0, severity="medium"))
        while (beat := read(listener))["id"] == ready["id"]:
            assert (beat["event"], beat["data"]) == ("heartbeat", {})
        while (beaten := next(told))["id"] == greeted["id"]:
            assert "event" not in beaten
        assert (beat["id"], beat["event"]) == (beaten["id"], "heartbeat")


def test_a_client_that_does_not_read_is_dropped_with_a_reason(
    store: Store, stack: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "MAX_WAITING", 10)
    slow = socket.create_connection(("127.0.0.1", stack.settings.ports[0]))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with connect(url(stack), sock=slow, max_queue=1, compression=None) as listener:
        assert read(listener)["event"] == "ready"
        until(lambda: listeners(stack, "live") == 1)
        for number in range(60):
            insert_windows(store, *(window_values("c", 100 * number + n) for n in range(100)))
        found = [read(listener)]
        while found[-1]["event"] != "dropped":
            found.append(read(listener))
        with pytest.raises(ConnectionClosedError) as closed:
            read(listener)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason[:8]) == (1013, "too slow")
    told = [message["data"]["window_id"] for message in found[:-1]]
    assert told == list(range(len(told)))
    with connect(url(stack, f"?last_event_id={found[-1]['id']}")) as listener:
        read(listener)
        assert read(listener)["data"]["window_id"] == len(told)


def test_who_has_gone_is_not_counted_any_more(stack: Running) -> None:
    with connect(url(stack)) as one, events(stack) as other:
        read(one)
        next(other)
        until(lambda: listeners(stack, "live") == 2)
    until(lambda: listeners(stack, "live") == listeners(stack, "catching_up") == 0)


def test_a_stop_does_not_wait_for_listeners(store: Store, tmp_path: Path) -> None:
    with ExitStack() as opened:
        with running(settings_in(tmp_path), store) as stack:
            listener = opened.enter_context(connect(url(stack)))
            told = opened.enter_context(events(stack))
            assert read(listener)["event"] == next(told)["event"] == "ready"
        with pytest.raises(ConnectionClosedError):
            listener.recv(timeout=20)
