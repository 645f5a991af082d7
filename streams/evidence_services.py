"""What the conversations of a window ask of whom: by source and service, and by the host that is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.windows import MAX_RESPONDERS, MAX_SERVICE_CLIENTS
from streams.arrays import Bools, Int64s
from streams.evidence import Conversations, pairs
from streams.grouping import group, lowest, sums_of
from streams.window_conversations import Word


@dataclass(frozen=True)
class Asked:
    """Sums over groups of conversations, each of shape ``(n_groups,)``.

    Parameters
    ----------
    src, dst, service : ndarray of int64
        Originator, responder (hosts by number), port and protocol (see ``service_of``) of a group's first row.
    sources : ndarray of int64
        Distinct originators.
    conversations, begun, failed : ndarray of int64
        Conversations, those that began in the window, those that failed.
    packets_forward, packets_backward, bytes_forward, bytes_backward : ndarray of int64
        Sent by the originators and by the responders in the window.
    """

    src: Int64s
    dst: Int64s
    service: Int64s
    sources: Int64s
    conversations: Int64s
    begun: Int64s
    failed: Int64s
    packets_forward: Int64s
    packets_backward: Int64s
    bytes_forward: Int64s
    bytes_backward: Int64s


def service_clients(conversations: Conversations, has_begun: Bools) -> Asked:
    """Return what each source asked of each service: the ``MAX_SERVICE_CLIENTS`` that began most conversations.

    Equal ones are ranked by their conversations, then by the addresses of source and service, port and protocol.

    Parameters
    ----------
    has_begun : ndarray of bool, shape (n_rows,)
        Whether a conversation began in the window.
    """
    src, dst, service = conversations.ends_and_service
    chosen = np.flatnonzero(conversations.is_counted)
    numbers, firsts = group(pairs(src[chosen], dst[chosen]), service[chosen].view(np.uint64))
    firsts = chosen[firsts]
    tries, begun = _tries_and_begun(chosen, numbers, len(firsts), has_begun)
    hosts = conversations.hosts
    src, dst = src[firsts], dst[firsts]
    keys = (-begun, -tries, hosts.high[src], hosts.low[src], hosts.high[dst], hosts.low[dst], service[firsts])
    top = lowest(MAX_SERVICE_CLIENTS, *keys)
    return _asked(conversations, chosen, numbers, firsts, top, has_begun)


def responders(conversations: Conversations, has_begun: Bools) -> Asked:
    """Return what was asked of each host: the ``MAX_RESPONDERS`` to whom most conversations were begun.

    Equal ones are ranked by their conversations, then by address; ``has_begun`` as in ``service_clients``.
    """
    _, dst, _ = conversations.ends_and_service
    chosen = np.flatnonzero(conversations.is_counted)
    numbers, firsts = group(dst[chosen].view(np.uint64), np.zeros(len(chosen), np.uint64))
    firsts = chosen[firsts]
    tries, begun = _tries_and_begun(chosen, numbers, len(firsts), has_begun)
    hosts = conversations.hosts
    top = lowest(MAX_RESPONDERS, -begun, -tries, hosts.high[dst[firsts]], hosts.low[dst[firsts]])
    return _asked(conversations, chosen, numbers, firsts, top, has_begun)


def _tries_and_begun(chosen: Int64s, numbers: Int64s, count: int, has_begun: Bools) -> tuple[Int64s, Int64s]:
    return np.bincount(numbers, minlength=count), sums_of(numbers, has_begun[chosen], count)


def _asked(
    conversations: Conversations, chosen: Int64s, numbers: Int64s, firsts: Int64s, top: Int64s, has_begun: Bools
) -> Asked:
    """Return the sums of the ``top`` groups; ``numbers`` is the group of each ``chosen`` row."""
    places = np.full(len(firsts), -1, np.int64)
    places[top] = np.arange(len(top))
    place = places[numbers]
    members, place = chosen[place >= 0], place[place >= 0]
    src, dst, service = conversations.ends_and_service
    _, firsts_of = group(pairs(place, src[members]), np.zeros(len(place), np.uint64))

    def total(values: Int64s | Bools) -> Int64s:
        return sums_of(place, values[members], len(top))

    return Asked(
        src=src[firsts[top]],
        dst=dst[firsts[top]],
        service=service[firsts[top]],
        sources=np.bincount(place[firsts_of], minlength=len(top)),
        conversations=np.bincount(place, minlength=len(top)),
        begun=total(has_begun),
        failed=total(conversations.has_failed),
        packets_forward=total(conversations.halves(Word.PACKETS, of_responder=False)),
        packets_backward=total(conversations.halves(Word.PACKETS, of_responder=True)),
        bytes_forward=total(conversations.sent_bytes(of_responder=False)),
        bytes_backward=total(conversations.sent_bytes(of_responder=True)),
    )
