"""What a capture was like, for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.capture_answers import LedgerAnswer
from api.classification_summary import VerdictsSummaryAnswer
from api.remote import Answer
from api.report_answers import ReportAnswer
from api.report_words import full_moment, size
from schemas.enums import Severity

_BARS = " ▁▂▃▄▅▆▇█"
_MAX_BARS = 72
_MAX_ROWS = 10
_TRAFFIC = "Traffic "
_ROOM = 80 - len(_TRAFFIC) - 2


def report_text(report: ReportAnswer) -> RenderableType:
    """Return a report for a terminal."""
    if not report.timeline:
        return Text(f"{report.file.name} holds no packets.")
    parts: list[RenderableType] = [_headline(report), Text()]
    parts += [_traffic(report), Text()]
    parts += [_protocols(report), Text(), _talkers(report), Text()]
    parts += [_transport(report), Text(), _unusual(report), Text()]
    parts += [_verdicts(report.verdicts), Text(), ledger_table(report.ledger)]
    return Group(*parts)


def _headline(report: ReportAnswer) -> Text:
    capture, summary = report.capture, report.summary
    text = Text()
    text.append(f"{report.file.name}\n", style="bold")
    text.append(f"{capture.packets:,} packets, {size(capture.bytes)}")
    if summary is not None:
        text.append(f" in {summary.time_span:,.1f} s, {summary.total_windows} windows of {capture.window_size:g} s")
    if capture.first_packet is not None:
        text.append(f", from {full_moment(capture.first_packet)}")
    text.append(f"\ncapture {capture.capture_id}", style="dim")
    if capture.is_truncated:
        text.append("\nThe file ends inside a record: what came before it is counted.", style="yellow")
    return text


def _traffic(report: ReportAnswer) -> Text:
    """Return bytes over time as a line of bars; neighbours are added up when there are many."""
    points = report.timeline
    step = -(-len(points) // _MAX_BARS)
    sums = [sum(point.bytes for point in points[first : first + step]) for first in range(0, len(points), step)]
    most = max(sums)
    bars = "".join(_BARS[-(-value * (len(_BARS) - 1) // most) if most else 0] for value in sums)
    windows = step * points[0].windows
    per_bar = f"{windows} windows a bar" if windows > 1 else "a window a bar"
    caption = f"most {size(most)}, {per_bar}"
    # Beside the bars only where both fit the narrowest terminal in use.
    gap = "  " if len(bars) + len(caption) < _ROOM else f"\n{' ' * len(_TRAFFIC)}"
    return Text.assemble((_TRAFFIC, "bold"), (bars, "cyan"), (f"{gap}{caption}", "dim"))


def _unusual(report: ReportAnswer) -> RenderableType:
    """Return what was found, the bad ones first; each line is one incident."""
    if not report.incidents_total:
        return Text("Nothing unusual was found.", style="green")
    table = _table(f"What is unusual ({report.incidents_total} incidents)", "what", "windows")
    table.columns[0].overflow = "fold"
    for incident in report.incidents[:_MAX_ROWS]:
        style = "red" if incident.severity is Severity.HIGH else "yellow"
        table.add_row(Text(incident.message, style=style), f"{incident.windows:,}")
    if report.incidents_total > _MAX_ROWS:
        table.add_row(Text(f"… and {report.incidents_total - _MAX_ROWS:,} more", style="dim"), "")
    return table


def _verdicts(said: VerdictsSummaryAnswer) -> RenderableType:
    """Return what the classifier says of the flows, by class."""
    if not said.flows:
        return Text("No flow was judged: there is no model, or nothing to judge.", style="dim")
    doubtful = f", {said.uncertain:,} uncertain" if said.uncertain else ""
    title = f"Verdicts ({said.flows:,} flows, {said.attacks:,} attacks{doubtful})"
    table = _table(title, "class", "flows", "packets", "confidence", "sources", "destinations")
    for row in said.classes:
        ends = (f"{row.sources:,}", f"{row.destinations:,}")
        style = "red" if row.is_attack else None
        table.add_row(
            row.class_name, f"{row.flows:,}", f"{row.packets:,}", f"{row.mean_confidence:.3f}", *ends, style=style
        )
    return table


def _protocols(report: ReportAnswer) -> Table:
    table = _table("Protocols", "protocol", "packets", "bytes", "share")
    for row in report.protocols[:_MAX_ROWS]:
        table.add_row(row.name, f"{row.packets:,}", size(row.bytes), f"{row.byte_share:.1%}")
    return table


def _talkers(report: ReportAnswer) -> Table:
    table = _table("Top talkers", "address", "sent", "received")
    for row in report.talkers[:_MAX_ROWS]:
        table.add_row(row.ip, size(row.sent_bytes), size(row.received_bytes))
    return table


def _transport(report: ReportAnswer) -> Table:
    points, summary = report.timeline, report.summary
    data = sum(point.data_segments for point in points)
    again = sum(point.retransmissions for point in points)
    table = _table("Connections", "", "", has_header=False)
    if summary is not None:
        table.add_row("in a window, on average", f"{summary.connections.mean_per_window:,.1f}")
    table.add_row("attempts without an answer", f"{sum(point.half_open for point in points):,}")
    table.add_row("attempts refused", f"{sum(point.failed for point in points):,}")
    if summary is not None and summary.latency.mean_rtt is not None:
        table.add_row("TCP round trip, mean of windows", f"{summary.latency.mean_rtt:.2f} ms")
        table.add_row("TCP round trip, longest", f"{summary.latency.max_rtt:.2f} ms")
    share = f" ({again / data:.2%} of data segments)" if data else ""
    table.add_row("TCP retransmissions", f"{again:,}{share}")
    return table


def ledger_table(ledger: LedgerAnswer) -> Group:
    """Return the loss ledger as a table and a verdict."""
    table = _table("Loss ledger", "hop", "packets in", "packets out", "difference")
    for hop in ledger.hops:
        style = "red" if hop.difference else None
        counts = (f"{count:,}" for count in (hop.packets_in, hop.packets_out, hop.difference))
        table.add_row(hop.hop.value, *counts, style=style)
    verdict = Text("Nothing was lost.", style="green")
    lost = [f"{hop.hop.value} {reason} {count:,}" for hop in ledger.hops for reason, count in hop.lost.items()]
    if lost:
        verdict = Text(f"Lost or left out: {', '.join(lost)}.", style="yellow")
    if not ledger.is_balanced:
        verdict = Text(f"Not balanced: {ledger.difference:,} packets differ.", style="bold red")
    undecodable = ", ".join(f"{reason} {count:,}" for reason, count in ledger.undecodable.items())
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


def _table(title: str, *columns: str, has_header: bool = True) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=has_header
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", header_style="dim")
    return table
