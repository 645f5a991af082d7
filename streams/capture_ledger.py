"""The loss ledger of a capture: what each hop up to Kafka took in and handed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from schemas.captures import LedgerRow
from schemas.enums import DecodeStatus, Hop
from streams.arrays import Int64s
from streams.chunks import Chunk
from streams.frames import HopCount


def _no_statuses() -> Int64s:
    return np.zeros(len(DecodeStatus), np.int64)


@dataclass
class CaptureLedger:
    """Counts of one capture.

    Attributes
    ----------
    statuses : numpy.ndarray of int64
        Packets by decode status.
    kept : int
        Packets of the flows that were kept.
    acknowledged : int
        Packets that Kafka has.
    was_sampled : bool
        Whether packets came while flows were left out.
    """

    statuses: Int64s = field(default_factory=_no_statuses)
    kept: int = 0
    acknowledged: int = 0
    was_sampled: bool = False

    def add(self, chunk: Chunk) -> None:
        """Count a chunk that is being sent."""
        self.statuses += np.bincount(chunk.packets.decode_status, minlength=len(DecodeStatus))
        self.kept += chunk.kept
        self.was_sampled = self.was_sampled or (chunk.header.sampling_rate < 1 and len(chunk.packets.ts_ns) > 0)

    def rows(self, capture_id: str, version: int, before: list[HopCount]) -> list[LedgerRow]:
        """Return the ledger as it stands.

        Parameters
        ----------
        version : int
            Higher with each report.
        before : list of HopCount
            What the source counted before frames came to the decoder.
        """
        row = partial(LedgerRow, capture_id=capture_id, version=version)
        decoded = int(self.statuses.sum())
        counts = [
            *before,
            HopCount(Hop.READ, "", decoded, decoded),
            HopCount(Hop.DECODE, "", decoded, decoded),
            *self._undecoded(),
        ]
        if self.was_sampled:
            left_out = decoded - self.kept
            counts += [
                HopCount(Hop.SAMPLE, "", decoded, self.kept),
                HopCount(Hop.SAMPLE, "sampled_out", left_out, 0),
            ]
        counts.append(HopCount(Hop.PRODUCE, "", self.kept, self.acknowledged))
        return [row(**count._asdict()) for count in counts]

    def _undecoded(self) -> list[HopCount]:
        return [
            HopCount(Hop.DECODE, status.name.lower(), int(self.statuses[status]), int(self.statuses[status]))
            for status in DecodeStatus
            if status is not DecodeStatus.OK and self.statuses[status]
        ]
