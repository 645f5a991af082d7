"""A plain computation, packet by packet, of what windows say of conversations, sources and targets."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from schemas.enums import TcpAnalysis
from schemas.packets import ARP_REQUEST, NO_PROTOCOL
from schemas.protocols import ICMP, TCP
from streams.conversations import ConversationTracker
from streams.packets import Packets

from .test_windows import LATENESS, SIZE
from .traffic import ACK, ARP, RST, SYN

ICMP_ANSWERS = {0, 3}

End = tuple[int, int]
"""Last octet of an address, and a port."""


@dataclass
class Memory:
    """What is known of a conversation across windows."""

    first_ns: int
    facts: set[tuple[str, End]]
    window: int
    before: int


@dataclass
class Seen:
    """A conversation in one window."""

    first_ns: int
    ends: tuple[End, End]
    protocol: int
    facts: set[tuple[str, End]] = field(default_factory=set)
    last_ns: int = -1
    sent: Counter[End] = field(default_factory=Counter)

    @property
    def originator(self) -> End:
        for fact, means_other in (("syn", False), ("syn-ack", True), ("first", False)):
            having = [end for end in set(self.ends) if (fact, end) in self.facts]
            if len(having) == 1 and len(set(self.ends)) == 2:
                return self.other(having[0]) if means_other else having[0]
        return min(self.ends)

    def other(self, end: End) -> End:
        return self.ends[1] if end == self.ends[0] else self.ends[0]

    @property
    def has_failed(self) -> bool:
        return ("asked", self.originator) in self.facts and ("sent", self.other(self.originator)) not in self.facts


def facts_of(capture: Packets, index: int, sender: End) -> set[tuple[str, End]]:
    flags, protocol = int(capture.tcp_flags[index]), int(capture.protocol[index])
    if protocol == TCP:
        facts = {"reset"} if flags & RST else {"sent"}
        if flags & SYN:
            facts.add("syn-ack" if flags & ACK else "syn")
        if not flags & RST and flags & (SYN | ACK) != SYN | ACK:
            facts.add("asked")
    else:
        kind = int(capture.icmp_type[index])
        is_answer = (protocol == ICMP and kind in ICMP_ANSWERS) or (protocol == NO_PROTOCOL and kind != ARP_REQUEST)
        facts = {"sent"} if is_answer else {"sent", "asked"}
    return {(fact, sender) for fact in facts}


def plain_conversations(capture: Packets) -> dict[int, dict[int, Seen]]:
    """Return the conversations of each window by uid, packet by packet."""
    tracked = ConversationTracker().track(capture)
    origin_ns = int(capture.ts_ns[0])
    memories: dict[int, Memory] = {}
    windows: defaultdict[int, dict[int, Seen]] = defaultdict(dict)
    for index, uid in enumerate(tracked.uid.tolist()):
        if capture.protocol[index] == NO_PROTOCOL and capture.ether_type[index] != ARP:
            continue
        ts_ns, flags = int(capture.ts_ns[index]), int(capture.tcp_flags[index])
        number = max(0, (ts_ns - origin_ns) // SIZE)
        sender = (int(capture.src_ip[index, 15]), int(capture.src_port[index]))
        target = (int(capture.dst_ip[index, 15]), int(capture.dst_port[index]))
        is_new = int(tracked.analysis[index]) & TcpAnalysis.REUSED_PORTS and flags & (SYN | ACK) == SYN
        if uid not in memories or is_new:
            memories[uid] = Memory(ts_ns, {("first", sender)}, number, number)
        memory = memories[uid]
        if memory.window != number:
            memory.before, memory.window = memory.window, number
        memory.first_ns = min(memory.first_ns, ts_ns)
        facts = facts_of(capture, index, sender)
        clock_ns = ts_ns + int(capture.lag_ns[index])
        if memory.before < number and clock_ns < origin_ns + (memory.before + 1) * SIZE + LATENESS:
            windows[memory.before][uid].facts |= facts
        memory.facts |= facts
        seen = windows[number].setdefault(uid, Seen(ts_ns, (sender, target), int(capture.protocol[index])))
        seen.facts |= memory.facts
        seen.first_ns, seen.last_ns = min(seen.first_ns, memory.first_ns), max(seen.last_ns, ts_ns)
        seen.sent[sender] += int(capture.length_bytes[index])
    return windows


def plain_evidence(conversations: list[Seen], start_ns: int) -> dict[str, Any]:
    """Return part of what a window says of these conversations."""
    tried: Counter[tuple[int, End, int]] = Counter()
    failed: Counter[tuple[int, End, int]] = Counter()
    asked: defaultdict[int, list[Seen]] = defaultdict(list)
    for seen in conversations:
        target = (seen.originator[0], seen.other(seen.originator), seen.protocol)
        tried[target] += 1
        failed[target] += seen.has_failed
        if seen.protocol != NO_PROTOCOL:
            asked[target[1][0]].append(seen)
    contacts = sorted(target for target, count in failed.items() if count and count == tried[target])
    sources = Counter(asker_of(target) for target in contacts)
    ranked = sorted(sources, key=lambda asker: (-sources[asker], asker))
    ages = sorted(seen.last_ns - seen.first_ns for seen in conversations if seen.protocol == TCP)
    return {
        "contacts": [
            (text(source), text(end[0]), end[1], protocol, failed[source, end, protocol])
            for source, end, protocol in sorted(contacts, key=lambda c: (ranked.index(asker_of(c)), c[1], c[2]))
        ],
        "scan_sources": [
            (text(asker[0]), sum(asker_of(target) == asker for target in tried), sources[asker]) for asker in ranked
        ],
        "responders": {
            text(host): (
                len({seen.originator[0] for seen in members}),
                len(members),
                sum(seen.first_ns >= start_ns for seen in members),
                sum(seen.has_failed for seen in members),
            )
            for host, members in asked.items()
        },
        "age_median_ns": ages[(len(ages) + 1) // 2 - 1] if ages else None,
        "age_max_ns": ages[-1] if ages else None,
    }


def asker_of(target: tuple[int, End, int]) -> tuple[int, bool]:
    """Return the source of a target, and whether it asked by ARP: then its entry is another one."""
    return target[0], target[2] == NO_PROTOCOL


def text(octet: int) -> str:
    return f"10.0.0.{octet}"
