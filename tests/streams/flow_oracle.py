"""Flows the plain way: one object per flow that keeps its packets, features computed from their lists.

Says the same as ``streams.flows`` in as many words, so that the kernels can be held against it.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from schemas.enums import FlowEnd, FlowMode
from schemas.packets import NO_PROTOCOL
from schemas.protocols import TCP, UDP
from streams.flow_rules import FlowRules
from streams.packets import Packets

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
SECOND_US = 1_000_000

Packet = dict[str, Any]


def packet_at(packets: Packets, i: int, mode: FlowMode) -> Packet:
    protocol = int(packets.protocol[i])
    has_header = protocol in (TCP, UDP)
    has_ports = packets.fragment[i] == 0
    ends = [
        (bytes(packets.src_ip[i]), int(packets.src_port[i]) if has_ports else 0),
        (bytes(packets.dst_ip[i]), int(packets.dst_port[i]) if has_ports else 0),
    ]
    no_window = 0 if mode is FlowMode.CORRECTED else -1
    return {
        "ends": ends,
        "key": (frozenset(ends), protocol, int(packets.vlan[i])),
        "ns": int(packets.ts_ns[i]),
        "us": int(packets.ts_ns[i]) // 1000,
        "clock": int(packets.ts_ns[i] + packets.lag_ns[i]),
        "payload": int(packets.payload_bytes[i]) if has_header else 0,
        "header": int(packets.l4_header_bytes[i]) if has_header else 0,
        "flags": int(packets.tcp_flags[i]) if protocol == TCP else 0,
        "window": int(packets.tcp_window_bytes[i]) if protocol == TCP else no_window,
        "wire": int(packets.length_bytes[i]),
        "frame": int(packets.frame[i]),
    }


@dataclass
class Flow:
    mode: FlowMode
    source: tuple[bytes, int]
    target: tuple[bytes, int]
    protocol: int
    vlan: int
    packets: list[tuple[Packet, bool]] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    active_from: int = 0
    active_to: int = 0
    closing: FlowEnd | None = None
    is_ended: bool = False
    is_told: bool = False
    told: tuple[int, int] = (0, 0)
    window: int = 0
    clock: int = 0
    times: list[int] = field(default_factory=list)

    def add(self, packet: Packet, is_forward: bool, activity_us: int) -> None:
        us = packet["us"]
        if not self.packets:
            self.active_from = self.active_to = us
        else:
            if self.mode is FlowMode.CORRECTED:
                us = max(us, self.times[-1])
            if self.mode is FlowMode.CORRECTED or not packet["flags"] & FIN:
                self.follow(us, activity_us)
            if self.mode is FlowMode.COMPATIBLE_2020:
                self.follow(us - self.times[-1], activity_us)
        self.times.append(us)
        self.packets.append((packet, is_forward))
        self.is_told = False
        if self.mode is FlowMode.CORRECTED and self.closing is None:
            if all(any(p["flags"] & FIN and f is way for p, f in self.packets) for way in (True, False)):
                self.closing = FlowEnd.FIN
            if packet["flags"] & RST:
                self.closing = FlowEnd.RST

    def follow(self, us: int, activity_us: int) -> None:
        if us - self.active_to > activity_us:
            if self.active_to > self.active_from:
                self.active.append(self.active_to - self.active_from)
            self.idle.append(us - self.active_to)
            self.active_from = us
        self.active_to = us

    def record(self, reason: FlowEnd) -> dict[str, Any]:
        first, last = self.packets[0][0], self.packets[-1][0]
        counts = [sum(f is way for _, f in self.packets) for way in (True, False)]
        since = self.packets[sum(self.told) - 1][0]["frame"] + 1 if any(self.told) else first["frame"]
        told, self.told = self.told, (counts[0], counts[1])
        wire = [sum(p["wire"] for p, f in self.packets if f is way) for way in (True, False)]
        return {
            "end_reason": reason.value,
            "window_id": self.window,
            "src_ip": self.source[0],
            "dst_ip": self.target[0],
            "src_port": self.source[1],
            "dst_port": self.target[1],
            "protocol": self.protocol,
            "vlan": self.vlan,
            "since_frame": since,
            "new_fwd_packets": counts[0] - told[0],
            "new_bwd_packets": counts[1] - told[1],
            "start_ns": first["ns"],
            "end_ns": max(p["ns"] for p, _ in self.packets),
            "first_frame": first["frame"],
            "last_frame": last["frame"],
            "fwd_bytes": wire[0],
            "bwd_bytes": wire[1],
            "features": self.features(),
        }

    def features(self) -> list[float]:
        corrected = self.mode is FlowMode.CORRECTED
        sides = [[p for p, f in self.packets if f is way] for way in (True, False)]
        lengths = [[p["payload"] for p in side] for side in sides]
        times = [[t for t, (_, f) in zip(self.times, self.packets, strict=True) if f is way] for way in (True, False)]
        duration, n, total = self.times[-1] - self.times[0], len(self.packets), sum(map(sum, lengths))
        every = [p["payload"] for p, _ in self.packets]
        counted = every if corrected else [every[0], *every]
        first = self.packets[0][0]["flags"]
        counts = [len(side) for side in sides]
        flows_iat = gaps(self.times)
        forward, backward = lengths
        values: list[float] = [self.target[1], duration, *counts, sum(forward), sum(backward)]
        for side in lengths:
            values += [max(side), min(side), mean(side), std(side)] if side else [0] * 4
        values += [rate(total, duration, corrected), rate(n, duration, corrected)]
        if flows_iat or corrected:
            values += spread(flows_iat)
        else:
            values += [math.nan] * 4
        for side in times:
            values += [sum(gaps(side)), *spread(gaps(side))]
        if corrected:
            values += [sum(bool(p["flags"] & bit) for p in side) for bit in (PSH, URG) for side in sides]
        else:
            values += [bool(first & PSH), 0, bool(first & URG), 0]
        headers = [sum(p["header"] for p in side) for side in sides]
        values += headers
        values += [count / (duration / 1e6) if duration > 0 else 0 for count in counts]
        values += [min(every), max(every), mean(counted), std(counted), std(counted) ** 2]
        if self.mode is FlowMode.COMPATIBLE:
            values += [bool(first & bit) for bit in (RST, PSH, ECE, SYN, ACK, FIN, URG, CWR)]
        else:
            order = (FIN, SYN, RST, PSH, ACK, URG, CWR, ECE)
            values += [sum(bool(p["flags"] & bit) for p, _ in self.packets) for bit in order]
        ratio = counts[1] / counts[0] if counts[0] else 0
        values += [ratio if corrected else float(int(ratio)), sum(counted) / n]
        values += [mean(side) if side else 0 for side in lengths]
        values += [headers[0], *self.bulks()]
        subflows = 1 if self.mode is FlowMode.COMPATIBLE else n
        for count, side in zip(counts, lengths, strict=True):
            values += [count // subflows, sum(side) // subflows]
        is_first_forward = self.packets[0][1]
        no_window = 0 if corrected else -1
        values += [sides[0][0]["window"] if is_first_forward else no_window]
        values += [sides[1][-1]["window"] if sides[1] else no_window]
        values += [sum(p["payload"] > 0 for p, f in self.packets[1:] if f)]
        values += [min(p["header"] for p in sides[0]) if is_first_forward else 0]
        return values + pauses(self.active) + pauses(self.idle)

    def bulks(self) -> list[float]:
        if self.mode is FlowMode.COMPATIBLE:
            return [0] * 6
        ways = [f and self.mode is FlowMode.CORRECTED for _, f in self.packets]
        bulks = [Bulks(), Bulks()]
        for time, (packet, _), way in zip(self.raw_times(), self.packets, ways, strict=True):
            own, other = (bulks[0], bulks[1]) if way else (bulks[1], bulks[0])
            own.add(time, packet["payload"], other.last)
        values = bulks[0].features() + bulks[1].features()
        if self.mode is FlowMode.COMPATIBLE_2020:
            values[3] = values[0]
        return values

    def raw_times(self) -> list[int]:
        return [p["us"] for p, _ in self.packets]


@dataclass
class Bulks:
    start: int = 0
    last: int = 0
    run: list[int] = field(default_factory=list)
    run_from: int = 0
    count: int = 0
    packets: int = 0
    payload: int = 0
    us: int = 0

    def add(self, us: int, payload: int, other_last: int) -> None:
        if other_last > self.start:
            self.start = 0
        if not payload:
            return
        if self.start == 0 or us - self.last > SECOND_US:
            self.start, self.run = us, [payload]
        else:
            self.run.append(payload)
            if len(self.run) == 4:
                self.count, self.packets = self.count + 1, self.packets + 4
                self.payload, self.us = self.payload + sum(self.run), self.us + us - self.start
            elif len(self.run) > 4:
                self.packets, self.payload, self.us = self.packets + 1, self.payload + payload, self.us + us - self.last
        self.last = us

    def features(self) -> list[float]:
        if not self.count:
            return [0, 0, 0]
        rated = int(self.payload / (self.us / 1e6)) if self.us else 0
        return [self.payload // self.count, self.packets // self.count, rated]


def gaps(times: list[int]) -> list[int]:
    return [after - before for before, after in pairwise(times)]


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


def std(values: list[int]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def spread(values: list[int]) -> list[float]:
    return [mean(values), std(values), max(values), min(values)] if values else [0] * 4


def pauses(values: list[int]) -> list[float]:
    return spread(values)


def rate(amount: int, duration_us: int, corrected: bool) -> float:
    if duration_us:
        return amount / (duration_us / 1e6)
    return 0.0 if corrected else math.inf if amount else math.nan


class Meter:
    """Flows of a capture, packet by packet, with a look at every flow before each packet."""

    def __init__(self, window_ns: int, origin_ns: int, rules: FlowRules) -> None:
        self.window_ns, self.origin_ns, self.rules = window_ns, origin_ns, rules
        self.flows: dict[Any, Flow] = {}
        self.records: list[dict[str, Any]] = []
        self.clock = -(1 << 62)

    def run(self, packets: Packets) -> list[dict[str, Any]]:
        for i in range(len(packets.ts_ns)):
            packet = packet_at(packets, i, self.rules.mode)
            self.tick(packet["clock"])
            if packets.protocol[i] != NO_PROTOCOL:
                self.take(packet)
        for flow in self.flows.values():
            if not flow.is_ended:
                self.records.append(flow.record(flow.closing or FlowEnd.END_OF_CAPTURE))
        return self.records

    def window(self) -> int:
        return max(0, (self.clock - self.origin_ns) // self.window_ns)

    def tick(self, clock: int) -> None:
        self.clock = max(self.clock, clock)
        for key, flow in list(self.flows.items()):
            if flow.is_ended:
                continue
            untold = flow.closing is None and not flow.is_told and len(flow.packets) > 1
            if untold and flow.window < self.window():
                self.records.append(flow.record(FlowEnd.INTERIM))
                flow.is_told = True
            quiet = self.clock - flow.clock
            if quiet > (self.rules.idle_ns if flow.closing is None else self.rules.linger_ns):
                self.records.append(flow.record(flow.closing or FlowEnd.IDLE))
                del self.flows[key]

    def take(self, packet: Packet) -> None:
        mode, key, flags = self.rules.mode, packet["key"], packet["flags"]
        flow = self.flows.get(key)
        corrected = mode is FlowMode.CORRECTED
        source, is_first = packet["ends"][0], True
        if flow is not None and not flow.is_ended:
            reason = None
            if flow.closing and flags & SYN:
                reason = flow.closing
            elif packet["us"] - flow.times[0] > self.rules.total_ns // 1000:
                reason = flow.closing or FlowEnd.TIMEOUT
            if reason:
                self.records.append(flow.record(reason))
                is_tcp = key[1] == TCP
                answers = flags & (SYN | ACK) == SYN | ACK
                if (reason is FlowEnd.TIMEOUT and (is_tcp or not corrected)) or (corrected and is_tcp and answers):
                    source = flow.source
            else:
                is_first = False
        if is_first:
            target = next((end for end in packet["ends"] if end != source), source)
            flow = self.flows[key] = Flow(mode, source, target, key[1], key[2])
        assert flow is not None
        is_forward = packet["ends"][0] == flow.source or (is_first and not corrected)
        flow.add(packet, is_forward, self.rules.activity_ns // 1000)
        flow.window, flow.clock = self.window(), self.clock
        if not corrected and flags & FIN and not is_first:
            self.records.append(flow.record(FlowEnd.FIN))
            flow.is_ended = True
