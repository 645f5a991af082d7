"""What was what in a capture: rows that say which packets belong to which class."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from lab.errors import LabelError
from schemas.classes import CLASS_NAMES as CLASSES

BENIGN = CLASSES[0]
"""The one class that is no attack."""

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
"""IANA protocol numbers."""


@dataclass(frozen=True)
class Packet:
    """One IP packet as labels see it; ports are 0 where the protocol has none."""

    ts_ns: int
    src_ip: str
    dst_ip: str
    src_port: int
    dst_port: int
    protocol: int

    @property
    def conversation(self) -> tuple[int, tuple[str, int], tuple[str, int]]:
        """Protocol and both ends, the same for both directions."""
        low, high = sorted([(self.src_ip, self.src_port), (self.dst_ip, self.dst_port)])
        return self.protocol, low, high


@dataclass(frozen=True)
class Label:
    """One row of a label file: a conversation, or a host and an interval.

    A packet belongs to the row when ``start_ns <= ts_ns < end_ns`` and it matches in one direction or the
    other. None matches anything. The first matching row of the file counts.

    Attributes
    ----------
    start_ns, end_ns
        Nanoseconds since 1970, UTC.
    src_ip, src_port
        The originator: the attacker, or the client.
    dst_ip, dst_port
        The responder.
    protocol
        IANA number.
    class_name
        One of `CLASSES`; the column is called ``class``.
    tool
        The program, with the option that matters.
    """

    start_ns: int
    end_ns: int
    src_ip: str | None
    dst_ip: str | None
    src_port: int | None
    dst_port: int | None
    protocol: int | None
    class_name: str
    tool: str

    def __post_init__(self) -> None:
        if self.class_name not in CLASSES:
            raise LabelError(f"{self.class_name!r} is not one of the 15 classes")
        if self.end_ns < self.start_ns:
            raise LabelError(f"A label ends before it starts: {self}")

    def matches(self, packet: Packet) -> bool:
        """Tell whether the packet belongs to the row."""
        return self.start_ns <= packet.ts_ns < self.end_ns and self.names(packet)

    def names(self, packet: Packet) -> bool:
        """Tell whether the packet matches the row apart from its time."""
        if self.protocol not in (None, packet.protocol):
            return False
        source, target = (packet.src_ip, packet.src_port), (packet.dst_ip, packet.dst_port)
        return self._runs(source, target) or self._runs(target, source)

    def _runs(self, source: tuple[str, int], target: tuple[str, int]) -> bool:
        return (
            self.src_ip in (None, source[0])
            and self.dst_ip in (None, target[0])
            and self.src_port in (None, source[1])
            and self.dst_port in (None, target[1])
        )


HEADER = tuple("class" if field.name == "class_name" else field.name for field in fields(Label))


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write a label file: UTF-8, comma-separated, a header line, wildcards empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(astuple(label) for label in labels)


def read_labels(path: Path) -> list[Label]:
    """Read a label file.

    Raises
    ------
    LabelError
        When a column is missing, a value is not of its kind, or a class is unknown.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != HEADER:
            raise LabelError(f"{path} does not start with {','.join(HEADER)}")
        return [_label(row) for row in reader]


def _label(row: dict[str, str]) -> Label:
    def number(name: str) -> int | None:
        return int(row[name]) if row[name] else None

    try:
        return Label(
            int(row["start_ns"]),
            int(row["end_ns"]),
            row["src_ip"] or None,
            row["dst_ip"] or None,
            number("src_port"),
            number("dst_port"),
            number("protocol"),
            row["class"],
            row["tool"],
        )
    except ValueError as error:
        raise LabelError(f"Not a label: {row}: {error}") from error


def label_of(packet: Packet, labels: Sequence[Label]) -> Label | None:
    """Return the row a packet belongs to, or None when no row matches."""
    return next((label for label in labels if label.matches(packet)), None)


def settle(labels: Sequence[Label], packets: Sequence[Packet]) -> list[Label]:
    """Fit label rows to what was captured, and add the row for everything else.

    A conversation belongs to the row in which it began, so a row is extended to the last packet of the
    conversations that began in it: a server goes on answering after the attacking tool has ended. The last
    row is BENIGN, matches everything, and covers the capture.

    Raises
    ------
    LabelError
        When a row matches no packet, or a packet of a conversation ends up in another class than its
        first one.
    """
    if not packets:
        raise LabelError("The capture holds no IP packets")
    ordered = sorted(labels, key=lambda label: (label.class_name == BENIGN, label.start_ns))
    ends = [label.start_ns for label in ordered]
    home: dict[object, int | None] = {}
    for packet in packets:
        key = packet.conversation
        if key not in home or (home[key] is None):
            home[key] = next((i for i, label in enumerate(ordered) if label.matches(packet)), None)
        row = home[key]
        if row is not None and ordered[row].names(packet):
            ends[row] = max(ends[row], packet.ts_ns + 1)
    for label, end_ns in zip(ordered, ends, strict=True):
        if end_ns == label.start_ns:
            raise LabelError(f"No packet belongs to this label: {label}")
    settled = [replace(label, end_ns=end_ns) for label, end_ns in zip(ordered, ends, strict=True)]
    everything = Label(
        min(packet.ts_ns for packet in packets),
        max(packet.ts_ns for packet in packets) + 1,
        *(None,) * 5,
        BENIGN,
        "background",
    )
    settled.append(everything)
    _check(settled, packets)
    return settled


def _check(labels: Sequence[Label], packets: Sequence[Packet]) -> None:
    classes: dict[object, str] = {}
    for packet in packets:
        row = label_of(packet, labels)
        if row is None:
            raise LabelError(f"No label for {packet}")
        if packet.src_port and classes.setdefault(packet.conversation, row.class_name) != row.class_name:
            raise LabelError(f"{packet} is {row.class_name}, its conversation began otherwise")
