from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from agents.pipeline_figures import PipelineFigures, sure_bound, totals_of
from infra.counters import REGISTRY
from infra.lag import KafkaLag
from infra.store import Store
from schemas.errors import BrokerError
from schemas.pipeline import Figure
from tests.infra.store_rows import packets

BOUNDS = (0.1, 0.5, 1.0, float("inf"))


def told(store: Store, since_ns: int) -> dict[tuple[str, str], float]:
    sql = (
        "SELECT figure, subject, value FROM pipeline WHERE at_ns > {since:Int64} AND NOT startsWith(process, 'sensor')"
    )
    return {
        (str(r["figure"]), str(r["subject"])): float(str(r["value"])) for r in store.query(sql, {"since": since_ns})
    }


def newest_ns(store: Store) -> int:
    return int(
        str(store.query("SELECT max(at_ns) AS at_ns FROM pipeline WHERE NOT startsWith(process, 'sensor')")[0]["at_ns"])
    )


def nothing() -> Iterable[KafkaLag]:
    return ()


def test_what_was_inserted_since_the_last_time_is_told_once(store: Store) -> None:
    figures = PipelineFigures(store, nothing)
    store.insert("packet_logs", packets("figures", 300), "figures:0:0")
    before = newest_ns(store)
    figures.write()
    first = told(store, before)
    assert first[Figure.ROWS, "packet_logs"] == 300
    assert first[Figure.INSERTS, ""] == 1
    assert first[Figure.INSERT_SECONDS, ""] > 0
    assert first[Figure.INSERT_ERRORS, ""] == 0
    assert first[Figure.INSERT_P95_S, ""] >= first[Figure.INSERT_SECONDS, ""]
    before = newest_ns(store)
    figures.write()
    second = told(store, before)
    assert (Figure.ROWS, "packet_logs") not in second
    assert second[Figure.INSERTS, ""] == 1, "that of the figures themselves"


def test_the_lag_is_told_by_group_and_topic(store: Store) -> None:
    rows = [KafkaLag("storage", "packets", partition, 3, 3 + partition) for partition in range(4)]
    before = newest_ns(store)
    PipelineFigures(store, lambda: rows).write()
    assert told(store, before)[Figure.LAG_MESSAGES, "storage/packets"] == 6


def test_without_a_broker_the_rest_is_told(store: Store) -> None:
    def away() -> Iterable[KafkaLag]:
        raise BrokerError("no broker")

    before = newest_ns(store)
    PipelineFigures(store, away).write()
    assert (Figure.INSERTS, "") in told(store, before)


@given(st.lists(st.sampled_from(BOUNDS), max_size=30), st.lists(st.sampled_from(BOUNDS), max_size=30))
def test_the_bound_is_the_least_that_95_percent_kept(earlier: list[float], later: list[float]) -> None:
    def buckets(taken: list[float]) -> dict[float, float]:
        return {bound: float(sum(one <= bound for one in taken)) for bound in BOUNDS}

    bound = sure_bound(buckets(earlier), buckets(earlier + later))
    fitting = [b for b in BOUNDS[:-1] if later and sum(one <= b for one in later) >= 0.95 * len(later)]
    assert bound == (min(fitting) if fitting else None)


def test_the_counters_are_those_of_the_process() -> None:
    totals, at_most = totals_of(REGISTRY)
    assert {figure for figure, _ in totals} <= set(Figure)
    assert list(at_most) == sorted(at_most)
    assert totals_of(CollectorRegistry()) == ({}, {})
