"""Request and response, many times over: the timing shared by the TCP and the QUIC-like conversations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.records import places, sums_before

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.sessions import Sessions

INITIAL_WINDOW = 10  # segments sent per round trip, RFC 6928
SEGMENT_GAP_NS = 12_304  # 1,538 bytes on a gigabit wire
LOST_NOT, LOST_REQUEST, LOST_TAIL, LOST_INSIDE = range(4)
LOSS_SHARES = (0.955, 0.015, 0.015, 0.015)
DUPLICATES = 4  # segments that follow the one lost inside a flight, each answered by a duplicate ACK
RESTART_NS = 1_000_000  # the sender's pause before a fast retransmission


@dataclass(frozen=True)
class Exchanges:
    """Requests and their responses, one element each (m,), grouped by conversation in order of time."""

    session: NDArray[np.int64]
    counts: NDArray[np.int64]  # (n,) exchanges of each conversation
    request_bytes: NDArray[np.int64]
    segments: NDArray[np.int64]  # of the response; all but the last are of the full size
    last_bytes: NDArray[np.int64]
    loss: NDArray[np.int64]
    timeout_ns: NDArray[np.int64]
    request_ns: NDArray[np.int64]
    response_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    full_bytes: int

    @property
    def response_bytes(self) -> NDArray[np.int64]:
        """Payload of the whole response (m,)."""
        return (self.segments - 1) * self.full_bytes + self.last_bytes

    @property
    def requested_before(self) -> NDArray[np.int64]:
        """Payload that the client sent in earlier exchanges (m,)."""
        return sums_before(self.request_bytes, self.counts)

    @property
    def answered_before(self) -> NDArray[np.int64]:
        """Payload that the server sent in earlier exchanges (m,)."""
        return sums_before(self.response_bytes, self.counts)

    def data_ns(
        self, exchange: NDArray[np.int64], segment: NDArray[np.int64], trip_ns: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """When segment `segment` of the response passes the tap: flights of ten, one each round trip."""
        return (
            self.response_ns[exchange]
            + (segment // INITIAL_WINDOW) * trip_ns[self.session[exchange]]
            + (segment % INITIAL_WINDOW) * SEGMENT_GAP_NS
        )


def draw_exchanges(
    random: np.random.Generator, sessions: Sessions, ready_ns: NDArray[np.int64], full_bytes: int, *, lossy: bool
) -> Exchanges:
    """Draw what each conversation asks and gets; the first request leaves at `ready_ns` (n,)."""
    counts = random.geometric(0.3, len(ready_ns)).clip(1, 12)
    session = np.repeat(np.arange(len(counts)), counts)
    m = len(session)
    segments = random.lognormal(1.6, 1.1, m).clip(1, 300).astype(np.int64)
    loss = random.choice(4, m, p=LOSS_SHARES) if lossy else np.zeros(m, np.int64)
    inside = (segments >= DUPLICATES + 2) & ((segments - 1) % INITIAL_WINDOW >= DUPLICATES)
    loss[(loss == LOST_INSIDE) & ~(inside & (_lost_segment(segments) % 2 == 0))] = LOST_TAIL
    client_ns, server_ns = sessions.client_trip_ns[session], sessions.server_trip_ns[session]
    timeout = 220_000_000 + 2 * (client_ns + server_ns)
    serve = server_ns + random.exponential(3e6, m).astype(np.int64)
    serve += np.where(loss == LOST_REQUEST, timeout, 0)
    last = segments - 1
    deliver = (last // INITIAL_WINDOW) * (client_ns + server_ns) + (last % INITIAL_WINDOW) * SEGMENT_GAP_NS
    deliver += client_ns + np.where(loss == LOST_TAIL, timeout, 0)
    deliver += np.where(loss == LOST_INSIDE, client_ns + server_ns + RESTART_NS, 0)
    think = random.exponential(9e8, m).clip(2e6, 4e9).astype(np.int64)
    request_ns = ready_ns[session] + sums_before(serve + deliver + think, counts)
    return Exchanges(
        session=session,
        counts=counts,
        request_bytes=random.integers(min(90, full_bytes), min(1200, full_bytes) + 1, m),
        segments=segments,
        last_bytes=random.integers(1, full_bytes + 1, m),
        loss=loss,
        timeout_ns=timeout,
        request_ns=request_ns,
        response_ns=request_ns + serve,
        end_ns=request_ns + serve + deliver,
        full_bytes=full_bytes,
    )


def _lost_segment(segments: NDArray[np.int64]) -> NDArray[np.int64]:
    return segments - 1 - DUPLICATES


def lost_segment(exchanges: Exchanges) -> NDArray[np.int64]:
    """Return the segment that a LOST_INSIDE exchange loses between the tap and the client (m,)."""
    return _lost_segment(exchanges.segments)


def response_segments(exchanges: Exchanges) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return exchange and number of every response segment, laid end to end."""
    return np.repeat(np.arange(len(exchanges.segments)), exchanges.segments), places(exchanges.segments)
