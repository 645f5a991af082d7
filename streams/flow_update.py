"""What a packet adds to its flow: CICFlowMeter's BasicFlow, as sums that a slot can hold."""

from __future__ import annotations

import numpy as np

from streams.flow_state import COMPATIBLE_2020, CORRECTED, FIN_END, GOES_ON, RST_END
from streams.jit import kernel
from streams.tcp_state import ACK, FIN, I64, RST, SYN, Record

PSH, URG, ECE, CWR = 0x08, 0x20, 0x40, 0x80

_SECOND_US = 1_000_000
"""Packets of one direction that are further apart are not of one bulk (``BasicFlow.updateForwardBulk``)."""

_BULK_PACKETS = 4
"""From so many packets on it is a bulk (``BasicFlow.updateForwardBulk``)."""

_FAR = 1 << 62


@kernel
def add_pause(pause: Record, length_us: I64) -> None:
    """Add a time to a record of PAUSE (running mean and squares: Welford 1962)."""
    if pause.count == 0:
        pause.mean_us = pause.squares = 0.0
        pause.max_us = pause.min_us = length_us
    pause.count += 1
    distance = length_us - pause.mean_us
    pause.mean_us += distance / pause.count
    pause.squares += distance * (length_us - pause.mean_us)
    pause.max_us = max(pause.max_us, length_us)
    pause.min_us = min(pause.min_us, length_us)


@kernel
def follow_activity(flow: Record, now_us: I64, activity_us: I64) -> None:
    """Tell activity from pauses (``BasicFlow.updateActiveIdleTime``)."""
    if now_us - flow.active_to_us > activity_us:
        if flow.active_to_us - flow.active_from_us > 0:
            add_pause(flow.active, flow.active_to_us - flow.active_from_us)
        add_pause(flow.idle, now_us - flow.active_to_us)
        flow.active_from_us = now_us
    flow.active_to_us = now_us


@kernel
def follow_bulk(side: Record, other_last_us: I64, now_us: I64, payload: I64) -> None:
    """Count bulks: four packets with payload or more in one direction, no second apart, none of the other between."""
    if other_last_us > side.bulk_start_us:
        side.bulk_start_us = 0
    if payload == 0:
        return
    if side.bulk_start_us == 0 or now_us - side.bulk_last_us > _SECOND_US:
        side.bulk_start_us = now_us
        side.run_packets = 1
        side.run_payload = payload
    else:
        side.run_packets += 1
        side.run_payload += payload
        if side.run_packets == _BULK_PACKETS:
            side.bulks += 1
            side.bulk_packets += _BULK_PACKETS
            side.bulk_payload += side.run_payload
            side.bulk_us += now_us - side.bulk_start_us
        elif side.run_packets > _BULK_PACKETS:
            side.bulk_packets += 1
            side.bulk_payload += payload
            side.bulk_us += now_us - side.bulk_last_us
    side.bulk_last_us = now_us


@kernel
def count_flags(flow: Record, side: Record, flags: I64) -> None:
    """Count the flags of one packet; PSH and URG by direction."""
    flow.ack += (flags & ACK) >> 4
    side.psh += (flags & PSH) >> 3
    if flags & (FIN | SYN | RST | URG | ECE | CWR):
        flow.fin += flags & FIN
        flow.syn += (flags & SYN) >> 1
        flow.rst += (flags & RST) >> 2
        side.urg += (flags & URG) >> 5
        flow.ece += (flags & ECE) >> 6
        flow.cwr += (flags & CWR) >> 7


@kernel
def follow_closing(flow: Record, is_forward: bool, flags: I64) -> None:
    """Note FINs and RSTs: a flow is over when both sides have sent FIN or one has sent RST."""
    if flow.closing != GOES_ON:
        return
    if flags & FIN:
        flow.fins |= 1 if is_forward else 2
        if flow.fins == 3:
            flow.closing = FIN_END
    if flags & RST:
        flow.closing = RST_END


@kernel
def start_flow(flow: Record, packet: Record, mode: I64, is_forward: bool, is_turned: bool) -> None:
    """Begin a flow with its first packet (``BasicFlow.firstPacket``).

    Parameters
    ----------
    flow : record of FLOW
        Whatever was there before is forgotten.
    packet : record of PACKET
        The first packet.
    is_forward : bool
        Whether it counts as forward.
    is_turned : bool
        Whether forward goes from the high endpoint to the low one.
    """
    flow.start_ns = flow.last_ns = packet.ts_ns
    flow.start_us = flow.last_us = flow.active_from_us = flow.active_to_us = packet.ts_us
    flow.iat_squares = 0
    flow.iat_max_us, flow.iat_min_us = -_FAR, _FAR
    flow.first_frame, flow.told_frame = packet.frame, 0
    flow.fin = flow.syn = flow.rst = flow.ack = flow.cwr = flow.ece = 0
    flow.first_payload = packet.payload
    flow.first_flags = packet.flags
    flow.icmp_type, flow.icmp_code = packet.icmp_type, packet.icmp_code
    flow.fins = 0
    flow.is_turned = is_turned
    flow.closing = GOES_ON
    flow.active.count = flow.idle.count = 0
    no_window = 0 if mode == CORRECTED else -1
    _clear_side(flow.forward, packet.ts_us, no_window)
    _clear_side(flow.backward, packet.ts_us, no_window)
    side = flow.forward if is_forward else flow.backward
    side.header_min, side.window_bytes = packet.header_bytes, packet.window_bytes
    _add_to_side(side, packet)
    side.data_packets = 0
    _count(flow, side, packet, mode, is_forward)


@kernel
def _clear_side(side: Record, now_us: I64, window_bytes: I64) -> None:
    side.payload = side.payload_squares = side.header_bytes = side.wire_bytes = 0
    side.first_us = side.last_us = now_us
    side.iat_squares = 0
    side.iat_max_us, side.iat_min_us = -_FAR, _FAR
    side.packets = side.psh = side.urg = side.data_packets = 0
    side.payload_max, side.payload_min = 0, 0xFFFFFFFF
    side.header_min = 0
    side.window_bytes = window_bytes
    side.bulk_start_us = side.bulk_last_us = side.run_payload = side.bulk_payload = side.bulk_us = 0
    side.run_packets = side.bulk_packets = side.bulks = side.told_packets = 0


@kernel
def _add_to_side(side: Record, packet: Record) -> None:
    """Add a packet's sizes to its direction."""
    payload = packet.payload
    side.packets += 1
    side.payload += payload
    side.payload_squares += payload * payload
    side.payload_max = max(np.int64(side.payload_max), payload)
    side.payload_min = min(np.int64(side.payload_min), payload)
    side.data_packets += 1 if payload > 0 else 0
    side.header_bytes += packet.header_bytes
    side.header_min = min(np.int64(side.header_min), packet.header_bytes)
    side.wire_bytes += packet.wire_bytes


@kernel
def _count(flow: Record, side: Record, packet: Record, mode: I64, is_forward: bool) -> None:
    """Follow what depends on flags and bulks."""
    flow.last_frame = packet.frame
    flow.is_told = 0
    count_flags(flow, side, packet.flags)
    if mode == COMPATIBLE_2020:
        # It compares copies of addresses by identity, so that every packet counts as backward.
        follow_bulk(flow.backward, 0, packet.ts_us, packet.payload)
    else:
        other = flow.backward if is_forward else flow.forward
        follow_bulk(side, other.bulk_last_us, packet.ts_us, packet.payload)
    if mode == CORRECTED:
        follow_closing(flow, is_forward, packet.flags)
    if not is_forward:
        side.window_bytes = packet.window_bytes


@kernel
def add_packet(flow: Record, packet: Record, mode: I64, is_forward: bool, activity_us: I64) -> None:
    """Add a packet to its flow (``FlowGenerator.addPacket``, ``BasicFlow.addPacket``).

    Times between packets are not negative in the corrected mode: a packet from before the newest one of its flow
    comes 0 us after it, and the flow's end stays where it is.
    """
    side = flow.forward if is_forward else flow.backward
    now_us = packet.ts_us
    if mode == CORRECTED:
        now_us = max(now_us, flow.last_us)
    if mode == CORRECTED or packet.flags & FIN == 0:
        follow_activity(flow, now_us, activity_us)
    if mode == COMPATIBLE_2020:
        # A time between packets is taken for a point in time, so that pauses become as long as the epoch is old.
        follow_activity(flow, now_us - flow.last_us, activity_us)
    iat_us = now_us - flow.last_us
    flow.iat_squares += iat_us * iat_us
    flow.iat_max_us = max(flow.iat_max_us, iat_us)
    flow.iat_min_us = min(flow.iat_min_us, iat_us)
    flow.last_us = now_us
    flow.last_ns = max(flow.last_ns, packet.ts_ns)
    if side.packets > 0:
        iat_us = now_us - side.last_us
        side.iat_squares += iat_us * iat_us
        side.iat_max_us = max(side.iat_max_us, iat_us)
        side.iat_min_us = min(side.iat_min_us, iat_us)
    else:
        side.first_us = now_us
    side.last_us = now_us
    _add_to_side(side, packet)
    _count(flow, side, packet, mode, is_forward)
