from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterable
from contextlib import aclosing

import pytest

from api import subscription as subscriptions
from api.cursor import Cursor, Kind, Position
from api.feed import MAX_SUBSCRIBERS, PAGE, Feed, FeedFullError
from api.subscription import MAX_WAITING, Filter, Message, Subscription
from infra.store import Store
from tests.api.classifications import insert_verdicts, verdict_values
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.flows import FLOW_ID, mapped
from tests.api.stack import insert_windows, window_values


def quick(store: Store) -> Feed:
    return Feed(store, heartbeat_s=0.2, poll_s=0.01)


async def next_events(subscription: Subscription, count: int) -> list[Message]:
    """Return so many events, and close."""
    found: list[Message] = []
    async with aclosing(subscription.messages()) as messages:
        async for message in messages:
            if message.name in (Kind.WINDOW, Kind.ANOMALY):
                found.append(message)
            if len(found) >= count:
                break
    subscription.close()
    return found


async def until_quiet(subscription: Subscription) -> list[Message]:
    """Return what comes until nothing does for a heartbeat, and close."""
    found: list[Message] = []
    async with aclosing(subscription.messages()) as messages:
        async for message in messages:
            found.append(message)
            if message.name in ("heartbeat", "dropped"):
                break
    subscription.close()
    return found


def names(messages: Iterable[Message]) -> list[str]:
    return [message.name for message in messages]


def window_ids(messages: Iterable[Message]) -> list[int]:
    return [json.loads(message.data)["window_id"] for message in messages if message.name == Kind.WINDOW]


def test_only_what_comes_after_the_beginning_is_told(store: Store) -> None:
    insert_windows(store, window_values("old"))

    async def told() -> list[Message]:
        subscription = await quick(store).subscribe(Filter())
        await asyncio.to_thread(insert_windows, store, window_values("new", 5))
        return await next_events(subscription, 1)

    [event] = asyncio.run(told())
    assert (event.name, json.loads(event.data)["capture_id"], window_ids([event])) == ("window", "new", [5])


def test_a_correction_is_told_again_and_a_rejudged_anomaly_is_not(store: Store) -> None:
    async def told() -> list[Message]:
        subscription = await quick(store).subscribe(Filter())
        insert_windows(store, window_values("c", 0))
        insert_windows(store, window_values("c", 0, version=2, record_count=99))
        insert_anomalies(store, anomaly_values("c", 0, run_id="r1"), anomaly_values("c", 1))
        return await until_quiet(subscription)

    events = asyncio.run(told())
    assert names(events) == ["ready", "window", "window", "anomaly", "heartbeat"]
    assert [json.loads(event.data)["record_count"] for event in events[1:3]] == [87, 99]
    assert json.loads(events[3].data)["window_id"] == 1


def test_filters_hold_back_what_was_not_asked_for_and_still_move_the_id(store: Store) -> None:
    async def told(wanted: Filter, cursor: Cursor) -> list[Message]:
        return await until_quiet(await quick(store).subscribe(wanted, cursor))

    start = asyncio.run(_now(store))
    insert_windows(store, window_values("a"), window_values("b"))
    insert_anomalies(
        store,
        anomaly_values("a", 0),
        anomaly_values("a", 1, severity="medium"),
        anomaly_values("b", 2, type="packet_loss", source_ip="10.0.0.1"),
    )

    def found(**wanted: frozenset[str]) -> list[int]:
        events = asyncio.run(told(Filter(kinds=frozenset({Kind.ANOMALY}), **wanted), start))
        assert Cursor.parse(events[-1].id).at[Kind.ANOMALY].row == 2
        return [json.loads(event.data)["window_id"] for event in events if event.name == Kind.ANOMALY]

    assert found() == [0, 1, 2]
    assert found(severities=frozenset({"high"})) == [0, 2]
    assert found(types=frozenset({"packet_loss", "traffic_spike"})) == [2]
    assert found(captures=frozenset({"a"})) == [0, 1]
    assert found(source_ips=frozenset({"10.0.0.1"}), captures=frozenset({"a"})) == []
    assert names(asyncio.run(told(Filter(captures=frozenset({"b"})), start))) == [
        "ready",
        "window",
        "anomaly",
        "heartbeat",
    ]


async def _now(store: Store) -> Cursor:
    subscription = await quick(store).subscribe(Filter())
    subscription.close()
    return Cursor.parse(subscription.id)


def test_more_than_a_page_is_caught_up_with_in_order(store: Store) -> None:
    start = asyncio.run(_now(store))
    count = 2 * PAGE + 7
    for first in range(0, count, 101):
        insert_windows(store, *(window_values("c", number) for number in range(first, min(first + 101, count))))

    async def told() -> list[Message]:
        return await next_events(await quick(store).subscribe(Filter(), start), count)

    assert window_ids(asyncio.run(told())) == list(range(count))


def test_nothing_is_lost_or_doubled_by_reconnects_while_several_write_and_parts_merge(store: Store) -> None:
    """What a time of insertion could not promise: inserts that overlap become visible in another order."""
    writers, inserts = 4, 25
    expected = writers * inserts * 3
    done = threading.Event()

    def write(number: int) -> None:
        for at in range(inserts):
            ids = range(3 * at, 3 * at + 3)
            if number % 2:
                insert_windows(store, *(window_values(f"w{number}", window_id) for window_id in ids))
            else:
                insert_anomalies(store, *(anomaly_values(f"w{number}", window_id) for window_id in ids))

    def merge() -> None:
        while not done.wait(0.02):
            store.command("OPTIMIZE TABLE windows FINAL")
            store.command("OPTIMIZE TABLE anomalies FINAL")

    async def read() -> list[tuple[str, int]]:
        chance, found, feed = random.Random(7), list[tuple[str, int]](), quick(store)
        bystander = asyncio.create_task(next_events(await feed.subscribe(Filter()), expected))
        cursor: Cursor | None = None
        subscription = await feed.subscribe(Filter())
        threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
        merger = threading.Thread(target=merge)
        for thread in (*threads, merger):
            thread.start()
        while len(found) < expected:
            events = await next_events(subscription, min(chance.randint(1, 20), expected - len(found)))
            found += [(body["capture_id"], body["window_id"]) for body in map(json.loads, (e.data for e in events))]
            cursor = Cursor.parse(events[-1].id)
            subscription = await feed.subscribe(Filter(), cursor)
        assert names(await until_quiet(subscription)) == ["ready", "heartbeat"]
        assert len(await bystander) == expected
        done.set()
        for thread in (*threads, merger):
            await asyncio.to_thread(thread.join)
        return found

    found = asyncio.run(read())
    assert len(found) == len(set(found)) == expected


def test_the_store_is_looked_at_only_while_somebody_listens(store: Store) -> None:
    async def watched() -> list[bool]:
        feed = quick(store)
        seen = [feed.is_polling]
        for _ in range(2):
            one, two = await feed.subscribe(Filter()), await feed.subscribe(Filter())
            await until_quiet(one)
            seen.append(feed.is_polling)
            await until_quiet(two)
            while feed.is_polling:
                await asyncio.sleep(0.01)
            assert feed.subscribers == 0
        return seen

    assert asyncio.run(watched()) == [False, True, True]


def test_who_does_not_read_is_dropped_and_can_go_on_where_it_was(store: Store) -> None:
    count = MAX_WAITING + 50

    async def read() -> tuple[list[Message], list[Message]]:
        feed = Feed(store, poll_s=0.01)
        subscription = await feed.subscribe(Filter())
        async with aclosing(subscription.messages()) as messages:
            first = [await anext(messages)]
            pending = asyncio.ensure_future(anext(messages))
            while not feed.is_polling:
                await asyncio.sleep(0.01)
            insert_windows(store, window_values("c", 0))
            first.append(await pending)
            insert_windows(store, *(window_values("c", number) for number in range(1, count)))
            while not subscription.is_dropped:
                await asyncio.sleep(0.01)
            assert not subscription._waiting
            first += [message async for message in messages]
        subscription.close()
        again = await feed.subscribe(Filter(), Cursor.parse(first[-1].id))
        return first, await next_events(again, count - 1)

    first, rest = asyncio.run(read())
    assert names(first) == ["ready", "window", "dropped"]
    assert "Too slow" in json.loads(first[-1].data)["message"]
    assert window_ids(rest) == list(range(1, count))


def test_an_id_of_another_store_is_told_to_be_one(store: Store) -> None:
    async def told(cursor: Cursor) -> list[Message]:
        return await until_quiet(await quick(store).subscribe(Filter(), cursor))

    insert_windows(store, window_values("old"))
    known = asyncio.run(_now(store))
    foreign = Cursor("00000000", {Kind.WINDOW: Position(0, 0)})
    ahead = Cursor(known.store, {Kind.WINDOW: Position(2**40, 0)})
    for cursor in (foreign, ahead):
        assert names(asyncio.run(told(cursor))) == ["reset", "heartbeat"]


def test_a_subscriber_too_many_is_refused(store: Store) -> None:
    async def fill() -> None:
        feed = quick(store)
        feed._open = MAX_SUBSCRIBERS
        with pytest.raises(FeedFullError, match="Try again later"):
            await feed.subscribe(Filter())

    asyncio.run(fill())


def test_a_heartbeat_does_not_pass_over_what_still_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_WAITING", 2)

    async def read() -> list[Message]:
        feed = Feed(store, heartbeat_s=0.01, poll_s=0.01)
        subscription = await feed.subscribe(Filter())
        found = []
        async with aclosing(subscription.messages()) as messages:
            async for message in messages:
                found.append(message)
                if message.name == "ready":
                    await asyncio.to_thread(insert_windows, store, window_values("c", 0), window_values("c", 1))
                if message.name == Kind.WINDOW:
                    await asyncio.sleep(0.05)
                if len(window_ids(found)) == 2:
                    break
        subscription.close()
        return found

    found = [message for message in asyncio.run(read()) if message.name == Kind.WINDOW]
    assert window_ids(found) == [0, 1]
    assert [Cursor.parse(message.id).at[Kind.WINDOW].row for message in found] == [0, 1]


def test_attacks_that_came_together_are_one_event_of_their_class(store: Store) -> None:
    start = asyncio.run(_now(store))
    benign, doubt = {"class_name": "BENIGN"}, {"is_uncertain": True}
    insert_verdicts(
        store,
        *(verdict_values("a", number, src_ip=mapped(9), confidence=0.5 + number / 64) for number in range(7)),
        verdict_values("a", 7, src_ip=mapped(8)),
        verdict_values("a", 8, class_name="DDoS"),
        verdict_values("a", 9, **benign),
        verdict_values("a", 10, **doubt),
        verdict_values("a", 11, role="challenger"),
        verdict_values("b", 12),
    )
    insert_verdicts(store, verdict_values("a", 13))

    async def told(wanted: Filter, cursor: Cursor) -> list[Message]:
        events = await until_quiet(await quick(store).subscribe(wanted, cursor))
        return [event for event in events if event.name == Kind.CLASSIFICATION]

    events = asyncio.run(told(Filter(), start))
    found = [json.loads(event.data) for event in events]
    shown = [(event["capture_id"], event["class_name"], event["flows"]) for event in found]
    assert sorted(shown) == [("a", "DDoS", 1), ("a", "PortScan", 1), ("a", "PortScan", 8), ("b", "PortScan", 1)]
    [many] = [event for event in found if event["flows"] == 8]
    assert (many["packets"], many["sources"], many["destinations"]) == (40, 2, 1)
    assert (many["top_sources"], many["top_destinations"]) == (["10.0.0.9", "10.0.0.8"], ["10.0.0.2"])
    # 0.75 is the confidence of the one from 10.0.0.8.
    assert many["flow_ids"] == [f"{FLOW_ID + number:016x}" for number in (7, 6, 5, 4, 3)]
    # Whoever comes back with the id of an event gets what came behind it, and only that.
    for place, event in enumerate(events):
        rest = asyncio.run(told(Filter(), Cursor.parse(event.id)))
        assert [message.data for message in rest] == [message.data for message in events[place + 1 :]]
    by_class = Filter(kinds=frozenset({Kind.CLASSIFICATION}), classes=frozenset({"DDoS"}))
    assert len(asyncio.run(told(by_class, start))) == 1
    assert len(asyncio.run(told(Filter(captures=frozenset({"b"})), start))) == 1
    assert asyncio.run(told(Filter(kinds=frozenset({Kind.WINDOW})), start)) == []
