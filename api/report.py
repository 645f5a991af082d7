"""What a capture was like, for people at a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.remote import Answer

_BARS = " ▁▂▃▄▅▆▇█"
_MAX_BARS = 72
_MAX_ROWS = 10


def report(
    capture: Answer, summary: Answer, windows: Sequence[Answer], incidents: Answer, verdicts: Answer, ledger: Answer
) -> Group:
    """Return the report of one capture.

    Parameters
    ----------
    capture, summary, incidents, verdicts, ledger : dict
        Answers of ``/api/captures/ID``, ``/api/metrics/summary``, ``/api/anomalies/incidents``,
        ``/api/classifications/summary`` and ``/api/captures/ID/ledger``.
    windows : sequence of dict
        All windows, in order.
    """
    parts: list[RenderableType] = [_headline(capture, summary), Text()]
    parts += [_traffic(windows), Text()]
    parts += [_protocols(windows), Text(), _talkers(windows), Text()]
    parts += [_transport(windows, summary), Text(), _unusual(incidents), Text()]
    parts += [_verdicts(verdicts), Text(), ledger_table(ledger)]
    return Group(*parts)


def _headline(capture: Answer, summary: Answer) -> Text:
    text = Text()
    text.append(f"{capture['name']}\n", style="bold")
    text.append(
        f"{capture['packets']:,} packets, {size(capture['bytes'])} in {summary['time_span']:,.1f} s, "
        f"{summary['total_windows']} windows of {capture['window_size']:g} s"
    )
    if capture["first_packet"] is not None:
        first = datetime.fromtimestamp(capture["first_packet"], UTC)
        text.append(f", from {first:%Y-%m-%d %H:%M:%S} UTC")
    text.append(f"\ncapture {capture['capture_id']}", style="dim")
    if capture["is_truncated"]:
        text.append("\nThe file ends inside a record: what came before it is counted.", style="yellow")
    return text


def _traffic(windows: Sequence[Answer]) -> Text:
    """Return bytes per window as a line of bars; neighbours are added up when there are many."""
    step = -(-len(windows) // _MAX_BARS)
    sums = [
        sum(window["bandwidth"]["total_bytes"] for window in windows[first : first + step])
        for first in range(0, len(windows), max(step, 1))
    ]
    most = max(sums, default=0)
    bars = "".join(_BARS[-(-value * (len(_BARS) - 1) // most) if most else 0] for value in sums)
    per_bar = f"{step} windows a bar" if step > 1 else "a window a bar"
    return Text.assemble(("Traffic ", "bold"), (bars, "cyan"), (f"  most {size(most)}, {per_bar}", "dim"))


def _unusual(incidents: Answer) -> RenderableType:
    """Return what was found, the bad ones first; each line is one incident."""
    if not incidents["total"]:
        return Text("Nothing unusual was found.", style="green")
    table = _table(f"What is unusual ({incidents['total']} incidents)", "what", "windows")
    table.columns[0].overflow = "fold"
    found = sorted(incidents["incidents"], key=lambda incident: (incident["severity"] != "high", -incident["windows"]))
    for incident in found[:_MAX_ROWS]:
        style = "red" if incident["severity"] == "high" else "yellow"
        table.add_row(Text(incident["message"], style=style), f"{incident['windows']:,}")
    return table


def _verdicts(said: Answer) -> RenderableType:
    """Return what the classifier says of the flows, by class."""
    if not said["flows"]:
        return Text("No flow was judged: there is no model, or nothing to judge.", style="dim")
    doubtful = f", {said['uncertain']:,} uncertain" if said["uncertain"] else ""
    title = f"Verdicts ({said['flows']:,} flows, {said['attacks']:,} attacks{doubtful})"
    table = _table(title, "class", "flows", "packets", "confidence", "sources", "destinations")
    for row in said["classes"]:
        counts = (f"{row[name]:,}" for name in ("flows", "packets"))
        ends = (f"{row[name]:,}" for name in ("sources", "destinations"))
        style = "red" if row["is_attack"] else None
        table.add_row(row["class_name"], *counts, f"{row['mean_confidence']:.3f}", *ends, style=style)
    return table


def _protocols(windows: Sequence[Answer]) -> Table:
    packets, sent = Counter[str](), Counter[str]()
    for window in windows:
        for name, share in window["protocol"].items():
            packets[name] += share["packets"]
            sent[name] += share["bytes"]
    total = sum(sent.values())
    table = _table("Protocols", "protocol", "packets", "bytes", "share")
    for name, n_bytes in sent.most_common(_MAX_ROWS):
        table.add_row(name, f"{packets[name]:,}", size(n_bytes), f"{n_bytes / total:.1%}" if total else "")
    return table


def _talkers(windows: Sequence[Answer]) -> Table:
    sent, received = Counter[str](), Counter[str]()
    for window in windows:
        sent.update(dict(window["bandwidth"]["top_src_bytes"]))
        received.update(dict(window["bandwidth"]["top_dst_bytes"]))
    table = _table("Top talkers", "address", "sent", "received")
    for address, _ in (sent + received).most_common(_MAX_ROWS):
        table.add_row(address, size(sent[address]), size(received[address]))
    return table


def _transport(windows: Sequence[Answer], summary: Answer) -> Table:
    latency = summary["latency"]
    data = sum(window["tcp"]["data_segments"] for window in windows)
    again = sum(window["tcp"]["retransmissions"] for window in windows)
    half_open = sum(window["connections"]["half_open"] for window in windows)
    failed = sum(window["connections"]["failed"] for window in windows)
    table = _table("Connections", "", "")
    table.add_row("in a window, on average", f"{summary['connections']['mean_per_window']:,.1f}")
    table.add_row("attempts without an answer", f"{half_open:,}")
    table.add_row("attempts refused", f"{failed:,}")
    if latency["mean_rtt"] is not None:
        table.add_row("TCP round trip, mean of windows", f"{latency['mean_rtt']:.2f} ms")
        table.add_row("TCP round trip, longest", f"{latency['max_rtt']:.2f} ms")
    share = f" ({again / data:.2%} of data segments)" if data else ""
    table.add_row("TCP retransmissions", f"{again:,}{share}")
    return table


def ledger_table(ledger: Answer) -> Group:
    """Return the loss ledger as a table and a verdict."""
    table = _table("Loss ledger", "hop", "packets in", "packets out", "difference")
    for hop in ledger["hops"]:
        style = "red" if hop["difference"] else None
        counts = (f"{hop[column]:,}" for column in ("packets_in", "packets_out", "difference"))
        table.add_row(hop["hop"], *counts, style=style)
    verdict = Text("Nothing was lost.", style="green")
    lost = [f"{hop['hop']} {reason} {count:,}" for hop in ledger["hops"] for reason, count in hop["lost"].items()]
    if lost:
        verdict = Text(f"Lost or left out: {', '.join(lost)}.", style="yellow")
    if not ledger["is_balanced"]:
        verdict = Text(f"Not balanced: {ledger['difference']:,} packets differ.", style="bold red")
    undecodable = ", ".join(f"{reason} {count:,}" for reason, count in ledger["undecodable"].items())
    if undecodable:
        verdict.append(f" Counted, but not decoded to the end: {undecodable}.", style="yellow")
    return Group(table, verdict)


def captures_table(captures: Sequence[Answer]) -> Table:
    """Return captures, as ``/api/captures`` answers them, as a table."""
    table = _table("Captures", "capture", "name", "state", "packets", "packets/s")
    for row in captures:
        state = "stored" if row["is_complete"] else row["state"]
        table.add_row(row["capture_id"], row["name"], state, f"{row['packets']:,}", _rate(row))
    return table


def _rate(row: Answer) -> str:
    """Return the packets per second with which a capture was read."""
    began = datetime.fromisoformat(row["started_at"])
    ended = datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else datetime.now(UTC).replace(tzinfo=None)
    return f"{row['packets'] / max((ended - began).total_seconds(), 1e-3):,.0f}"


def last_window(window: Answer) -> str:
    """Return one line about the newest window of a capture."""
    ended = datetime.fromtimestamp(window["window_end"], UTC)
    traffic = f"{window['record_count']:,} packets, {window['bandwidth']['avg_bits_per_s']:,.0f} bit/s"
    which = f"Last window of {window['capture_id']}: number {window['window_id']}"
    return f"{which}, to {ended:%Y-%m-%d %H:%M:%S} UTC: {traffic}"


def size(n_bytes: float) -> str:
    """Return a number of bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(n_bytes) < 1000:
            return f"{n_bytes:,.0f} {unit}" if unit == "B" else f"{n_bytes:,.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.1f} TB"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", header_style="dim")
    return table
