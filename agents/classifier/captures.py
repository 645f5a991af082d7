"""Labelled captures as flows: the flow meter makes the flows, the label file says what they are."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import FlowFileError, SpanwatchError
from schemas.flows import FLOW_SCHEMA
from streams.decode import decode
from streams.files import open_capture
from streams.flow_rules import SECOND_NS
from streams.flows import FlowMeter
from streams.packets import NO_TIME_NS, Packets

CAPTURE_ENDINGS = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz")

LABEL_COLUMNS = ("start_ns", "end_ns", "src_ip", "dst_ip", "src_port", "dst_port", "protocol", "class", "tool")
"""Of a label file, CSV in UTF-8; what an empty field means, and which row counts, is in ``docs/lab.md``."""

WINDOW_NS = 10 * SECOND_NS
"""How often a flow that goes on is written, as in the service unless told."""

_BATCH = 65_536
_END_OF_TIME = 2**63 - 1


@dataclass(frozen=True)
class LabelRow:
    """What flows between these ends, beginning in this time, are; None matches anything.

    Parameters
    ----------
    start_ns, end_ns : int
        From (included) and to (excluded), ns since the Unix epoch.
    source, target : tuple of bytes or None, int or None
        Address (16 bytes, IPv4 mapped) and port; a flow may run either way.
    protocol : int or None
        IANA number.
    label, tool : str
        Class, and program.
    """

    start_ns: int
    end_ns: int
    source: tuple[bytes | None, int | None]
    target: tuple[bytes | None, int | None]
    protocol: int | None
    label: str
    tool: str


def is_capture(path: Path) -> bool:
    """Say whether a file is a capture by its name."""
    return path.name.casefold().endswith(CAPTURE_ENDINGS)


def labels_beside(capture: Path) -> Path:
    """Return where the label file of a capture is: ``NAME.labels.csv`` beside ``NAME.pcap.gz``."""
    ending = max((end for end in CAPTURE_ENDINGS if capture.name.casefold().endswith(end)), key=len)
    return capture.with_name(capture.name[: -len(ending)] + ".labels.csv")


def labelled_records(capture: Path, rows: Sequence[LabelRow] | None = None) -> pa.Table:
    """Return the flow records of a capture, interim ones included, with the columns ``label`` and ``tool``.

    A flow is what the first row says that matches its ends, its protocol and its beginning. Flows that no row matches
    are left out. The rows are those of the label file beside the capture unless given.

    Raises
    ------
    FlowFileError
        When capture or labels cannot be read.
    """
    rows = read_label_rows(labels_beside(capture)) if rows is None else rows
    try:
        records = flow_records(capture)
    except (OSError, SpanwatchError) as error:
        raise FlowFileError(f"{capture} cannot be read: {error}") from error
    return labelled(records, rows)


def labelled(records: pa.Table, rows: Sequence[LabelRow]) -> pa.Table:
    """Return the records that a row matches, with the columns ``label`` and ``tool``."""
    chosen = rows_of_flows(records, rows)
    kept = records.filter(pa.array(chosen >= 0))
    chosen = chosen[chosen >= 0]
    for name, values in (("label", [row.label for row in rows]), ("tool", [row.tool for row in rows])):
        kept = kept.append_column(name, pa.array([values[place] for place in chosen], pa.string()))
    return kept


def flow_records(capture: Path) -> pa.Table:
    """Return the records (``FLOW_SCHEMA``) of a whole capture, in the default mode."""
    return metered(packets_of(capture))


def packets_of(capture: Path) -> Iterator[Packets]:
    """Yield the packets of a capture, many at a time."""
    newest_ns = NO_TIME_NS
    with open_capture(capture) as file:
        for block in file.blocks(_BATCH):
            packets = decode(block, newest_ns)
            newest_ns = packets.newest_ns(newest_ns)
            if len(packets.ts_ns):
                yield packets


def metered(batches: Iterable[Packets]) -> pa.Table:
    """Return the records (``FLOW_SCHEMA``) of a capture's packets."""
    newest_ns, meter, pieces = NO_TIME_NS, None, []
    for packets in batches:
        newest_ns = packets.newest_ns(newest_ns)
        meter = meter or FlowMeter(WINDOW_NS, int(packets.ts_ns[0]))
        pieces.append(meter.feed(packets, newest_ns))
    if meter is not None:
        pieces.append(meter.flush())
    return pa.concat_tables(pieces) if pieces else FLOW_SCHEMA.empty_table()


def read_label_rows(path: Path) -> list[LabelRow]:
    """Read a label file.

    Raises
    ------
    FlowFileError
        When it is not there, lacks a column, or a value is not of its kind.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in LABEL_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise FlowFileError(f"{path} has no column {missing[0]}.")
            return [_label_row(path, row) for row in reader]
    except OSError as error:
        raise FlowFileError(f"The labels {path} cannot be read.") from error


def read_whole_labels(path: Path) -> dict[str, LabelRow]:
    """Read what whole captures are: CSV with the columns ``file``, ``class`` and ``tool``.

    Raises
    ------
    FlowFileError
        When it is not there or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            anything: tuple[None, None] = (None, None)
            return {
                row["file"]: LabelRow(0, _END_OF_TIME, anything, anything, None, row["class"], row["tool"])
                for row in csv.DictReader(file)
            }
    except (OSError, KeyError) as error:
        raise FlowFileError(f"{path} is no list of captures with the columns file, class and tool.") from error


def _label_row(path: Path, row: dict[str, str]) -> LabelRow:
    def end(side: str) -> tuple[bytes | None, int | None]:
        address, port = row[f"{side}_ip"], row[f"{side}_port"]
        return (_mapped(address) if address else None), (int(port) if port else None)

    try:
        protocol = int(row["protocol"]) if row["protocol"] else None
        times = int(row["start_ns"]), int(row["end_ns"])
        return LabelRow(*times, end("src"), end("dst"), protocol, row["class"], row["tool"])
    except ValueError as error:
        raise FlowFileError(f"{path} has a row that is no label: {error}") from error


def _mapped(text: str) -> bytes:
    address = ip_address(text)
    return address.packed if isinstance(address, IPv6Address) else bytes(10) + b"\xff\xff" + address.packed


def rows_of_flows(records: pa.Table, rows: Sequence[LabelRow]) -> npt.NDArray[np.int64]:
    """Return the number of the first row that each flow (n_flows,) matches, or -1."""
    begun = records.column("start_ns").to_numpy()
    protocols = records.column("protocol").to_numpy()
    ends = [(_words(records, f"{side}_ip"), records.column(f"{side}_port").to_numpy()) for side in ("src", "dst")]
    chosen = np.full(len(begun), -1, np.int64)
    for number, row in enumerate(rows):
        matches = (chosen < 0) & (begun >= row.start_ns) & (begun < row.end_ns)
        if row.protocol is not None:
            matches &= protocols == row.protocol
        there = _is_end(ends[0], row.source) & _is_end(ends[1], row.target)
        back = _is_end(ends[1], row.source) & _is_end(ends[0], row.target)
        chosen[matches & (there | back)] = number
    return chosen


def _words(records: pa.Table, name: str) -> npt.NDArray[np.uint64]:
    """Return addresses as (n_flows, 2) words."""
    column = records.column(name).combine_chunks()
    content = b"".join(column.to_pylist())
    return np.frombuffer(content, np.uint64).reshape(-1, 2)


def _is_end(
    end: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint16]], wanted: tuple[bytes | None, int | None]
) -> npt.NDArray[np.bool_]:
    addresses, ports = end
    is_it = np.ones(len(ports), np.bool_)
    if wanted[0] is not None:
        is_it &= (addresses == np.frombuffer(wanted[0], np.uint64)).all(axis=1)
    if wanted[1] is not None:
        is_it &= ports == wanted[1]
    return is_it
