"""What the detectors find in labelled captures, and what they find in hours of ordinary work.

``python -m benchmarks.detection --attacks FOLDER --benign FOLDER`` writes the tables of ``docs/detection.md``. Captures
go through the pure operators alone. The benign folder holds captures made with ``python -m lab ordinary``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from agents.judge import Judge
from benchmarks.capture_windows import WINDOW_NS, capture_windows
from benchmarks.detection_expected import EXPECTED, LAB_EXPECTED, Expected
from lab.labels import Label, read_labels
from schemas.enums import AnomalyType
from schemas.windows import WINDOW_SCHEMA

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "detection.md"
BEGIN, END = "<!-- results: made by python -m benchmarks.detection -->", "<!-- end of results -->"

HOUR_WINDOWS = 3_600_000_000_000 // WINDOW_NS
START_NS = 1_767_225_600_000_000_000
"""2026-01-01 00:00 UTC: when the strung-together hours begin."""

BLOCK_WINDOWS = 18
"""Ordinary work is repeated in blocks of three minutes, in another order each time."""

LOSSY_HOSTS = frozenset({"10.77.0.22", "fd00:77::22"})
"""The lab's `bob`, whose line loses 1.5 % of the packets each way: loss found there is there."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """One line of a table.

    Parameters
    ----------
    name, expected : str
    verdict : str
        ``found``, ``missed`` or ``silent`` (nothing was expected).
    false : int
        Incidents that were not expected.
    said : str
        The message that was expected, or what was false.
    """

    name: str
    expected: str
    verdict: str
    false: int
    said: str


def incidents(anomalies: Sequence[Row]) -> dict[str, Row]:
    """Return the first anomaly of each incident, by incident."""
    found: dict[str, Row] = {}
    for anomaly in anomalies:
        found.setdefault(anomaly["incident_id"], anomaly)
    return found


def judged(rows: pa.Table, source: str) -> list[Row]:
    """Return the anomalies of some windows."""
    anomalies: list[Row] = Judge(source).judge(rows, is_live=False).anomalies.to_pylist()
    return anomalies


def is_expected(anomaly: Row, expected: Expected) -> bool:
    """Return whether an anomaly is what was expected, with the right source and destination."""
    return (
        anomaly["type"] in expected.types
        and expected.source in ("", anomaly["source_ip"])
        and expected.destination in ("", anomaly["destination_ip"])
    )


def outcome_of(expected: Expected, anomalies: Sequence[Row]) -> Outcome:
    """Return what came of a capture."""
    found = [anomaly for anomaly in anomalies if is_expected(anomaly, expected)]
    kinds = {one.value for one in (*expected.types, *expected.also)}
    false = [one for one in incidents(anomalies).values() if one["type"] not in kinds]
    wanted = " or ".join(one.value for one in expected.types) or "nothing"
    who = f" by {expected.source}" if expected.source else ""
    whom = f" of {expected.destination}" if expected.destination else ""
    verdict = ("found" if found else "missed") if expected.types else "silent"
    said = found[0]["message"] if found else "; ".join(one["message"] for one in false)
    return Outcome(expected.path, f"{wanted}{who}{whom} ({expected.reason})", verdict, len(false), said)


def attack_outcomes(folder: Path) -> list[Outcome]:
    """Return what came of each attack capture that is there."""
    there = [expected for expected in EXPECTED if (folder / expected.path).is_file()]
    return [outcome_of(one, judged(capture_windows(folder / one.path), one.path)) for one in there]


def shifted(rows: Sequence[Row], capture_id: str, first: int) -> list[Row]:
    """Return windows as the windows ``first`` and following of one long capture that begins at ``START_NS``."""
    moved = []
    for number, row in enumerate(rows, first):
        by_ns = START_NS + number * WINDOW_NS - row["window_start_ns"]
        times = {
            name: row[name] + by_ns
            for name in ("window_start_ns", "window_end_ns", "first_ts_ns", "last_ts_ns")
            if row[name] is not None
        }
        flows = [
            {**flow, "first_ts_ns": flow["first_ts_ns"] + by_ns, "last_ts_ns": flow["last_ts_ns"] + by_ns}
            for flow in row["conversations"]
        ]
        moved.append({**row, **times, "conversations": flows, "capture_id": capture_id, "window_id": number})
    return moved


def strung(parts: Sequence[Sequence[Row]], capture_id: str = "hours") -> list[Row]:
    """Return several captures' windows as those of one, one after the other."""
    rows: list[Row] = []
    for part in parts:
        rows += shifted(part, capture_id, len(rows))
    return rows


def repeated(parts: Sequence[Sequence[Row]], hours: int, seed: int = 1) -> list[Row]:
    """Return hours of the recorded windows in blocks of three minutes, in a random order, an hour as recorded first."""
    chance = random.Random(seed)
    flat = [row for part in parts for row in part]
    blocks = [flat[at : at + BLOCK_WINDOWS] for at in range(0, len(flat) - BLOCK_WINDOWS + 1, BLOCK_WINDOWS)]
    picked = [flat[:HOUR_WINDOWS]]
    while sum(map(len, picked)) < hours * HOUR_WINDOWS:
        picked.append(chance.choice(blocks))
    return strung(picked)


def benign_windows(folder: Path) -> list[list[Row]]:
    """Return the windows of each recording of ordinary work, the first and last ones, which are cut short, left out."""
    paths = sorted(folder.glob("ordinary-*.pcap*"))
    return [capture_windows(path).to_pylist()[1:-1] for path in paths]


def lab_outcomes(learnt: Sequence[Row]) -> list[Outcome]:
    """Return what came of each attack of the lab's sample, after some windows of ordinary work."""
    sample = ROOT / "samples" / "mixed.pcap.gz"
    rows = capture_windows(sample).to_pylist()
    begin_ns = rows[0]["window_start_ns"]
    first = len(learnt)
    by_ns = START_NS + first * WINDOW_NS - begin_ns
    table = pa.Table.from_pylist([*learnt, *shifted(rows, "hours", first)], schema=WINDOW_SCHEMA)
    anomalies = [one for one in judged(table, "lab") if one["window_id"] >= first]
    labels = [label for label in read_labels(sample.with_name("mixed.labels.csv")) if label.class_name != "BENIGN"]
    outcomes, explained = [], set()
    for expected in LAB_EXPECTED:
        mine = [label for label in labels if label.tool == expected.tool]
        during = [one for one in anomalies if any(_concerns(one, label, by_ns) for label in mine)]
        found = [one for one in during if one["type"] in expected.types and _names_attacker(one, mine)]
        explained |= {one["anomaly_id"] for one in during}
        explained |= {one["anomaly_id"] for one in anomalies if any(_is_during(one, label, by_ns) for label in mine)}
        verdict = ("found" if found else "missed") if expected.types else ("extra" if during else "silent")
        said = (found or during or [{"message": ""}])[0]["message"]
        wanted = " or ".join(one.value for one in expected.types) or "nothing"
        outcomes.append(
            Outcome(f"{mine[0].class_name}: {expected.tool}", f"{wanted} ({expected.reason})", verdict, 0, said)
        )
    rest = [one for one in anomalies if one["anomaly_id"] not in explained and not _is_lossy_line(one)]
    said = "; ".join(one["message"] for one in incidents(rest).values())
    return [*outcomes, Outcome("BENIGN: the rest", "nothing", "silent", len(incidents(rest)), said)]


def _is_during(anomaly: Row, label: Label, by_ns: int) -> bool:
    """Return whether an anomaly of the network as a whole lies in the time of an attack other than the beacon."""
    is_network = not anomaly["source_ip"] and not anomaly["destination_ip"]
    return is_network and label.tool != "beacon" and _is_then(anomaly, label, by_ns)


def _is_then(anomaly: Row, label: Label, by_ns: int) -> bool:
    begin_ns, end_ns = label.start_ns + by_ns, label.end_ns + by_ns
    return bool(anomaly["window_start_ns"] < end_ns and anomaly["window_end_ns"] > begin_ns)


def _concerns(anomaly: Row, label: Label, by_ns: int) -> bool:
    """Return whether an anomaly lies in the time of a label and is about one of its ends."""
    is_then = _is_then(anomaly, label, by_ns)
    if anomaly["type"] == AnomalyType.PACKET_LOSS.value:
        return False
    source = anomaly["source_ip"]
    return is_then and (source == label.src_ip if source else anomaly["destination_ip"] == label.dst_ip)


def _names_attacker(anomaly: Row, labels: Sequence[Label]) -> bool:
    return anomaly["source_ip"] in {label.src_ip for label in labels}


def _is_lossy_line(anomaly: Row) -> bool:
    return anomaly["type"] == AnomalyType.PACKET_LOSS.value and bool(set(anomaly["hosts"]) & LOSSY_HOSTS)


def benign_lines(parts: Sequence[Sequence[Row]], hours: int) -> list[str]:
    """Return the table of false anomalies in ordinary work, after an hour of learning."""
    lines = [
        "| hours | judged after an hour of learning | false anomalies | per hour | loss on the bad line, per hour |",
        "|---|---|---|---|---|",
    ]
    for name, rows in (("as recorded", strung(parts)), ("repeated in another order", repeated(parts, hours))):
        anomalies = judged(pa.Table.from_pylist(rows, schema=WINDOW_SCHEMA), name)
        late = [one for one in anomalies if one["window_id"] >= HOUR_WINDOWS]
        judged_h = (len(rows) - HOUR_WINDOWS) / HOUR_WINDOWS
        true = [one for one in late if _is_lossy_line(one)]
        false = Counter(f"{one['type']}/{one['signal']}" for one in late if not _is_lossy_line(one))
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(false.items()))
        lines.append(
            f"| {name} | {judged_h:.1f} h | {false.total()}{f' ({kinds})' if kinds else ''} "
            f"| {false.total() / judged_h:.2f} | {len(true) / judged_h:.1f} |"
        )
    return lines


def outcome_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a table of outcomes, with its sums."""
    lines = ["| capture | expected | | false | said |", "|---|---|---|---|---|"]
    for one in outcomes:
        verdict = f"**{one.verdict}**" if one.verdict == "missed" else one.verdict
        lines.append(f"| {one.name} | {one.expected} | {verdict} | {one.false or ''} | {one.said.replace('|', '/')} |")
    wanted = [one for one in outcomes if one.verdict in ("found", "missed")]
    found = sum(one.verdict == "found" for one in wanted)
    return [*lines, "", f"Found {found} of {len(wanted)}; {sum(one.false for one in outcomes)} false incidents."]


def results(attacks: Path, benign: Path | None, hours: int) -> list[str]:
    """Return the results as Markdown lines."""
    lines = ["### Attack captures", "", *outcome_lines(attack_outcomes(attacks)), ""]
    lines += ["### The lab's sample, from its first packet", "", *outcome_lines(lab_outcomes([])), ""]
    parts = benign_windows(benign) if benign else []
    if parts:
        lines += ["### The lab's sample, after ordinary work", "", *outcome_lines(lab_outcomes(strung(parts))), ""]
        lines += ["### Ordinary work", "", *benign_lines(parts, hours), ""]
    return lines


@click.command()
@click.option("--attacks", type=click.Path(path_type=Path), default=ROOT.parent / "shared" / "data" / "attacks")
@click.option("--benign", type=click.Path(path_type=Path, exists=True), help="Folder of `python -m lab ordinary`.")
@click.option("--hours", type=int, default=12, show_default=True, help="Hours of repeated ordinary work.")
def main(attacks: Path, benign: Path | None, hours: int) -> None:
    """Write the tables of docs/detection.md."""
    page = PAGE.read_text()
    head, tail = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text("\n".join([f"{head}{BEGIN}", "", *results(attacks, benign, hours), f"{END}{tail}"]))


if __name__ == "__main__":
    main()
