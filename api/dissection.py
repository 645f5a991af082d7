"""Packets as tshark reads them: one line each, and a packet's protocol tree.

tshark itself and not pyshark: pyshark starts the same tshark, turns its XML into Python objects packet by packet
(0.6 to 2 thousand packets a second) and hides its errors; its JSON needs no library in between.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field, JsonValue

from api.answers import example
from api.children import run_child
from api.errors import Refusal
from api.evidence import Evidence, reading_packets
from schemas.errors import MissingProgramError

TSHARK_S = 30.0
"""How long tshark may take for an extract of at most some thousand packets."""

MAX_LINES = 1_000
MAX_TREES = 100
"""A packet's tree is some 20 KB of JSON."""

MEMORY_BYTES = 4 * 1024**3
"""Address space of a tshark: it reads what attackers have sent."""

# Titles do not matter: the fields are told apart by their order. Were a destination right behind a source, tshark
# would put an arrow between them. The information comes last, as it may hold anything.
_COLUMNS = '"n","%m","t","%t","s","%us","p","%p","d","%ud","l","%L","i","%i"'
_FIELDS = 7


class PacketAnswer(BaseModel):
    """One packet as tshark reads it."""

    number: int = Field(description="Its number among the packets of the anomaly, from 1; as in the pcapng file.")
    time: float = Field(description="Seconds since the epoch.")
    source: str
    destination: str
    protocol: str = Field(description="The innermost protocol that tshark knows.")
    length: int = Field(description="Bytes on the wire.")
    info: str = Field(description="tshark's summary.")
    layers: dict[str, JsonValue] | None = Field(description="Every protocol and field; null unless asked for.")


class DissectionAnswer(BaseModel):
    """The packets of an anomaly as tshark reads them."""

    model_config = example(
        {
            "anomaly_id": "9f86d081884c7d65",
            "capture_id": "01kb2m9t8x7qd4",
            "count": 1,
            "total": 42,
            "is_truncated": False,
            "segments_gone": 0,
            "segments_unreadable": [],
            "packets": [
                {
                    "number": 1,
                    "time": 1234567890.512345,
                    "source": "10.0.15.35",
                    "destination": "192.178.223.188",
                    "protocol": "TCP",
                    "length": 74,
                    "info": "51148 → 5228 [SYN] Seq=0 Win=64240 Len=0",
                    "layers": None,
                }
            ],
        }
    )

    anomaly_id: str
    capture_id: str
    count: int = Field(description="Packets in this answer.")
    total: int = Field(description="Packets of the anomaly.")
    is_truncated: bool = Field(description="Whether there are more packets than were taken out of the capture.")
    segments_gone: int = Field(description="Segments of the packet ring that were deleted while it was read.")
    segments_unreadable: list[str] = Field(description="Segments that could not be read to their end, and why.")
    packets: list[PacketAnswer]


async def dissect(evidence: Evidence, first: int, limit: int, *, with_layers: bool) -> list[PacketAnswer]:
    """Return packets of an extract as tshark reads them.

    Parameters
    ----------
    first : int
        Number of the first packet wanted, from 1. Earlier ones are read as well: they say what later ones mean.
    limit : int
        Packets at most.
    with_layers : bool
        Whether every field is wanted.

    Raises
    ------
    Refusal
        503 when tshark is not installed, fails or takes too long.
    """
    last = first + limit - 1
    wanted = ["-c", str(last), "-Y", f"frame.number >= {first}"]
    lines = await _tshark(evidence, [*wanted, "-t", "e", "-T", "tabs", "-o", f"gui.column.format:{_COLUMNS}"], "lines")
    packets = await asyncio.to_thread(_packets, lines)
    if not with_layers or not packets:
        return packets
    trees = await _tshark(evidence, [*wanted, "-T", "json", "--no-duplicate-keys"], "trees")
    layers = await asyncio.to_thread(_layers, trees)
    return [packet.model_copy(update={"layers": tree}) for packet, tree in zip(packets, layers, strict=True)]


def _packets(lines: Path) -> list[PacketAnswer]:
    return [_packet(line) for line in lines.read_text(errors="replace").splitlines() if line.strip()]


def _layers(trees: Path) -> list[dict[str, JsonValue]]:
    return [tree["_source"]["layers"] for tree in json.loads(trees.read_text(errors="replace"))]


def _packet(line: str) -> PacketAnswer:
    number, time, source, protocol, destination, length, info = (line.split("\t", _FIELDS - 1) + [""] * _FIELDS)[
        :_FIELDS
    ]
    return PacketAnswer(
        number=int(number),
        time=float(time),
        source=source.strip(),
        destination=destination.strip(),
        protocol=protocol.strip(),
        length=int(length),
        info=info.strip(),
        layers=None,
    )


async def _tshark(evidence: Evidence, arguments: Sequence[str], name: str) -> Path:
    """Run tshark over an extract, without names looked up and without anybody's preferences; return what it wrote."""
    folder = evidence.path.parent / name
    folder.mkdir()
    (folder / "home").mkdir()
    environment = {"WIRESHARK_CONFIG_DIR": str(folder / "home"), "HOME": str(folder / "home")}
    command: list[str | Path] = ["tshark", "-n", "-r", evidence.path, *arguments]
    try:
        with reading_packets():
            return await run_child(command, folder, TSHARK_S, environment=environment, memory_bytes=MEMORY_BYTES)
    except MissingProgramError as error:
        raise Refusal(503, "Service Unavailable", "tshark is not installed on this machine.") from error
