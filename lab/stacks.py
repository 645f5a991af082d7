"""TCP stacks by chance: windows and options differ between systems, whoever is attacked or attacks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from lab.network import Host, Network, sysctl

_WINDOWS_BYTES = (4_096, 8_192, 16_384, 29_200, 65_535, 131_072, 131_072, 262_144)
"""Of the receive buffer that a connection begins with; Linux announces half of it."""


@dataclass(frozen=True)
class TcpStack:
    """How a host's TCP looks from outside.

    Attributes
    ----------
    has_timestamps, has_selective_acks, scales_window
        Options that it offers (RFC 7323, RFC 2018).
    buffer_bytes
        Receive buffer of a new connection.
    """

    has_timestamps: bool = True
    has_selective_acks: bool = True
    scales_window: bool = True
    buffer_bytes: int = 131_072

    def settings(self) -> Iterator[str]:
        """Yield the settings of Linux."""
        yield f"net.ipv4.tcp_timestamps={int(self.has_timestamps)}"
        yield f"net.ipv4.tcp_sack={int(self.has_selective_acks)}"
        yield f"net.ipv4.tcp_window_scaling={int(self.scales_window)}"
        yield f"net.ipv4.tcp_rmem=4096 {self.buffer_bytes} 6291456"


def drawn(chance: random.Random) -> TcpStack:
    """Return a stack: one in three is Linux as it comes."""
    if chance.random() < 1 / 3:
        return TcpStack()
    return TcpStack(
        has_timestamps=chance.random() < 0.5,
        has_selective_acks=chance.random() < 0.8,
        scales_window=chance.random() < 0.6,
        buffer_bytes=chance.choice(_WINDOWS_BYTES),
    )


def give_stacks(net: Network, chance: random.Random) -> None:
    """Let every host draw its stack; before anything listens."""
    for host in net.hosts.values():
        give(host, drawn(chance))


def give(host: Host, stack: TcpStack) -> None:
    """Let a host have a stack."""
    for setting in stack.settings():
        sysctl(host, setting)
