"""Sampling of whole flows: what a live capture does when the stages behind it cannot follow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.jit import kernel
from streams.packets import Packets
from streams.split import flow_key, gather

LEAST_RATE = 1 / 1024
"""The fewest flows that are kept: one in so many."""

STEP_DOWN_S = 2.0
"""Pause before the rate is lowered again: what was sent before must have been counted meanwhile, s."""

STEP_UP_S = 10.0
"""How long there must have been no pressure before the rate is raised, s."""

CALM = 0.25
"""Pressure below which the rate may be raised. Twice the flows are at most twice the pressure, which is then still
half of what lowers the rate: it does not swing."""


class FlowSampling:
    """The share of flows that is kept: halved under pressure, doubled after a calm while.

    Pure: told how the pressure is and what time it is, it knows no queue and no clock.

    Attributes
    ----------
    rate : float
        Share of the flows to keep now, a power of two up to 1.
    lowest : float
        The lowest rate so far.
    """

    def __init__(self) -> None:
        self.rate = 1.0
        self.lowest = 1.0
        self._lowered_s = float("-inf")
        self._calm_since_s: float | None = None

    def look(self, pressure: float, now_s: float) -> float:
        """Take a look at the pressure; return the rate from now on.

        Parameters
        ----------
        pressure : float
            How near the stages behind are to their bounds: 1 is at a bound.
        now_s : float
            A clock that does not go back, s.
        """
        if pressure >= CALM:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        if pressure >= 1 and now_s - self._lowered_s >= STEP_DOWN_S:
            self.rate = max(self.rate / 2, LEAST_RATE)
            self.lowest = min(self.lowest, self.rate)
            self._lowered_s = now_s
        elif self.rate < 1 and self._calm_since_s is not None and now_s - self._calm_since_s >= STEP_UP_S:
            self.rate *= 2
            self._calm_since_s = now_s
        return self.rate


def kept_flows(packets: Packets, rate: float) -> Packets:
    """Return the packets of a share of the flows, in order; all packets of a flow or none.

    Flows kept at one rate are kept at every higher one, so that a step cuts as few flows as it can. The choice
    depends on addresses, ports and protocol alone (``streams.split.flow_key``): not on how large a flow is.

    Parameters
    ----------
    packets : Packets
        Columns of shape (n_packets,).
    rate : float
        Share to keep; 1 and more keeps every packet, without a copy.
    """
    if rate >= 1:
        return packets
    is_kept = np.empty(len(packets.ts_ns), np.bool_)
    choose_flows(
        packets.src_ip.view(np.uint64),
        packets.dst_ip.view(np.uint64),
        packets.src_port,
        packets.dst_port,
        packets.protocol,
        packets.fragment,
        round(rate * 2**32),
        is_kept,
    )
    return gather(packets, np.flatnonzero(is_kept))


@kernel
def choose_flows(
    src_ip: npt.NDArray[np.uint64],
    dst_ip: npt.NDArray[np.uint64],
    src_port: npt.NDArray[np.uint16],
    dst_port: npt.NDArray[np.uint16],
    protocol: npt.NDArray[np.uint8],
    fragment: npt.NDArray[np.uint8],
    limit: int,
    is_kept: npt.NDArray[np.bool_],
) -> None:
    """Write which packets belong to a flow whose hash is below ``limit`` of 2³².

    The partition is chosen by another key (``streams.split.pair_key``): otherwise whole partitions would fall silent.
    """
    for row in range(len(is_kept)):
        key = flow_key(
            src_ip[row, 0],
            src_ip[row, 1],
            dst_ip[row, 0],
            dst_ip[row, 1],
            src_port[row],
            dst_port[row],
            protocol[row],
            fragment[row],
        )
        is_kept[row] = (key & np.uint64(0xFFFFFFFF)) < np.uint64(limit)
