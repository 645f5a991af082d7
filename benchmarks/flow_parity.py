"""Compare our flow features with CICFlowMeter's own output: `python -m benchmarks.flow_parity`.

Reads the public captures for which CICFlowMeter's CSV files exist, meters them in the mode that follows the tool of
that time, and writes ``docs/flow-parity.md``. Ends with 1 when a feature of a flow differs.
"""

from __future__ import annotations

import csv
import ipaddress
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.enums import FlowEnd, FlowMode
from schemas.flows import FEATURE_NAMES
from streams.decode import decode
from streams.files import open_capture
from streams.flow_rows import features_of
from streams.flow_rules import SECOND_NS, FlowRules
from streams.flows import FlowMeter
from streams.packets import NO_TIME_NS

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY.parent / "shared" / "data" / "cicflowmeter"
PAGE = REPOSITORY / "docs" / "flow-parity.md"
TOLERANCE = 1e-6
"""Relative; a float32 has 6e-8."""

FlowKey = tuple[str, int, str, int, int, int]
"""Source, port, destination, port, protocol, second of the hour in which it starts (CSV files leave the zone out)."""


@dataclass(frozen=True)
class Pair:
    """A capture and what CICFlowMeter wrote for it."""

    capture: str
    table: str
    mode: FlowMode


PAIRS = (
    Pair("official/test.pcap", "official/test.pcap.csv", FlowMode.COMPATIBLE),
    Pair("official/test.pcap", "official/outtest.csv", FlowMode.COMPATIBLE),
    Pair("official/test.pcap", "official/test_v4_out.csv", FlowMode.COMPATIBLE),
    Pair("slowloris/slowloris.pcap", "slowloris/slowloris.pcap_Flow.csv", FlowMode.COMPATIBLE_2020),
)


@dataclass
class Parity:
    """How a capture's flows compare, counts by feature in the order of ``FEATURE_NAMES``."""

    pair: Pair
    flows: int = 0
    unmatched: int = 0
    extra: int = 0
    one_packet: int = 0
    equal: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(FEATURE_NAMES), np.int64))
    within: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(FEATURE_NAMES), np.int64))
    differs: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(FEATURE_NAMES), np.int64))

    @property
    def is_perfect(self) -> bool:
        """Whether every flow is matched and every feature of it equal within the tolerance."""
        return not (self.unmatched or self.extra or self.differs.any())


def metered(capture: Path, rules: FlowRules) -> pa.Table:
    """Return the flow records of a capture, interim ones left out."""
    newest_ns, meter, pieces = NO_TIME_NS, None, []
    with open_capture(capture) as file:
        for block in file.blocks(65_536):
            packets = decode(block, newest_ns)
            newest_ns = packets.newest_ns(newest_ns)
            meter = meter or FlowMeter(10 * SECOND_NS, int(packets.ts_ns[0]), rules)
            pieces.append(meter.feed(packets, newest_ns))
    if meter is not None:
        pieces.append(meter.flush())
    table = pa.concat_tables(pieces)
    is_final = [reason != FlowEnd.INTERIM for reason in table.column("end_reason").to_pylist()]
    return table.filter(pa.array(is_final, pa.bool_()))


def table_flows(path: Path) -> Iterator[tuple[FlowKey, NDArray[np.float64]]]:
    """Yield key and features of each row of CICFlowMeter's CSV, whichever of its headers it has.

    The columns stand in the same order in all of them: flow id, endpoints, protocol, time and the features from the
    duration on, ``Fwd Header Length`` a second time or not, and the label.
    """
    again = FEATURE_NAMES.index("Fwd Header Length.1")
    header_length = FEATURE_NAMES.index("Fwd Header Length")
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            values = [float(text) for text in (row[4], *row[7:-1])]
            if len(values) < len(FEATURE_NAMES):
                values.insert(again, values[header_length])
            second = _second_of_hour(row[6])
            yield (row[1], int(row[2]), row[3], int(row[4]), int(row[5]), second), np.array(values)


def _second_of_hour(text: str) -> int:
    clock = text.removesuffix(" AM").removesuffix(" PM")
    start = datetime.strptime(clock, "%d/%m/%Y %I:%M:%S").replace(tzinfo=None)
    return start.minute * 60 + start.second


def our_flows(records: pa.Table) -> dict[FlowKey, list[NDArray[np.float32]]]:
    """Return the features of our records by key, each list in order of the start."""
    columns = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol", "start_ns")
    values = [records.column(name).to_pylist() for name in columns]
    features = features_of(records)
    flows: defaultdict[FlowKey, list[NDArray[np.float32]]] = defaultdict(list)
    for row in np.argsort(np.array(values[-1]), kind="stable").tolist():
        src_ip, src_port, dst_ip, dst_port, protocol, start_ns = (column[row] for column in values)
        second = start_ns // SECOND_NS % 3600
        flows[_text(src_ip), src_port, _text(dst_ip), dst_port, protocol, second].append(features[row])
    return flows


def _text(octets: bytes) -> str:
    address = ipaddress.IPv6Address(octets)
    return str(address.ipv4_mapped or address)


def compare(pair: Pair, mode: FlowMode, data: Path = DATA) -> Parity:
    """Return how the flows of a capture in one of our modes compare with CICFlowMeter's."""
    records = metered(data / pair.capture, FlowRules(mode=mode))
    packets = np.array(records.column("fwd_packets")) + np.array(records.column("bwd_packets"))
    parity = Parity(pair, one_packet=int((packets == 1).sum()))
    ours = our_flows(records.filter(pa.array(packets > 1)))
    for key, theirs in table_flows(data / pair.table):
        parity.flows += 1
        if not ours.get(key):
            parity.unmatched += 1
            continue
        mine = ours[key].pop(0)
        is_equal = (mine == theirs.astype(np.float32)) | (np.isnan(mine) & np.isnan(theirs))
        is_near = np.abs(mine - theirs) <= TOLERANCE * np.abs(theirs)
        parity.equal += is_equal
        parity.within += is_near & ~is_equal
        parity.differs += ~(is_near | is_equal)
    parity.extra = sum(len(left) for left in ours.values())
    return parity


TWICE = "the first packet's payload is counted twice"
FIRST_ONLY = "only the first packet's flags are looked at"
MIXED = "2018: only the first packet's flags are looked at, and they stand in the order of a Java `HashMap`"
PAUSED = "2020: times between packets are taken for points in time; 2018: equal for the same cut"
BULK = "2018: only the first packet is looked at; 2020: every packet counts as backward"

REASONS: dict[str, str] = {
    **dict.fromkeys(("Packet Length Mean", "Packet Length Std", "Packet Length Variance"), TWICE),
    "Average Packet Size": TWICE,
    **dict.fromkeys(("Fwd PSH Flags", "Bwd PSH Flags", "Fwd URG Flags", "Bwd URG Flags"), FIRST_ONLY),
    **{f"{flag} Flag Count": MIXED for flag in ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "CWE", "ECE")},
    "Down/Up Ratio": "rounded down to a whole number",
    **{name: BULK for name in FEATURE_NAMES if "Bulk" in name},
    "Bwd Avg Bytes/Bulk": f"{BULK}; and the value of the other direction is written",
    **{name: "2018: every flow counts as one subflow" for name in FEATURE_NAMES if name.startswith("Subflow")},
    **{name: PAUSED for name in FEATURE_NAMES if name.startswith(("Active", "Idle"))},
    "Init_Win_bytes_backward": "-1 instead of 0 for none",
    **dict.fromkeys(("Flow Bytes/s", "Flow Packets/s"), "`Infinity` or `NaN` instead of 0 without duration"),
}
"""What CICFlowMeter does otherwise than the corrected mode; what is not here differs only where the cut does."""

PAGE_HEAD = """# Parity with CICFlowMeter

Written by `python -m benchmarks.flow_parity` from the captures for which CICFlowMeter's own CSV files are public.
Flows are matched by 5-tuple and start; of several in one second, in order. *Equal* means the same float32, *within* a
relative difference of at most 1e-6, *differs* more. Definitions and faults: [flows.md](flows.md).

## In the compatible modes

| capture | CICFlowMeter's table | mode | its flows | matched | ours without match | features equal | within | differ |
|---|---|---|---|---|---|---|---|---|
"""
PAGE_FEATURES = """
CICFlowMeter does not write flows of one packet; we do, and they are left out here ({one_packet} of ours).

## Feature by feature

Columns *2018* and *2020*: flows equal / within / differing in the compatible mode of that time. Column *corrected*:
flows of the slowloris capture, cut alike in both modes, whose feature differs in the corrected mode, and what
CICFlowMeter does otherwise; none means that the two agree as long as the flow is cut alike.

| feature | 2018: {old} flows | 2020: {new} flows | corrected: differing of {new} | what CICFlowMeter does otherwise |
|---|---|---|---|---|
"""


def page(compatible: list[Parity], corrected: Parity) -> str:
    """Return the page as Markdown."""
    lines = [PAGE_HEAD]
    for parity in compatible:
        pair, matched = parity.pair, parity.flows - parity.unmatched
        counts = (parity.flows, matched, parity.extra, parity.equal.sum(), parity.within.sum(), parity.differs.sum())
        cells = [f"`{pair.capture}`", f"`{pair.table}`", pair.mode.value, *(f"{count:,}" for count in counts)]
        lines.append(f"| {' | '.join(cells)} |\n")
    old, new = (next(p for p in compatible if p.pair.mode is mode) for mode in list(FlowMode)[1:])
    lines.append(PAGE_FEATURES.format(one_packet=f"{old.one_packet} + {new.one_packet}", old=old.flows, new=new.flows))
    for place, name in enumerate(FEATURE_NAMES):
        cells = [name, *(f"{p.equal[place]} / {p.within[place]} / {p.differs[place]}" for p in (old, new))]
        cells += [str(corrected.differs[place]), REASONS.get(name, "")]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def main() -> int:
    """Compare, write the page, and return the exit status."""
    if not DATA.is_dir():
        print(f"the public captures are not here: {DATA}")
        return 2
    compatible = [compare(pair, pair.mode) for pair in PAIRS]
    PAGE.write_text(page(compatible, compare(PAIRS[-1], FlowMode.CORRECTED)))
    for parity in compatible:
        verdict = "every feature of every flow is equal" if parity.is_perfect else "NOT equal"
        print(f"{parity.pair.table}: {parity.flows} flows, {verdict}")
    return 0 if all(parity.is_perfect for parity in compatible) else 1


if __name__ == "__main__":
    sys.exit(main())
