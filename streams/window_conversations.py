"""The conversations of one window: a row of 64-bit words each, that merges by addition."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from itertools import pairwise

import numpy as np

from streams.arrays import Int64s, UInt8s, UInt64s
from streams.conversation_table import conversation_uid
from streams.jit import kernel
from streams.octets import bare
from streams.tcp_state import I64


class Word(IntEnum):
    """Words of a row. A and B are the two ends, A the one whose address and port are less as stored.

    Which end began is told by flags, so that rows of a conversation are equal in what does not add up.
    """

    IDENTITY = 0
    """Port of A (16 bits, lowest), port of B (16), protocol (8), ``ConversationFlag`` (24)."""
    FIRST_TS_NS = 1
    """When the conversation began, also when that was in an earlier window; the least counts."""
    LAST_TS_NS = 2
    """Its last packet in the window; the greatest counts."""
    BYTES_A = 3
    BYTES_B = 4
    """Bytes sent by A and by B."""
    PACKETS = 5
    """Packets sent by A (low half) and by B (high half)."""
    DATA_SEGMENTS = 6
    """TCP segments with payload sent by A (low half) and by B (high half)."""
    RETRANSMISSIONS = 7
    """Those of them that are retransmissions of any kind."""
    UID = 8
    """Names the conversation; see ``Tracked.uid``."""
    ADDRESS_A = 9
    ADDRESS_B = 11
    """Two words each, as the octets lie in memory."""
    RTT_COUNT = 13
    RTT_SUM_NS = 14
    RTT_MAX_NS = 15
    """Round trips measured; the longest is -1 without one."""


WORDS = 16
"""Words of a row: two lines of a processor's cache, the first with what most packets change."""

FLAGS_SHIFT = 40
"""Where the flags begin in the word ``IDENTITY``."""


class ConversationFlag(IntFlag):
    """Bits of a conversation within one window. A bit that ends in ``_A`` is followed by the same of B.

    Those up to ``FIRST_A`` are true of the conversation since it began, as far as it was known when the
    window's packets came; those behind it of this window only.
    """

    SYN_A = 1 << 0
    SYN_ACK_A = 1 << 2
    SENT_A = 1 << 4
    """Sent anything but a RST: to the other side an answer."""
    RESET_A = 1 << 6
    """Sent a RST."""
    ASKED_A = 1 << 8
    """Sent what wants an answer: neither a RST, a SYN-ACK, an ICMP reply or error, nor an ARP reply."""
    FIRST_A = 1 << 10
    """Sent the first packet."""
    SYN = 1 << 12
    SYN_ACK = 1 << 13
    RESET = 1 << 14
    """Seen in the window, from either side."""
    FRAGMENTS = 1 << 15
    """Later fragments: they have no ports, so they are no conversation of their own."""


EVER = (1 << 12) - 1
"""The flags that a conversation keeps from window to window."""

_UID, _IDENTITY, _FIRST, _LAST, _RTT_MAX = (
    int(word) for word in (Word.UID, Word.IDENTITY, Word.FIRST_TS_NS, Word.LAST_TS_NS, Word.RTT_MAX_NS)
)
_SUMS = tuple(
    int(word)
    for word in (
        Word.BYTES_A,
        Word.BYTES_B,
        Word.PACKETS,
        Word.DATA_SEGMENTS,
        Word.RETRANSMISSIONS,
        Word.RTT_COUNT,
        Word.RTT_SUM_NS,
    )
)


_HIGH, _LOW = np.uint64(0xFFFFFFFF00000000), np.uint64(0xFFFFFFFF)
_ENDS_AND_PROTOCOL = (1 << FLAGS_SHIFT) - 1
_A, _B = int(Word.ADDRESS_A), int(Word.ADDRESS_B)


_ROW_BYTES = 8 * WORDS
_BLOCK = 128
"""Rows that are turned into planes at a time: 16 KiB."""


def no_conversations() -> Int64s:
    """Return rows of no conversation, shape (0, WORDS)."""
    return np.zeros((0, WORDS), np.int64)


class ConversationTable:
    """Rows of one window, folded as they come, so that each conversation stands in it once."""

    def __init__(self) -> None:
        self._count = 0
        self._rows = no_conversations()
        self._places = np.zeros(1, np.uint64)

    @property
    def rows(self) -> Int64s:
        """The conversations so far, shape (n_rows, WORDS)."""
        return self._rows[: self._count]

    def add(self, rows: Int64s) -> None:
        """Fold rows in, of shape ``(n_rows, WORDS)``; conversations may repeat."""
        self._reserve(self._count + len(rows))
        self._count = _fold(rows, self._rows, self._places, self._count)

    def _reserve(self, room: int) -> None:
        """Double until so many rows have room; what is not used yet costs address space only."""
        if room <= len(self._rows):
            return
        room = 1 << (room - 1).bit_length()
        rows = np.empty((room, WORDS), np.int64)
        rows[: self._count] = self.rows
        self._rows = rows
        self._places = np.zeros(2 * room, np.uint64)
        _list_places(self.rows, self._places)


def split_by_window(rows: Int64s, windows: Int64s) -> dict[int, Int64s]:
    """Return the rows of each window, given the window of each row."""
    if (windows[1:] < windows[:-1]).any():
        order = np.argsort(windows, kind="stable")
        rows, windows = rows[order], windows[order]
    edges = [*np.flatnonzero(np.diff(windows, prepend=windows[:1] - 1)).tolist(), len(rows)]
    return {int(windows[begin]): rows[begin:end] for begin, end in pairwise(edges)}


def merge_conversations(tables: Sequence[Int64s]) -> Int64s:
    """Return rows in which every conversation stands once.

    Parameters
    ----------
    tables : sequence of ndarray of int64, shape (n_rows, WORDS)
        Conversations may repeat, within a table and among them.
    """
    table = ConversationTable()
    for rows in tables:
        table.add(rows)
    return table.rows


def to_planes(rows: Int64s) -> UInt8s:
    """Return rows as bytes that compress well, shape (n_rows * 8 * WORDS,).

    The lowest byte of each row's first word, then the next byte, and so on: most are alike from row to row. Times are
    differences, and the uid is left out, as it follows from the rest.
    """
    plain = rows.copy()
    plain[:, Word.LAST_TS_NS] -= rows[:, Word.FIRST_TS_NS]
    plain[1:, Word.FIRST_TS_NS] -= rows[:-1, Word.FIRST_TS_NS]
    plain[:, Word.UID] = 0
    planes = np.empty(plain.nbytes, np.uint8)
    _turn(plain.view(np.uint8).reshape(-1), planes, len(rows), is_reading_planes=False)
    return planes


def from_planes(planes: UInt8s) -> Int64s:
    """Return the rows that ``to_planes`` wrote."""
    octets = np.empty(len(planes), np.uint8)
    _turn(octets, planes, len(planes) // _ROW_BYTES, is_reading_planes=True)
    rows = octets.view(np.int64).reshape(-1, WORDS)
    np.cumsum(rows[:, Word.FIRST_TS_NS], out=rows[:, Word.FIRST_TS_NS])
    rows[:, Word.LAST_TS_NS] += rows[:, Word.FIRST_TS_NS]
    _write_uids(rows)
    return rows


@kernel
def _turn(rows: UInt8s, planes: UInt8s, n_rows: int, is_reading_planes: bool) -> None:
    """Write the planes of rows, or rows from their planes; a block at a time, which a processor's cache holds."""
    octets, plane_octets = bare(rows), bare(planes)
    for begin in range(0, n_rows, _BLOCK):
        end = min(begin + _BLOCK, n_rows)
        for plane in range(_ROW_BYTES):
            for row in range(begin, end):
                if is_reading_planes:
                    octets[row * _ROW_BYTES + plane] = plane_octets[plane * n_rows + row]
                else:
                    plane_octets[plane * n_rows + row] = octets[row * _ROW_BYTES + plane]


@kernel
def _fold(rows: Int64s, into: Int64s, places: UInt64s, count: int) -> int:
    """Fold rows into the first ``count`` rows of ``into``, which has room for all; return how many there are then.

    ``places`` is a hash table of twice as many places as ``into`` has rows, a power of two: the high half of the uid
    above, row plus one below, 0 for none.
    """
    words, kept, table = bare(rows), bare(into), bare(places)
    mask = np.int64(len(places) - 1)
    for row in range(len(rows)):
        source = row * WORDS
        uid = np.uint64(words[source + _UID])
        place = _place_of(table, mask, kept, words, source)
        if table[place] == 0:
            table[place] = (uid & _HIGH) | np.uint64(count + 1)
            for word in range(WORDS):
                kept[count * WORDS + word] = words[source + word]
            count += 1
            continue
        target = (np.int64(table[place] & _LOW) - 1) * WORDS
        kept[target + _IDENTITY] |= words[source + _IDENTITY]
        kept[target + _FIRST] = min(kept[target + _FIRST], words[source + _FIRST])
        kept[target + _LAST] = max(kept[target + _LAST], words[source + _LAST])
        kept[target + _RTT_MAX] = max(kept[target + _RTT_MAX], words[source + _RTT_MAX])
        for word in _SUMS:
            kept[target + word] += words[source + word]
    return count


@kernel
def _place_of(table: UInt64s, mask: I64, kept: Int64s, words: Int64s, source: I64) -> I64:
    """Return where a row's conversation stands in the hash table, or the empty place where it belongs.

    The row begins at ``words[source]``; all arrays are bare.
    """
    uid = np.uint64(words[source + _UID])
    place = np.int64(uid) & mask
    while table[place] != 0:
        if (table[place] ^ uid) & _HIGH == 0:
            other = (np.int64(table[place] & _LOW) - 1) * WORDS
            is_same = (kept[other + _IDENTITY] ^ words[source + _IDENTITY]) & _ENDS_AND_PROTOCOL == 0
            for word in range(_A, _A + 4):
                is_same = is_same and kept[other + word] == words[source + word]
            if is_same:
                return place
        place = (place + 1) & mask
    return place


@kernel
def _list_places(rows: Int64s, places: UInt64s) -> None:
    """Write the hash table of rows that are all different."""
    table, kept = bare(places), bare(rows)
    mask = np.int64(len(places) - 1)
    for row in range(len(rows)):
        uid = np.uint64(rows[row, _UID])
        table[_place_of(table, mask, kept, kept, row * WORDS)] = (uid & _HIGH) | np.uint64(row + 1)


@kernel
def _write_uids(rows: Int64s) -> None:
    for row in range(len(rows)):
        identity = np.uint64(rows[row, _IDENTITY])
        rows[row, _UID] = np.int64(
            conversation_uid(
                np.uint64(rows[row, _A]),
                np.uint64(rows[row, _A + 1]),
                identity & np.uint64(0xFFFF),
                np.uint64(rows[row, _B]),
                np.uint64(rows[row, _B + 1]),
                (identity >> np.uint64(16)) & np.uint64(0xFFFF),
                (identity >> np.uint64(32)) & np.uint64(0xFF),
            )
        )
