"""Figures of `benchmarks.scaling` as Markdown, and what they mean for a link of 1, 10 and 100 Gbit/s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

JOBS = ("reader", "workers", "store and API", "brokers")

FRAME_BYTES = 800
"""Mean frame of the sizing: between the 400 or so of an office with much DNS and VoIP, and the 1,000 of video."""

WIRE_BYTES = FRAME_BYTES + 24
"""With preamble, check sequence and gap (IEEE 802.3): 8 + 4 + 12 bytes."""

LINKS_BPS = {"1 Gbit/s": 1e9, "10 Gbit/s": 1e10, "100 Gbit/s": 1e11}

BUSY = 0.6
"""Share of the cores that the mean load may take: a peak is not lost, and others can take over a lost worker."""

DAY_S = 86_400

DAYS = {
    **dict.fromkeys(("packet_logs", "packet_verdicts", "traffic_stats"), 7),
    **dict.fromkeys(("flows", "classifications", "model_windows"), 30),
}
"""Retention by default; of every other table 365 days."""

LONG_DAYS = 365

FIXED = {"models", "model_roles", "model_drift", "schema_migrations", "pipeline", "captures", "ledger"}
"""Tables that do not grow with the traffic."""

REPLICAS = 3

Result = Mapping[str, Any]


def write_page(results: Result, page: Path) -> None:
    """Replace what stands between the marks of a page by tables of the results."""
    text = page.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}")


def tables(results: Result) -> str:
    """Return all tables as Markdown."""
    measures: Sequence[Result] = results["measures"]
    facts = ", ".join(f"{name}: {told}" for name, told in results["machine"].items())
    return "\n".join(
        [
            f"{results['packets']:,} generated packets of 512 bytes on the wire on average; {facts}.",
            "",
            "### Throughput and processor time",
            "",
            *_shapes(measures),
            "",
            "### Bytes per packet in Kafka",
            "",
            *_kafka(measures[0]),
            "",
            "### Bytes per packet in ClickHouse",
            "",
            *_store(measures[0]),
            "",
            "### Sizing",
            "",
            *_sizing(measures[-1]),
            "",
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table whose first column is text and whose others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _shapes(measures: Sequence[Result]) -> list[str]:
    rows = []
    for one in measures:
        shape, spent = one["shape"], one["cpu_us"]
        name = f"{_count(shape['cores'], 'core')}, {_count(shape['brokers'], 'broker')}"
        rows.append(
            [
                f"{name}, {_count(shape['workers'], 'worker')}, {shape['partitions']} partitions",
                f"{one['packets_per_s']:,.0f}",
                *(f"{spent[job]:.2f}" for job in JOBS),
                f"{sum(spent.values()):.2f}",
                f"{one['load']:.1f}",
            ]
        )
    return _table(["", "packets/s", *(f"{job}, µs" for job in JOBS), "together, µs", "load before"], rows)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _kafka(measure: Result) -> list[str]:
    sizes = sorted(measure["kafka_bytes"].items(), key=lambda item: -item[1])
    rows = [[topic, f"{size:.2f}"] for topic, size in sizes if size >= 0.005]
    return _table(["topic", "bytes per packet, one replica"], [*rows, ["together", f"{sum(dict(sizes).values()):.2f}"]])


def _tables(measure: Result) -> dict[str, Sequence[float]]:
    """Return what grows with the traffic, the largest first."""
    sizes = sorted(measure["store_bytes"].items(), key=lambda item: -item[1][0])
    return {table: told for table, told in sizes if table not in FIXED}


def _store(measure: Result) -> list[str]:
    rows = [
        [
            table,
            f"{stored:.2f}",
            f"{plain:.2f}",
            f"{plain / stored:.1f}",
            f"{1000 * count:,.1f}",
            str(DAYS.get(table, LONG_DAYS)),
        ]
        for table, (stored, plain, count) in _tables(measure).items()
        if stored >= 0.005
    ]
    head = ["table", "bytes per packet on disk", "before compression", "ratio", "rows per 1,000 packets", "days kept"]
    return _table(head, rows)


def _sizing(measure: Result) -> list[str]:
    """Return the table of links: everything is proportional to packets per second."""
    cpu_us = {job: max(measure["cpu_us"][job], 0.0) for job in JOBS}
    in_kafka = sum(measure["kafka_bytes"].values())
    by_day = {table: told[0] for table, told in _tables(measure).items()}
    whole = sum(stored * DAYS.get(table, LONG_DAYS) for table, stored in by_day.items())
    packets = sum(by_day.get(table, 0.0) for table, days in DAYS.items() if days == DAYS["packet_logs"])
    rates = [bps / 8 / WIRE_BYTES for bps in LINKS_BPS.values()]
    rows: list[list[str]] = [
        ["packets/s", *(f"{rate:,.0f}" for rate in rates)],
        *([f"cores, {job}", *(_cores(rate * cpu_us[job]) for rate in rates)] for job in JOBS),
        ["cores together", *(_cores(rate * sum(cpu_us.values())) for rate in rates)],
        ["Kafka, MB/s written, each replica", *(f"{rate * in_kafka / 1e6:,.0f}" for rate in rates)],
        [f"Kafka, TB for 1 day, {REPLICAS} replicas", *(_tb(rate * in_kafka * DAY_S * REPLICAS) for rate in rates)],
        ["ClickHouse, MB/s written", *(f"{rate * sum(by_day.values()) / 1e6:,.0f}" for rate in rates)],
        ["ClickHouse, TB per day of packets", *(_tb(rate * packets * DAY_S) for rate in rates)],
        ["ClickHouse, TB with the default retention", *(_tb(rate * whole * DAY_S) for rate in rates)],
    ]
    return _table(["a link that is full all day", *LINKS_BPS], rows)


def _cores(busy_us_per_s: float) -> str:
    """Return how many cores such a mean load takes, with room for peaks."""
    cores = busy_us_per_s / 1e6 / BUSY
    return f"{cores:,.1f}" if cores < 10 else f"{cores:,.0f}"


def _tb(size: float) -> str:
    terabytes = size / 1e12
    return f"{terabytes:,.2f}" if terabytes < 10 else f"{terabytes:,.0f}"
