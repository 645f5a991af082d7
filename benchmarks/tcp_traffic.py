"""TCP conversations: handshake, exchanges with delayed ACKs, losses after the tap, and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.exchanges import (
    DUPLICATES,
    LOST_INSIDE,
    LOST_REQUEST,
    LOST_TAIL,
    RESTART_NS,
    SEGMENT_GAP_NS,
    Exchanges,
    draw_exchanges,
    lost_segment,
    response_segments,
)
from benchmarks.records import ACK, FIN, PSH, RST, SYN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.sessions import Sessions

Records = list["NDArray[np.void]"]


def _stamp(
    rows: NDArray[np.void], flags: int, seq: NDArray[np.int64], ack: NDArray[np.int64] | int
) -> NDArray[np.void]:
    rows["flags"] = flags
    rows["seq"] = np.asarray(seq & 0xFFFFFFFF, np.uint32)
    rows["ack"] = np.asarray(ack & 0xFFFFFFFF, np.uint32)
    return rows


def tcp_conversations(random: np.random.Generator, sessions: Sessions, full_bytes: int) -> NDArray[np.void]:
    """Make complete conversations, packets unsorted: most end by FIN, one in ten by RST."""
    everyone = np.arange(len(sessions.start_ns))
    answered = sessions.start_ns + sessions.server_trip_ns
    opened = answered + sessions.client_trip_ns
    syn = sessions.records(everyone, sessions.start_ns, from_client=True)
    syn_ack = sessions.records(everyone, answered, from_client=False)
    ack = sessions.records(everyone, opened, from_client=True)
    rows = [
        _stamp(syn, SYN, sessions.client_isn, 0),
        _stamp(syn_ack, SYN | ACK, sessions.server_isn, sessions.client_isn + 1),
        _stamp(ack, ACK, sessions.client_isn + 1, sessions.server_isn + 1),
    ]
    exchanges = draw_exchanges(random, sessions, opened + 50_000, full_bytes, lossy=True)
    rows += _requests(sessions, exchanges)
    rows += _responses(sessions, exchanges)
    rows += _acknowledgements(sessions, exchanges)
    rows += _ends(sessions, exchanges, random.random(len(everyone)) < 0.1)
    return np.concatenate(rows)


def _requests(sessions: Sessions, exchanges: Exchanges) -> Records:
    seq = sessions.client_isn[exchanges.session] + 1 + exchanges.requested_before
    ack = sessions.server_isn[exchanges.session] + 1 + exchanges.answered_before
    rows = []
    for chosen, later in (
        (np.ones(len(seq), bool), 0),
        (exchanges.loss == LOST_REQUEST, exchanges.timeout_ns),
    ):
        sent = sessions.records(
            exchanges.session[chosen],
            (exchanges.request_ns + later)[chosen],
            from_client=True,
            payload_bytes=exchanges.request_bytes[chosen],
        )
        rows.append(_stamp(sent, PSH | ACK, seq[chosen], ack[chosen]))
    return rows


def _responses(sessions: Sessions, exchanges: Exchanges) -> Records:
    trip = sessions.client_trip_ns + sessions.server_trip_ns
    exchange, segment = response_segments(exchanges)
    rows = [_segments(sessions, exchanges, exchange, segment, exchanges.data_ns(exchange, segment, trip))]
    tail = np.flatnonzero(exchanges.loss == LOST_TAIL)
    last = exchanges.segments[tail] - 1
    again = exchanges.data_ns(tail, last, trip) + exchanges.timeout_ns[tail]
    rows.append(_segments(sessions, exchanges, tail, last, again))
    inside = np.flatnonzero(exchanges.loss == LOST_INSIDE)
    lost = lost_segment(exchanges)[inside]
    again = exchanges.data_ns(inside, lost + DUPLICATES, trip) + trip[exchanges.session[inside]] + RESTART_NS
    rows.append(_segments(sessions, exchanges, inside, lost, again))
    return rows


def _segments(
    sessions: Sessions,
    exchanges: Exchanges,
    exchange: NDArray[np.int64],
    segment: NDArray[np.int64],
    ts_ns: NDArray[np.int64],
) -> NDArray[np.void]:
    session = exchanges.session[exchange]
    is_last = segment == exchanges.segments[exchange] - 1
    size = np.where(is_last, exchanges.last_bytes[exchange], exchanges.full_bytes)
    before = exchanges.answered_before[exchange] + segment * exchanges.full_bytes
    received = (exchanges.requested_before + exchanges.request_bytes)[exchange]
    sent = sessions.records(session, ts_ns, from_client=False, payload_bytes=size)
    _stamp(sent, ACK, sessions.server_isn[session] + 1 + before, sessions.client_isn[session] + 1 + received)
    sent["flags"] |= np.where(is_last, PSH, 0).astype(np.uint8)
    return sent


def _acknowledgements(sessions: Sessions, exchanges: Exchanges) -> Records:
    """Every second segment and the last; after a loss inside a flight, duplicates until it is repaired."""
    trip = sessions.client_trip_ns + sessions.server_trip_ns
    exchange, segment = response_segments(exchanges)
    lost = np.where(exchanges.loss == LOST_INSIDE, lost_segment(exchanges), 1 << 40)[exchange]
    is_last = segment == exchanges.segments[exchange] - 1
    held = segment >= lost
    chosen = np.where(held, segment > lost, (segment % 2 == 1) | is_last)
    exchange, segment, lost = exchange[chosen], segment[chosen], lost[chosen]
    ts_ns = exchanges.data_ns(exchange, segment, trip) + sessions.client_trip_ns[exchanges.session[exchange]]
    late = (segment == exchanges.segments[exchange] - 1) & (exchanges.loss[exchange] == LOST_TAIL)
    ts_ns = ts_ns + np.where(late, exchanges.timeout_ns[exchange], 0)
    whole = exchanges.response_bytes[exchange]
    covered = np.minimum(np.minimum(segment + 1, lost) * exchanges.full_bytes, whole)
    repaired = np.flatnonzero(exchanges.loss == LOST_INSIDE)
    return [
        _acks(sessions, exchanges, exchange, covered, ts_ns),
        _acks(sessions, exchanges, repaired, exchanges.response_bytes[repaired], exchanges.end_ns[repaired]),
    ]


def _acks(
    sessions: Sessions,
    exchanges: Exchanges,
    exchange: NDArray[np.int64],
    covered: NDArray[np.int64],
    ts_ns: NDArray[np.int64],
) -> NDArray[np.void]:
    session = exchanges.session[exchange]
    sent = (exchanges.requested_before + exchanges.request_bytes)[exchange]
    got = exchanges.answered_before[exchange] + covered
    rows = sessions.records(session, ts_ns, from_client=True)
    return _stamp(rows, ACK, sessions.client_isn[session] + 1 + sent, sessions.server_isn[session] + 1 + got)


def _ends(sessions: Sessions, exchanges: Exchanges, is_reset: NDArray[np.bool_]) -> Records:
    final = np.cumsum(exchanges.counts) - 1
    seq = sessions.client_isn + 1 + (exchanges.requested_before + exchanges.request_bytes)[final]
    ack = sessions.server_isn + 1 + (exchanges.answered_before + exchanges.response_bytes)[final]
    close_ns = exchanges.end_ns[final] + 20 * SEGMENT_GAP_NS
    reset, polite = np.flatnonzero(is_reset), np.flatnonzero(~is_reset)
    answer_ns = (close_ns + sessions.server_trip_ns)[polite]
    last_ns = answer_ns + sessions.client_trip_ns[polite]
    rows = [
        (sessions.records(reset, close_ns[reset], from_client=True), RST | ACK, seq[reset], ack[reset]),
        (sessions.records(polite, close_ns[polite], from_client=True), FIN | ACK, seq[polite], ack[polite]),
        (sessions.records(polite, answer_ns, from_client=False), FIN | ACK, ack[polite], seq[polite] + 1),
        (sessions.records(polite, last_ns, from_client=True), ACK, seq[polite] + 1, ack[polite] + 1),
    ]
    return [_stamp(*row) for row in rows]


def tcp_failures(random: np.random.Generator, sessions: Sessions) -> NDArray[np.void]:
    """Make attempts that come to nothing: refused by RST, or a SYN sent again after one second and three."""
    refused = random.random(len(sessions.start_ns)) < 0.6
    no, silent = np.flatnonzero(refused), np.flatnonzero(~refused)
    everyone = np.arange(len(refused))
    syn = sessions.records(everyone, sessions.start_ns, from_client=True)
    rows = [_stamp(syn, SYN, sessions.client_isn, 0)]
    rst = sessions.records(no, (sessions.start_ns + sessions.server_trip_ns)[no], from_client=False)
    rows.append(_stamp(rst, RST | ACK, np.zeros(len(no), np.int64), sessions.client_isn[no] + 1))
    for later_ns in (1_000_000_000, 3_000_000_000):
        again = sessions.records(silent, sessions.start_ns[silent] + later_ns, from_client=True)
        rows.append(_stamp(again, SYN, sessions.client_isn[silent], 0))
    return np.concatenate(rows)
