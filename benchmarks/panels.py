"""Rows read and time of every query of the dashboards over a month: ``python -m benchmarks.panels``.

A store is filled with what a port of so many packets leaves behind in a month (``benchmarks.panel_store``), and every
query of every dashboard file is asked as Grafana would ask it: for its default range, and for the whole month. The
Markdown table goes to standard output. Rows read are ClickHouse's own count, subqueries included.

With fewer packets than 100 million, what grows with the packets (flows and verdicts) is multiplied; that is said in the
column ``of the month``. What grows with time (windows, rollups, baselines, anomalies) is there in full.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.panel_queries import ALL, Asked, View, asked, expanded, step_of
from benchmarks.panel_store import BUSIEST, DAY_S, Month, fill
from infra.store import Store
from infra.store_clients import Clients

FULL_PACKETS = 100_000_000
"""Packets of the month that the bar is about."""

BAR = 0.01
"""Share of them that a panel may read for its default range."""

GROWS_WITH_PACKETS = ("panel_host_flows", "panel_host_verdicts", "panel_verdicts")
"""Views whose tables have a row for every flow."""

RUNS = 3

HEAD = """\
# What panels read

Written by `python -m benchmarks.panels`; see [Grafana](../grafana.md#what-a-panel-reads). A month of a port made in an
empty store: {month.packets:,} packets in {month.days} days are {month.windows:,} windows of {month.hosts_listed} hosts,
{month.anomalies:,} anomalies, baselines of {month.hosts_learnt:,} hosts and {month.records:,} flow records with their
verdicts ({seconds:.0f} s to make, {cores} cores). Times are the least of three runs, caches warm; CPU is that of the
whole process. *Of the month* is the share of 100 million packets; what grows with packets is multiplied, as it says.
"""


@dataclass(frozen=True)
class Reading:
    """What one query cost.

    Parameters
    ----------
    rows : int
        Rows of the answer.
    rows_read : int
        Rows that were read for it.
    milliseconds, cpu_ms : float
        Time and CPU time, the least of the runs.
    """

    rows: int
    rows_read: int
    milliseconds: float
    cpu_ms: float


def chosen(capture: str = ALL) -> dict[str, tuple[str, ...]]:
    """Return the values of the variables as a dashboard begins with them; ``host`` is the busiest."""
    return dict.fromkeys(("sensor", "class", "type", "severity"), (ALL,)) | {
        "capture": (capture,),
        "host": (BUSIEST,),
    }


def read(clients: Clients, sql: str, runs: int = RUNS) -> Reading:
    """Ask a statement and return what it cost."""
    wall, cpu = [], []
    with clients.client() as client:
        for _ in range(runs):
            begun, used = time.perf_counter(), time.process_time()
            answer = json.loads(client.raw_query(sql, fmt="JSON"))
            wall.append(1000 * (time.perf_counter() - begun))
            cpu.append(1000 * (time.process_time() - used))
    return Reading(len(answer["data"]), int(answer["statistics"]["rows_read"]), min(wall), min(cpu))


def measured(clients: Clients, month: Month) -> Iterator[tuple[Asked, Reading, Reading]]:
    """Ask every query for its default range, and for the whole month."""
    for one in asked():
        ranges = (one.range_s, month.days * DAY_S)
        views = [View(month.end_s - r, month.end_s, step_of(r, one.min_interval), chosen()) for r in ranges]
        default, whole = (read(clients, expanded(one.sql, view)) for view in views)
        yield one, default, whole


def factor(one: Asked, month: Month) -> float:
    """Return by how much the rows read would grow at 100 million packets."""
    return FULL_PACKETS / month.packets if any(view in one.sql for view in GROWS_WITH_PACKETS) else 1.0


def table(month: Month, found: Sequence[tuple[Asked, Reading, Reading]]) -> Iterator[str]:
    """Return the lines of the Markdown table, and whether the bar is kept."""
    yield "| query | default range | rows | rows read | of the month | ms | CPU ms | rows read, a month | ms | CPU ms |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one, default, whole in found:
        times = factor(one, month)
        share = default.rows_read * times / FULL_PACKETS
        more = f" (× {times:g})" if times > 1 else ""
        shown = f"{one.range_s / 3600:g} h" if one.range_s >= 3600 else f"{one.range_s // 60} min"
        yield (
            f"| {one.place.replace('|', '/')} | {shown} | {default.rows:,} | {default.rows_read:,} | {share:.3%}{more} "
            f"| {default.milliseconds:.0f} | {default.cpu_ms:.0f} "
            f"| {whole.rows_read:,} | {whole.milliseconds:.0f} | {whole.cpu_ms:.0f} |"
        )
    worst = max(found, key=lambda each: each[1].rows_read * factor(each[0], month))
    share = worst[1].rows_read * factor(worst[0], month) / FULL_PACKETS
    yield ""
    yield f"Most for a default range: {worst[0].place}, {share:.2%} of the month; the bar is {BAR:.0%}."


def main() -> None:
    """Fill a store and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.panels", description=__doc__)
    parser.add_argument("--packets", type=int, default=20_000_000, help="packets of the month (default: %(default)s)")
    parser.add_argument("--days", type=int, default=30, help="days of the month (default: %(default)s)")
    given = parser.parse_args()
    now = int(time.time())
    month = Month("bench-panels", now - now % 3600, days=given.days, packets=given.packets)
    with tempfile.TemporaryDirectory(prefix="panels-") as folder, Store.open(f"chdb://{folder}") as store:
        store.migrate()
        begun = time.perf_counter()
        fill(store, month)
        seconds = time.perf_counter() - begun
        clients = Clients(f"chdb://{folder}")
        found = list(measured(clients, month))
        clients.close()
    print(HEAD.format(month=month, cores=os.cpu_count(), seconds=seconds))
    print("\n".join(table(month, found)))


if __name__ == "__main__":
    main()
