"""The addresses of a window and what each sent and received."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

import numpy as np

from streams.arrays import Bools, Int64s, UInt64s
from streams.grouping import lowest

_MAPPED = 0xFFFF
"""High part of the low half of a mapped IPv4 address (RFC 4291, section 2.5.5.2)."""


@dataclass(frozen=True)
class Hosts:
    """The addresses of a window; bytes are those of IP packets.

    Parameters
    ----------
    high, low : ndarray of uint64, shape (n_hosts,)
        Halves of the address as numbers.
    sent_bytes, received_bytes : ndarray of int64, shape (n_hosts,)
        Bytes on the wire.
    conversations : ndarray of int64, shape (n_hosts,)
        Conversations it took part in, ARP left out.
    has_ip : ndarray of bool, shape (n_hosts,)
        Whether it sent or was sent IP packets. An address that only ARP speaks of is no host.
    ends : ndarray of int64, shape (2, n_rows)
        The host at end A and at end B of each conversation.
    """

    high: UInt64s
    low: UInt64s
    sent_bytes: Int64s
    received_bytes: Int64s
    conversations: Int64s
    has_ip: Bools
    ends: Int64s

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.high)

    def top(self, values: Int64s, count: int) -> Int64s:
        """Return the hosts with the greatest values, greatest first, equal ones by address; none with 0."""
        found = lowest(count, -values, self.high, self.low)
        return found[values[found] > 0]

    @property
    def is_group(self) -> Bools:
        """Whether it is a multicast or the broadcast address: nobody has to answer there.

        RFC 1112 (IPv4), RFC 919 (broadcast), RFC 4291 (IPv6). The broadcast addresses of networks are not known.
        """
        is_v4 = (self.high == 0) & (self.low >> np.uint64(32) == 0xFFFF)
        v4 = self.low & np.uint64(0xFFFFFFFF)
        found: Bools = np.where(
            is_v4, (v4 >> np.uint64(28) == 0xE) | (v4 == 0xFFFFFFFF), self.high >> np.uint64(56) == 0xFF
        )
        return found

    @property
    def is_nobody(self) -> Bools:
        """Whether it is the unspecified address: who has none yet asks from there, and nobody can answer it.

        RFC 5227, section 1.1 (ARP probes); RFC 4291, section 2.5.2.
        """
        found: Bools = (self.high == 0) & ((self.low == 0) | (self.low == _MAPPED << 32))
        return found

    def texts(self, numbers: Int64s) -> list[str]:
        """Return the addresses of hosts, given by number, as text."""
        distinct, positions = np.unique(numbers, return_inverse=True)
        halves = zip(self.high[distinct].tolist(), self.low[distinct].tolist(), strict=True)
        texts = [address_text(high, low) for high, low in halves]
        return [texts[position] for position in positions.tolist()]


def address_text(high: int, low: int) -> str:
    """Return an address, given as two big-endian halves, as text; mapped IPv4 in dotted form."""
    if high == 0 and low >> 32 == _MAPPED:
        return f"{low >> 24 & 255}.{low >> 16 & 255}.{low >> 8 & 255}.{low & 255}"
    return str(IPv6Address(high << 64 | low))
