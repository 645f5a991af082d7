"""Packet loss: data segments that had to be sent again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.findings import MAX_FLOWS, Finding, View, endpoint, severity_of, shares
from agents.observed import Conversation
from schemas.enums import AnomalyType

_ONE_FLOW_SHARE = 0.8
"""When one direction of a flow has so much of all retransmissions, it is that flow's trouble, not the network's."""


@dataclass(frozen=True)
class _Loss:
    """Data segments one way."""

    retransmitted: int
    sent: int
    source: str = ""
    source_port: int = 0
    destination: str = ""
    destination_port: int = 0
    flow: Conversation | None = None

    @property
    def name(self) -> str:
        """The flow with its direction, or the network."""
        if self.flow is None:
            return "network"
        return f"{self.src} > {self.dst}"

    @property
    def src(self) -> str:
        """Sending end."""
        return endpoint(self.source, self.source_port) if self.flow else ""

    @property
    def dst(self) -> str:
        """Receiving end."""
        return endpoint(self.destination, self.destination_port) if self.flow else ""


def packet_loss(view: View) -> Iterator[Finding]:
    """Find loss in the network as a whole, and in each direction of the flows that retransmitted most.

    The share is retransmitted data segments of all data segments, by Wireshark's verdict. It needs no baseline.
    """
    window = view.window
    losses = [loss for flow in window.conversations for loss in _both_ways(flow) if loss.retransmitted]
    losses.sort(key=lambda loss: (-loss.retransmitted, loss.name))
    network = _Loss(window.retransmissions, window.data_segments)
    found = [finding for loss in losses if (finding := _judge(view, loss, losses)) is not None]
    is_one_flow = bool(losses and found) and losses[0].retransmitted > _ONE_FLOW_SHARE * network.retransmitted
    everywhere = None if is_one_flow else _judge(view, network, losses)
    return iter([*([everywhere] if everywhere else []), *found])


def _both_ways(flow: Conversation) -> tuple[_Loss, _Loss]:
    forward = (flow["src_ip"], flow["src_port"], flow["dst_ip"], flow["dst_port"])
    backward = (flow["dst_ip"], flow["dst_port"], flow["src_ip"], flow["src_port"])
    return (
        _Loss(flow["retransmissions_forward"], flow["data_segments_forward"], *forward, flow),
        _Loss(flow["retransmissions_backward"], flow["data_segments_backward"], *backward, flow),
    )


def _judge(view: View, loss: _Loss, losses: list[_Loss]) -> Finding | None:
    thresholds = view.thresholds
    if loss.sent < thresholds.packet_loss_min_segments:
        return None
    percent = 100 * loss.retransmitted / loss.sent
    medium, high = thresholds.packet_loss_medium, thresholds.packet_loss_high
    severity = severity_of(percent, medium, high)
    if severity is None:
        return None
    threshold = high if percent > high else medium
    lossy = [loss] if loss.flow else losses
    return Finding(
        type=AnomalyType.PACKET_LOSS,
        signal="flow_loss" if loss.flow else "network_loss",
        severity=severity,
        message=f"High packet loss detected: {percent:.2f}% ({loss.retransmitted} retrans / {loss.sent} sent)",
        metric="packet_loss_percent",
        value=percent,
        threshold=threshold,
        unit="%",
        rule=f"retransmitted share of at least {thresholds.packet_loss_min_segments} data segments > {threshold:g} %",
        subject=loss.name,
        source_ip=loss.source,
        destination_ip=loss.destination,
        flow_src=loss.src,
        flow_dst=loss.dst,
        protocol=loss.flow["name"] if loss.flow else "",
        contributions=shares((one.name, one.retransmitted) for one in lossy),
        context={"retransmissions": loss.retransmitted, "data_segments": loss.sent},
        hosts=tuple(dict.fromkeys(address for one in lossy for address in (one.source, one.destination))),
        flows=tuple(one.flow for one in lossy if one.flow)[:MAX_FLOWS],
    )
