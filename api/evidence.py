"""The packets behind an anomaly: where they lie, and a child process that takes them out.

The API computes nothing: the extraction is a program of its own (``streams.extract``), with a bounded file.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from api.analysis_rows import AnomalyRow
from api.children import run_child
from api.errors import Refusal
from api.files import find_capture_file
from api.filters import NS_PER_S
from api.rows import CaptureNow
from infra.settings import Settings
from schemas.enums import AnomalyType
from schemas.errors import ChildError
from schemas.evidence import Ends, Extracted, Selection
from schemas.packets import NO_PROTOCOL

log = logging.getLogger(__name__)

EXTRACT_S = 60.0
"""How long an extraction may take: a file of 100 million packets."""


@dataclass(frozen=True)
class Evidence:
    """Packets taken out of a capture.

    Parameters
    ----------
    path : Path
        A pcapng file; removed when the request is over.
    result : Extracted
        What came of it.
    """

    path: Path
    result: Extracted


def selection_of(row: AnomalyRow, margin_s: float, max_packets: int) -> Selection:
    """Return which packets an anomaly is about.

    In this order: its flow; for an ARP sweep the ARP packets of its source; for a port scan whatever its source sent
    and got (its conversations are samples); its conversations; its source, destination or hosts; everything in the
    window when nobody is named.

    Parameters
    ----------
    margin_s : float
        Seconds before and behind the window to take as well.
    """
    margin_ns = round(margin_s * NS_PER_S)
    return Selection(
        first_ns=row.window_start_ns - margin_ns,
        last_ns=row.window_end_ns + margin_ns - 1,
        ends=_ends_of(row),
        max_packets=max_packets,
    )


def _ends_of(row: AnomalyRow) -> list[Ends]:
    if row.flow_src and row.flow_dst:
        (a, a_port), (b, b_port) = _end(row.flow_src), _end(row.flow_dst)
        return [Ends(a=a, a_port=a_port, b=b, b_port=b_port)]
    if row.signal == "arp_sweep":
        return [Ends(a=row.source_ip, protocol=NO_PROTOCOL)]
    if row.type is AnomalyType.PORT_SCAN and row.source_ip:
        return [Ends(a=row.source_ip, b=row.destination_ip)]
    if row.flows:
        return [
            Ends(a=flow.src_ip, a_port=flow.src_port, b=flow.dst_ip, b_port=flow.dst_port, protocol=flow.protocol)
            for flow in row.flows
        ]
    if row.source_ip or row.destination_ip:
        return [Ends(a=row.source_ip, b=row.destination_ip)]
    return [Ends(a=host) for host in row.hosts]


def _end(text: str) -> tuple[str, int]:
    """Return address and port of ``ip:port`` or ``[ip]:port``."""
    ip, _, port = text.rpartition(":")
    return str(ip_address(ip.strip("[]"))), int(port)


def capture_files(capture: CaptureNow, settings: Settings) -> list[Path]:
    """Return the files that hold a capture's packets.

    Raises
    ------
    Refusal
        404 when there never was a file to go back to, 410 when it is gone or another one than was read.
    """
    segments = sorted((settings.captures_folder / capture.capture_id).glob("*.pcapng"))
    if segments:
        return segments
    if capture.source == "live":
        raise _gone("The packets of this live capture are no longer on disk: the packet ring is bounded.")
    if not capture.fingerprint:
        raise Refusal(404, "No packets", "This capture was read from a pipe: its packets were not kept.")
    try:
        file = find_capture_file(capture.name, settings)
        now = file.fingerprint(capture.window_ns / NS_PER_S)
    except Refusal as error:
        sentence = "The file of this capture is gone, or lies outside the folders that the service may read."
        raise _gone(sentence) from error
    if now != capture.fingerprint:
        raise _gone("The file of this capture was changed after it was read.")
    return [file.path]


def _gone(sentence: str) -> Refusal:
    return Refusal(410, "Gone", sentence)


@asynccontextmanager
async def extracted(files: Sequence[Path], wanted: Selection, at_once: asyncio.Semaphore) -> AsyncIterator[Evidence]:
    """Take packets out of capture files; what was written lies there as long as the context is open.

    Parameters
    ----------
    files : sequence of Path
        The capture's files, in order.
    wanted : Selection
        Which packets.
    at_once : asyncio.Semaphore
        How many may be open side by side.

    Raises
    ------
    Refusal
        410 when the files cannot be read any more, 503 when it takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="spanwatch-evidence-") as name:
        folder = Path(name)
        output = folder / "evidence.pcapng"
        command: list[str | Path] = [sys.executable, "-m", "streams.extract", wanted.model_dump_json(), output, *files]
        async with at_once:
            with reading_packets():
                said = await run_child(command, folder, EXTRACT_S)
            result = Extracted.model_validate_json(said.read_text())
            for sentence in result.segments_unreadable:
                log.warning("a segment of the packet ring cannot be read: %s", sentence)
            yield Evidence(output, result)


@contextmanager
def reading_packets() -> Iterator[None]:
    """Answer 410 when a child that reads packets fails: they are damaged, or have gone meanwhile."""
    try:
        yield
    except ChildError as error:
        log.warning("%s", error)
        raise _gone("The packets of this capture cannot be read any more.") from error
