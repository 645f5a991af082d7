"""Results as the page docs/benchmarks.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.measured import Summary
from benchmarks.results import SPANWATCH, Results
from benchmarks.stages import STAGES

STAGE_TEXTS = {
    "read": "read: bytes of the file to frames",
    "decode": "decode: frames to columns",
    "split": "split: columns to one batch per partition",
    "encode": "encode: batch to Arrow IPC, LZ4",
    "unpack": "unpack: Arrow IPC to columns",
    "windows": "windows: TCP analysis and partial windows",
    "merge": "merge: partial windows to rows",
    "flows": "flows: batches to flow records with their features, messages included",
    "classification": "classification: flow records to verdicts, messages included",
    "insert": "insert: batch into ClickHouse, rollups included",
    "insert flows": "insert flows: records into ClickHouse",
    "insert verdicts": "insert verdicts: verdicts into ClickHouse",
    "store background": "store background: ClickHouse merging parts",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def page(results: Results) -> str:
    """Return the whole page."""
    sections = [_head(results)]
    if results.tools:
        sections.append(_tools(results))
    if results.growth:
        sections += [_growth(results), _memory(results)]
    if results.stages:
        sections.append(_stages(results))
    if results.latency_s:
        sections.append(_latency(results))
    return "\n\n".join([*sections, _method(results)]) + "\n"


def _head(results: Results) -> str:
    facts = [("machine", ", ".join(f"{name}: {value}" for name, value in results.machine.items()))]
    facts.append(("versions", ", ".join(f"{name} {value}" for name, value in results.versions.items())))
    return (
        "# Benchmarks\n\n<!-- Made by `make bench`; do not edit. -->\n\n"
        "One run, one machine, the tools taking turns on the same generated capture. Compare the ratios rather "
        "than the absolute figures: those move with the machine.\n\n"
        + "\n".join(f"- **{name}**: {text}" for name, text in facts)
    )


def _tools(results: Results) -> str:
    rows = []
    for tool in results.tools:
        ratio = "1" if tool.tool == SPANWATCH else f"{results.ratio(tool.tool):.1f}×"
        spread = f"{tool.slowest_packets_per_s:,.0f} – {tool.fastest_packets_per_s:,.0f}"
        rows.append(
            [
                tool.tool,
                f"{tool.packets_per_s:,.0f}",
                spread,
                ratio,
                f"{tool.cpu_us_per_packet:.2f}",
                f"{tool.cpu_us_after:.2f}" if tool.tool == SPANWATCH else "",
                str(tool.passes),
            ]
        )
    first = results.tools[0]
    skipped = "".join(f"\n\nNot measured: {reason}." for reason in results.skipped)
    return (
        f"## Throughput\n\n{first.packets:,} packets ({results.capture_bytes / 1e6:,.0f} MB). "
        "spanwatch: from the request to the answer that every row is acknowledged by ClickHouse, through Kafka, "
        "windows, merge and store; the loss ledger balanced after each pass. "
        "The others only read, and print or count. What ClickHouse still merges after the answer stands under "
        "“and afterwards”.\n\n"
        + table(
            ["tool", "packets/s (median)", "range", "spanwatch is", "CPU µs/packet", "and afterwards", "passes"],
            rows,
        )
        + skipped
        + "\n\n![Throughput](benchmarks/throughput.png)"
    )


def _growth(results: Results) -> str:
    rows = [
        [f"{one.packets:,}", f"{one.seconds:.2f}", f"{one.packets_per_s:,.0f}", f"{one.cpu_us_per_packet:.2f}"]
        for one in results.growth
    ]
    return (
        "## Growth with the size of the capture\n\n"
        + table(["packets", "s", "packets/s", "CPU µs/packet"], rows)
        + "\n\n![Growth](benchmarks/growth.png)"
    )


def _memory(results: Results) -> str:
    labels = list(results.growth[0].peak_mib)
    rows = [[f"{one.packets:,}", *(f"{one.peak_mib.get(label, 0):,.0f}" for label in labels)] for one in results.growth]
    peers = [
        f"{tool.tool}: {sum(tool.peak_mib.values()):,.0f} MiB over all its processes"
        for tool in results.tools
        if tool.tool != SPANWATCH
    ]
    beside = f"\n\nThe others on {results.tools[0].packets:,} packets: " + "; ".join(peers) + "." if peers else ""
    return (
        "## Memory\n\nLargest resident size of each process while it computes captures of growing size, one "
        "after the other in the same stack, MiB.\n\n" + table(["packets", *labels], rows) + beside
    )


def _stages(results: Results) -> str:
    partitions = list(results.stages)
    rows = [
        [STAGE_TEXTS[stage], *(f"{results.stages[count].get(stage, 0):.0f}" for count in partitions)]
        for stage in STAGES
    ]
    rows.append(["**together**", *(f"**{sum(results.stages[c].get(s, 0) for s in STAGES):.0f}**" for c in partitions)])
    rows.append(["of windows: TCP analysis alone", *(f"{results.stages[c]['tcp']:.0f}" for c in partitions)])
    head = ["stage", *(f"{count} partition{'s' if count != '1' else ''}" for count in partitions)]
    return (
        "## Cost of each stage\n\nThe functions of the pipeline in one process, processor time per packet, ns. "
        "Kafka itself and the agents' frame are not in it.\n\n"
        + table(head, rows)
        + "\n\n![Cost of each stage](benchmarks/stages.png)"
    )


def _latency(results: Results) -> str:
    rows = [
        [name, f"{statistics.median(times):.2f}", f"{min(times):.2f}", f"{max(times):.2f}", str(len(times))]
        for name, times in results.latency_s.items()
    ]
    return (
        f"## Answer time\n\n`POST /api/metrics/compute` of {results.latency_packets:,} packets on a warm stack, s. "
        f"A new stack answered {results.start_s:.1f} s after its start.\n\n"
        + table(["what", "median", "least", "most", "times"], rows)
    )


def _method(results: Results) -> str:
    return (
        "## How it is measured\n\n"
        "- `make bench`, or `python -m benchmarks.run --help` for sizes and repeats. The capture is generated "
        "(`python -m benchmarks.make_capture`): requests and responses over TCP with losses and retransmissions, DNS, "
        "QUIC-like UDP, ping; IPv6 and VLAN tags among them; 96 captured bytes a frame, 512 on the wire on average.\n"
        "- The stack is `spanwatch up` with its defaults on an empty state folder, warmed up with a small capture and "
        "with two passes over the whole. "
        "Each pass reads the file under a new name, and begins when the stack is at rest. By then it has given memory "
        "back to the system, and the other tools have had it: a pass right behind another, as in the table of growth, "
        "has it at hand. At rest it used "
        f"{results.idle_cores:.2f} cores while the others were measured.\n"
        "- nfstream: `NFStreamer(source=…, statistical_analysis=True)` iterated to the end, with its own choice of "
        "processes; once more with deep packet inspection off. tshark: `-n -T fields` with the fields that "
        "`packet_logs` has and its TCP analysis, to `/dev/null`. nfstream's time is without its import.\n"
        "- Figures are medians; the files are in the page cache.\n"
        "- [Questions about events](benchmarks/events.md), their figures and features over 10 million packets: "
        "`python -m benchmarks.events`. "
        "Predictions: `python -m benchmarks.predict`. [What is said of labelled captures](benchmarks/verdicts.md): "
        "`python -m benchmarks.verdicts`."
    )


def headline(results: Results) -> list[str]:
    """Return what to print at the end."""
    lines = [f"{tool.tool:34} {tool.packets_per_s:>12,.0f} packets/s" for tool in results.tools]
    lines += [
        f"spanwatch is {results.ratio(tool.tool):.1f} times {tool.tool}"
        for tool in results.tools
        if tool.tool != SPANWATCH and _has_spanwatch(results.tools)
    ]
    return lines


def _has_spanwatch(tools: Sequence[Summary]) -> bool:
    return any(tool.tool == SPANWATCH for tool in tools)
