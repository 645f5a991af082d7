"""What the conversations of a window are evidence of: hosts, scans, failed contacts, ages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from schemas.packets import NO_PROTOCOL
from schemas.protocols import TCP
from schemas.windows import MAX_CONTACTS, MAX_CONTACTS_PER_SOURCE, MAX_SCAN_SOURCES, NOTABLE_CONVERSATIONS
from streams.arrays import Bools, Int64s, UInt64s
from streams.grouping import group, lowest, sums_of
from streams.hosts import Hosts
from streams.window_conversations import FLAGS_SHIFT, ConversationFlag, Word

MIN_ROUND_TRIPS = 3
"""Round trips that a conversation needs to count as slow: a single one may be a delayed acknowledgement."""


class Conversations:
    """The conversations of a merged window, a column for each question.

    Those of later fragments count as traffic only, those of ARP as contacts only.

    Parameters
    ----------
    rows : ndarray of int64, shape (n_rows, WORDS)
        Every conversation once; see ``window_conversations``.
    """

    def __init__(self, rows: Int64s) -> None:
        self.rows = rows
        self.flags: Int64s = rows[:, Word.IDENTITY] >> FLAGS_SHIFT
        self.protocol: Int64s = (rows[:, Word.IDENTITY] >> 32) & 0xFF
        self.is_arp: Bools = self.protocol == NO_PROTOCOL
        self.has_arp = bool(self.is_arp.any())
        self.may_fail: Bools = self.flags & ConversationFlag.FRAGMENTS == 0
        self.is_counted: Bools = self.may_fail & ~self.is_arp if self.has_arp else self.may_fail
        words = rows.view(np.uint64)
        self._high = np.concatenate([words[:, Word.ADDRESS_A], words[:, Word.ADDRESS_B]])
        self._low = np.concatenate([words[:, Word.ADDRESS_A + 1], words[:, Word.ADDRESS_B + 1]])

    def __len__(self) -> int:
        """Return how many rows there are, those of fragments included."""
        return len(self.rows)

    @cached_property
    def hosts(self) -> Hosts:
        """The addresses of both ends."""
        numbers, firsts = group(self._high, self._low)
        n_rows = len(self)
        bytes_a, bytes_b = self.rows[:, Word.BYTES_A], self.rows[:, Word.BYTES_B]
        has_ip = np.ones(len(firsts), bool)
        if self.has_arp:
            bytes_a, bytes_b = bytes_a * ~self.is_arp, bytes_b * ~self.is_arp
            has_ip = np.bincount(numbers[np.tile(~self.is_arp, 2)], minlength=len(firsts)) > 0
        a, b = numbers[:n_rows], numbers[n_rows:]
        counted = np.concatenate([a[self.is_counted], b[self.is_counted & (a != b)]])
        return Hosts(
            high=self._high[firsts].byteswap(),
            low=self._low[firsts].byteswap(),
            sent_bytes=sums_of(numbers, np.concatenate([bytes_a, bytes_b]), len(firsts)),
            received_bytes=sums_of(numbers, np.concatenate([bytes_b, bytes_a]), len(firsts)),
            conversations=np.bincount(counted, minlength=len(firsts)),
            has_ip=has_ip,
            ends=numbers.reshape(2, n_rows),
        )

    @cached_property
    def originator(self) -> Int64s:
        """0 where A began the conversation, 1 where B did, shape (n_rows,).

        The sender of a SYN; else the receiver of a SYN-ACK; else the sender of the first packet. Where both ends did
        the same (a simultaneous open, ports used again the other way round), the next rule decides; at last it is A.
        """
        begun = np.zeros(len(self), np.int64)
        is_open = np.ones(len(self), bool)
        rules = ((ConversationFlag.SYN_A, 0), (ConversationFlag.SYN_ACK_A, 1), (ConversationFlag.FIRST_A, 0))
        for flag, other in rules:
            a, b = self.flags & flag != 0, self.flags & flag << 1 != 0
            decided = is_open & (a != b)
            begun[decided] = b[decided] ^ other
            is_open &= ~decided
        return begun

    def has(self, flag: ConversationFlag, *, of_responder: bool) -> Bools:
        """Return whether the originator, or the responder, has a flag that ends in ``_A``."""
        bit = int(flag) << (self.originator ^ of_responder)
        having: Bools = self.flags & bit != 0
        return having

    def host(self, *, of_responder: bool) -> Int64s:
        """Return the number, in ``hosts``, of each conversation's originator or responder."""
        a, b = self.hosts.ends
        host: Int64s = a + (b - a) * (self.originator ^ of_responder)
        return host

    def port(self, *, of_responder: bool) -> Int64s:
        """Return the port of each conversation's originator or responder."""
        ports: Int64s = (self.rows[:, Word.IDENTITY] >> (16 * (self.originator ^ of_responder))) & 0xFFFF
        return ports

    @cached_property
    def ends_and_service(self) -> tuple[Int64s, Int64s, Int64s]:
        """Originator, responder (by number, in ``hosts``) and the responder's ``service_of``, shape (n_rows,) each."""
        service = service_of(self.port(of_responder=True), self.protocol)
        return self.host(of_responder=False), self.host(of_responder=True), service

    def halves(self, word: Word, *, of_responder: bool) -> Int64s:
        """Return what a word with two halves says of the originator or the responder."""
        halves: Int64s = (self.rows[:, word] >> (32 * (self.originator ^ of_responder))) & 0xFFFFFFFF
        return halves

    def sent_bytes(self, *, of_responder: bool) -> Int64s:
        """Return the bytes that the originator or the responder sent."""
        a, b = self.rows[:, Word.BYTES_A], self.rows[:, Word.BYTES_B]
        sent: Int64s = a + (b - a) * (self.originator ^ of_responder)
        return sent

    @property
    def age_ns(self) -> Int64s:
        """Last packet in the window less first packet ever, ns; never negative."""
        ages: Int64s = np.maximum(self.rows[:, Word.LAST_TS_NS] - self.rows[:, Word.FIRST_TS_NS], 0)
        return ages

    @cached_property
    def has_failed(self) -> Bools:
        """Whether the originator asked for something and the responder never sent anything but RSTs.

        Nothing can be said where both ends are one and the same, as with a ping of the host's own address or an ARP
        announcement, nor where the originator has no address yet.
        """
        asked = self.has(ConversationFlag.ASKED_A, of_responder=False)
        answered = self.has(ConversationFlag.SENT_A, of_responder=True)
        src, dst, _ = self.ends_and_service
        is_itself = (src == dst) & (self.port(of_responder=False) == self.port(of_responder=True))
        cannot_be_answered = is_itself | self.hosts.is_group[dst] | self.hosts.is_nobody[src]
        failed: Bools = self.may_fail & asked & ~answered & ~cannot_be_answered
        return failed


@dataclass(frozen=True)
class Contacts:
    """Targets (address, port, protocol) that sources failed to reach, and what each source did.

    Parameters
    ----------
    src, dst, service, conversations, resets : ndarray of int64, shape (n_contacts,)
        Hosts, port and protocol (see ``service_of``), failed conversations, those of them that were reset.
    sources, targets, failed_targets, max_ports, max_hosts : ndarray of int64, shape (n_sources,)
        Hosts that failed somewhere, most failed targets first; distinct targets of each, those it failed at, and
        among these the most services of one host and the most hosts of one service. What a host asked for by ARP is
        an entry of its own, with ``max_ports`` 0.
    """

    src: Int64s
    dst: Int64s
    service: Int64s
    conversations: Int64s
    resets: Int64s
    sources: Int64s
    targets: Int64s
    failed_targets: Int64s
    max_ports: Int64s
    max_hosts: Int64s


def service_of(port: Int64s, protocol: Int64s) -> Int64s:
    """Return port and protocol as one number: protocol in the lowest 8 bits."""
    return port << 8 | protocol


def contacts(conversations: Conversations) -> Contacts:
    """Return the failed contacts of a window, bounded as ``schemas.windows`` says.

    A target counts as failed when a conversation with it failed and none of the same source was answered.
    """
    chosen = np.flatnonzero(conversations.may_fail)
    src, dst, service = (of_all[chosen] for of_all in conversations.ends_and_service)
    failed = conversations.has_failed[chosen]
    reset = failed & conversations.has(ConversationFlag.RESET_A, of_responder=True)[chosen]
    numbers, firsts = group(pairs(src, dst), service.view(np.uint64))
    tried = np.bincount(numbers, minlength=len(firsts))
    failures = sums_of(numbers, failed, len(firsts))
    resets = sums_of(numbers, reset, len(firsts))
    src, dst, service = src[firsts], dst[firsts], service[firsts]
    is_failed = (failures > 0) & (failures == tried)
    hosts = conversations.hosts
    # As one who asks by ARP, a host is somebody else.
    is_arp = service & 0xFF == NO_PROTOCOL
    asker = src + is_arp * len(hosts)
    n_askers = 2 * len(hosts) if conversations.has_arp else len(hosts)
    targets = np.bincount(asker, minlength=n_askers)
    failed_at = np.flatnonzero(is_failed)
    failed_targets = np.bincount(asker[failed_at], minlength=n_askers)
    sources = _ranked(hosts, failed_targets)
    listed = failed_at[_bounded(hosts, sources, failed_targets, asker[failed_at], dst[failed_at], service[failed_at])]
    ranked = sources[:MAX_SCAN_SOURCES]
    return Contacts(
        src=src[listed],
        dst=dst[listed],
        service=service[listed],
        conversations=failures[listed],
        resets=resets[listed],
        sources=ranked % max(len(hosts), 1),
        targets=targets[ranked],
        failed_targets=failed_targets[ranked],
        max_ports=_most(asker[failed_at], dst[failed_at], n_askers)[ranked] * (ranked < len(hosts)),
        max_hosts=_most(asker[failed_at], service[failed_at], n_askers)[ranked],
    )


def pairs(left: Int64s, right: Int64s) -> UInt64s:
    """Return two numbers below 2^32 as one."""
    return (left << 32 | right).view(np.uint64)


def _most(asker: Int64s, what: Int64s, n_askers: int) -> Int64s:
    """Return for each source how many rows the most frequent ``what`` has, shape (n_askers,)."""
    numbers, firsts = group(pairs(asker, what), np.zeros(len(asker), np.uint64))
    most = np.zeros(n_askers, np.int64)
    np.maximum.at(most, asker[firsts], np.bincount(numbers, minlength=len(firsts)))
    return most


def _ranked(hosts: Hosts, failed_targets: Int64s) -> Int64s:
    """Return the sources that failed somewhere, most failed targets first, equal ones by address."""
    failed = np.flatnonzero(failed_targets)
    host = failed % max(len(hosts), 1)
    return failed[lowest(MAX_CONTACTS, -failed_targets[failed], hosts.high[host], hosts.low[host], failed)]


def _bounded(hosts: Hosts, sources: Int64s, counts: Int64s, asker: Int64s, dst: Int64s, service: Int64s) -> Int64s:
    """Return which contacts are listed: source by source, of each the lowest addresses, ports and protocols."""
    shares = np.minimum(counts[sources], MAX_CONTACTS_PER_SOURCE)
    sources = sources[np.cumsum(shares) - shares < MAX_CONTACTS]
    rank = np.full(len(counts), -1, np.int64)
    rank[sources] = np.arange(len(sources))
    is_large = counts > MAX_CONTACTS_PER_SOURCE
    of_source = rank[asker]
    kept = [np.flatnonzero((of_source >= 0) & ~is_large[asker])]
    keys = (hosts.high[dst], hosts.low[dst], service)
    for source in sources[is_large[sources]].tolist():
        own = np.flatnonzero(asker == source)
        kept.append(own[lowest(MAX_CONTACTS_PER_SOURCE, *(key[own] for key in keys))])
    found = np.concatenate(kept)
    order = np.lexsort([key[found] for key in (*reversed(keys), of_source)])
    return found[order][:MAX_CONTACTS]


def notable(conversations: Conversations) -> Int64s:
    """Return the rows of the notable conversations, most bytes first.

    The ``NOTABLE_CONVERSATIONS`` with most bytes, most retransmissions, the longest mean round trip and, of TCP, the
    greatest age; equal ones by the addresses and ports of originator and responder, and by protocol.
    """
    rows = conversations.rows
    counted = conversations.is_counted
    n_bytes = rows[:, Word.BYTES_A] + rows[:, Word.BYTES_B]
    forward, backward = (conversations.halves(Word.RETRANSMISSIONS, of_responder=side) for side in (False, True))
    measured = rows[:, Word.RTT_COUNT]
    mean_ns = rows[:, Word.RTT_SUM_NS] // np.maximum(measured, 1)
    ties = _tie_breaks(conversations)
    criteria = (
        (n_bytes, counted),
        (forward + backward, counted),
        (mean_ns, counted & (measured >= MIN_ROUND_TRIPS)),
        (conversations.age_ns, counted & (conversations.protocol == TCP)),
    )
    found = []
    for values, eligible in criteria:
        rows_of = np.flatnonzero(eligible & (values > 0))
        found.append(rows_of[lowest(NOTABLE_CONVERSATIONS, -values[rows_of], *(tie[rows_of] for tie in ties))])
    every = np.unique(np.concatenate(found))
    return every[np.lexsort([key[every] for key in (*reversed(ties), -n_bytes)])]


def _tie_breaks(conversations: Conversations) -> tuple[UInt64s | Int64s, ...]:
    hosts = conversations.hosts
    src, dst = conversations.host(of_responder=False), conversations.host(of_responder=True)
    ports = conversations.port(of_responder=False) << 16 | conversations.port(of_responder=True)
    return hosts.high[src], hosts.low[src], hosts.high[dst], hosts.low[dst], ports << 8 | conversations.protocol


def tcp_ages(conversations: Conversations) -> tuple[int | None, int | None, int | None]:
    """Return median, 95th percentile (nearest rank) and greatest age of the TCP conversations, ns."""
    ages = np.sort(conversations.age_ns[conversations.is_counted & (conversations.protocol == TCP)])
    if not len(ages):
        return None, None, None
    median, p95 = (int(ages[int(np.ceil(share * len(ages))) - 1]) for share in (0.5, 0.95))
    return median, p95, int(ages[-1])
