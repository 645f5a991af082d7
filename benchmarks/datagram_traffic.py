"""Conversations without TCP: DNS, QUIC-like streams over UDP, and pings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.exchanges import draw_exchanges, response_segments
from benchmarks.records import ICMP, ICMP6, UDP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.sessions import Sessions

DNS_QUERY_BYTES = 37  # header 12, name h000000.example.com 21, type and class 4
DNS_ANSWER_BYTES = DNS_QUERY_BYTES + 16
RESOLVERS = 4


def dns_lookups(sessions: Sessions) -> NDArray[np.void]:
    """Make a query and its answer for each conversation; `seq` numbers the query, `flags` marks the answer."""
    everyone = np.arange(len(sessions.start_ns))
    query = sessions.records(everyone, sessions.start_ns, from_client=True, payload_bytes=DNS_QUERY_BYTES, protocol=UDP)
    answer = sessions.records(
        everyone,
        sessions.start_ns + sessions.server_trip_ns,
        from_client=False,
        payload_bytes=DNS_ANSWER_BYTES,
        protocol=UDP,
    )
    answer["flags"] = 1
    rows = np.concatenate([query, answer])
    rows["seq"] = np.tile(sessions.client_isn & 0xFFFF, 2)
    return rows


def quic_streams(random: np.random.Generator, sessions: Sessions, full_bytes: int) -> NDArray[np.void]:
    """Make requests, response datagrams and their acknowledgements: TCP's timing without its header."""
    exchanges = draw_exchanges(random, sessions, sessions.start_ns, full_bytes, lossy=False)
    exchange, segment = response_segments(exchanges)
    ts_ns = exchanges.data_ns(exchange, segment, sessions.client_trip_ns + sessions.server_trip_ns)
    session = exchanges.session[exchange]
    odd = segment % 2 == 1
    return np.concatenate(
        [
            sessions.records(
                exchanges.session,
                exchanges.request_ns,
                from_client=True,
                payload_bytes=exchanges.request_bytes,
                protocol=UDP,
            ),
            sessions.records(session, ts_ns, from_client=False, payload_bytes=full_bytes, protocol=UDP),
            sessions.records(
                session[odd],
                (ts_ns + sessions.client_trip_ns[session])[odd],
                from_client=True,
                payload_bytes=35,
                protocol=UDP,
            ),
        ]
    )


def pings(random: np.random.Generator, sessions: Sessions) -> NDArray[np.void]:
    """Make one to five echo requests a second apart, answered; `seq` carries identifier and number."""
    counts = random.integers(1, 6, len(sessions.start_ns))
    session = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(session)) - np.repeat(np.cumsum(counts) - counts, counts)
    sent_ns = sessions.start_ns[session] + number * 1_000_000_000
    request = sessions.records(session, sent_ns, from_client=True, payload_bytes=56)
    answer = sessions.records(session, sent_ns + sessions.server_trip_ns[session], from_client=False, payload_bytes=56)
    is_ipv6 = sessions.is_ipv6[session]
    request["flags"] = np.where(is_ipv6, 128, 8)
    answer["flags"] = np.where(is_ipv6, 129, 0)
    rows = np.concatenate([request, answer])
    rows["protocol"] = np.tile(np.where(is_ipv6, ICMP6, ICMP), 2)
    rows["seq"] = np.tile(sessions.client_port[session].astype(np.uint32) << 16 | number.astype(np.uint32), 2)
    return rows
