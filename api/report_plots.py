"""The pictures of a report: each draws one part of it, and says in words what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.report_answers import Concern, LaneAnswer, PointAnswer, ReportAnswer
from api.report_drawing import (
    LONG,
    SHORT,
    Plot,
    at,
    bars,
    edges_of,
    height_of,
    plot,
    points_note,
    short,
    time_axis,
    twice,
    written,
)
from api.report_findings import words_of
from api.report_svg import SERIES, Ink
from api.report_words import bits, bits_tick, moment, size, size_tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS = 10

_INK_OF = {Concern.LOW: Ink.LOW, Concern.MEDIUM: Ink.MEDIUM, Concern.HIGH: Ink.HIGH}


def plots_of(report: ReportAnswer) -> dict[str, Plot]:
    """Return the pictures for which a report has something to show, by name."""
    drawers = (traffic, protocols, talkers, lanes, round_trips, distribution, verdicts, ledger)
    return {made.name: made for made in (draw(report) for draw in drawers) if made is not None}


def _leading(report: ReportAnswer) -> list[tuple[str, Ink]]:
    """Return the protocols that have a colour of their own."""
    return [(row.name, ink) for row, ink in zip(report.protocols, SERIES, strict=False)]


def traffic(report: ReportAnswer) -> Plot | None:
    """Draw bits per second over time, by protocol."""
    points, leading = report.timeline, _leading(report)
    if not points or not report.protocols:
        return None

    def draw(axes: Axes, is_wide: bool) -> None:
        rows = [[_rate(point, point.protocols.get(name, 0)) for point in points] for name, _ in leading]
        rows.append([point.bits_per_s - sum(row[n] for row in rows) for n, point in enumerate(points)])
        inks = [*(ink.value for _, ink in leading), Ink.REST.value]
        names = [*(short(name, SHORT) for name, _ in leading), "other"]
        axes.stackplot(edges_of(points), [twice(row) for row in rows], colors=inks, labels=names, linewidth=0)  # type: ignore[arg-type]
        axes.yaxis.set_major_formatter(lambda value, _: bits_tick(value))
        axes.set_ylim(bottom=0)
        time_axis(axes, points, is_wide=is_wide)
        _legend_above(axes, 6 if is_wide else 3)

    most, least = max(points, key=lambda one: one.bits_per_s), min(points, key=lambda one: one.bits_per_s)
    note = (
        f"Most at {moment(most.start)}: {bits(most.bits_per_s)}; least at {moment(least.start)}: "
        f"{bits(least.bits_per_s)}. {points_note(points)}"
    )
    return plot("traffic", "Traffic over time, by protocol", "", 2.6, draw, note)


def _rate(point: PointAnswer, n_bytes: int) -> float:
    return 8 * n_bytes / (point.end - point.start)


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, fontsize=8)


def protocols(report: ReportAnswer) -> Plot | None:
    """Draw the protocols with most bytes."""
    rows = report.protocols[:_ROWS]
    if not rows:
        return None
    inks = dict(_leading(report))

    def draw(axes: Axes, is_wide: bool) -> None:
        values = [float(row.bytes) for row in rows]
        bars(axes, [row.name for row in rows], [("", Ink.REST, values)], is_wide=is_wide)
        for patch, row in zip(axes.patches, rows, strict=True):
            patch.set_facecolor(inks.get(row.name, Ink.REST).value)
        written(axes, values, [f"{row.byte_share:.1%}" for row in rows])
        axes.xaxis.set_major_formatter(lambda value, _: size_tick(value))
        axes.margins(x=0.14)
        axes.locator_params(axis="x", nbins=6 if is_wide else 3)

    text = ", ".join(f"{row.name} {size(row.bytes)} ({row.byte_share:.1%})" for row in rows)
    return plot("protocols", "Protocols by bytes", f"{text}.", height_of(len(rows)), draw)


def talkers(report: ReportAnswer) -> Plot | None:
    """Draw the addresses with most bytes."""
    rows = report.talkers[:_ROWS]
    if not rows:
        return None

    def draw(axes: Axes, is_wide: bool) -> None:
        sent, received = [float(row.sent_bytes) for row in rows], [float(row.received_bytes) for row in rows]
        parts = (("sent", Ink.S1, sent), ("received", Ink.S2, received))
        bars(axes, [row.ip for row in rows], parts, is_wide=is_wide)
        axes.xaxis.set_major_formatter(lambda value, _: size_tick(value))
        axes.locator_params(axis="x", nbins=6 if is_wide else 3)
        _legend_above(axes, 2)

    text = ", ".join(f"{row.ip} sent {size(row.sent_bytes)}, received {size(row.received_bytes)}" for row in rows)
    return plot("talkers", "Top talkers", f"{text}.", height_of(len(rows) + 1), draw)


def lanes(report: ReportAnswer) -> Plot | None:
    """Draw where on the time line what was found."""
    points = {point.number: point for point in report.timeline}
    found = [lane for lane in report.lanes if any(cell.point in points for cell in lane.cells)]
    if not found:
        return None

    def draw(axes: Axes, is_wide: bool) -> None:
        for place, lane in enumerate(found):
            _lane(axes, place, lane, points)
        axes.set_yticks(range(len(found)), [_lane_label(lane, LONG if is_wide else SHORT - 2) for lane in found])
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        time_axis(axes, report.timeline, is_wide=is_wide)

    text = "; ".join(_lane_text(lane, points) for lane in found)
    note = "Above anomalies by type, below flows that were named an attack by class; in brackets how many. "
    note += "Findings of concern high are tall, others low."
    title = "Anomalies and attacks on the time line"
    return plot("lanes", title, f"{text}.", height_of(len(found)), draw, note)


def _lane(axes: Axes, place: int, lane: LaneAnswer, points: dict[int, PointAnswer]) -> None:
    for cell in lane.cells:
        if point := points.get(cell.point):
            # Serious ones are taller: colour alone would not tell everybody.
            height = 0.76 if cell.concern is Concern.HIGH else 0.36
            begin, end = at(point.start), at(point.end)
            axes.barh(place, end - begin, left=begin, height=height, color=_INK_OF[cell.concern].value, linewidth=0)  # type: ignore[arg-type]


def _lane_label(lane: LaneAnswer, letters: int) -> str:
    return f"{short(words_of(lane.name), letters)} ({lane.count:,})"


def _lane_text(lane: LaneAnswer, points: dict[int, PointAnswer]) -> str:
    known = [points[cell.point] for cell in lane.cells if cell.point in points]
    what = "anomalies" if lane.kind == "anomaly" else "flows"
    return f"{words_of(lane.name)}: {lane.count:,} {what}, {moment(known[0].start)} to {moment(known[-1].end)}"


def round_trips(report: ReportAnswer) -> Plot | None:
    """Draw round trips over time."""
    points = report.timeline
    if not any(point.rtt_count for point in points):
        return None
    lines = (("longest", Ink.S4, "max_rtt", ":"), ("95 %", Ink.S2, "p95_rtt", "--"), ("mean", Ink.S1, "mean_rtt", "-"))

    def draw(axes: Axes, is_wide: bool) -> None:
        for label, ink, name, dashes in lines:
            values = [float("nan") if (value := getattr(point, name)) is None else value for point in points]
            axes.plot(edges_of(points), twice(values), dashes, color=ink.value, label=label, linewidth=1.5)  # type: ignore[arg-type]
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} ms")
        time_axis(axes, points, is_wide=is_wide)
        _legend_above(axes, 3)

    worst = max((point for point in points if point.rtt_count), key=lambda one: one.p95_rtt or 0)
    note = (
        f"The 95th percentile is highest at {moment(worst.start)}: {worst.p95_rtt or 0:,.2f} ms. {points_note(points)}"
    )
    return plot("round-trips", "TCP round trips over time", "", 2.2, draw, note)


def distribution(report: ReportAnswer) -> Plot | None:
    """Draw how many round trips took how long."""
    bins = report.round_trips.bins
    if not bins:
        return None

    def draw(axes: Axes, _: bool) -> None:
        widths = [one.to_ms - one.from_ms for one in bins]
        lefts = [one.from_ms for one in bins]
        axes.bar(lefts, [one.count for one in bins], widths, align="edge", color=Ink.S1.value, edgecolor=Ink.GRID.value)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ms")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.grid(visible=False, axis="x")

    said = report.round_trips
    most = max(bins, key=lambda one: one.count)
    note = (
        f"Most take {most.from_ms:.3g} to {most.to_ms:.3g} ms ({most.count:,}). Counted are {said.counted:,} of "
        f"{said.total:,} round trips: those of notable conversations, each with its conversation's mean in a window."
    )
    text = ", ".join(f"{one.from_ms:.3g} to {one.to_ms:.3g} ms {one.count:,}" for one in bins)
    return plot("distribution", "TCP round trips by length", f"{text}.", 2.0, draw, note)


def verdicts(report: ReportAnswer) -> Plot | None:
    """Draw what the classifier says of the flows."""
    rows = [(row.class_name, row.flows, Ink.HIGH if row.is_attack else Ink.GOOD) for row in report.verdicts.classes]
    if report.verdicts.uncertain:
        rows.append(("uncertain", report.verdicts.uncertain, Ink.LOW))
    if not rows:
        return None

    def draw(axes: Axes, is_wide: bool) -> None:
        values = [float(flows) for _, flows, _ in rows]
        axes.set_xscale("log")
        bars(axes, [name for name, _, _ in rows], [("", Ink.REST, values)], is_wide=is_wide)
        for patch, (_, _, ink) in zip(axes.patches, rows, strict=True):
            patch.set_facecolor(ink.value)
        axes.set_xlim(0.5, max(values) * 3)
        written(axes, values, [f"{value:,.0f}" for value in values])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")

    text = ", ".join(f"{name} {flows:,}" for name, flows, _ in rows)
    return plot(
        "verdicts", "Verdicts: flows by class", f"{text}.", height_of(len(rows)), draw, "The axis is logarithmic."
    )


def ledger(report: ReportAnswer) -> Plot | None:
    """Draw how many packets went out of each hop."""
    hops = report.ledger.hops
    if not hops:
        return None

    def draw(axes: Axes, is_wide: bool) -> None:
        out, gone = [float(hop.packets_out) for hop in hops], [float(max(hop.difference, 0)) for hop in hops]
        parts = [("handed on", Ink.GOOD, out)] + ([("missing", Ink.HIGH, gone)] if any(gone) else [])
        bars(axes, [hop.hop.value for hop in hops], parts, is_wide=is_wide)
        written(axes, [a + b for a, b in zip(out, gone, strict=True)], [f"{value:,.0f}" for value in out])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.margins(x=0.16)
        axes.locator_params(axis="x", nbins=6 if is_wide else 3)
        if any(gone):
            _legend_above(axes, 2)

    text = ", ".join(f"{hop.hop.value} {hop.packets_out:,} (difference {hop.difference:,})" for hop in hops)
    return plot("ledger", "Packets that went out of each hop", f"{text}.", height_of(len(hops)), draw)
