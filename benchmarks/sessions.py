"""Who talks to whom: hosts, ports, address families, tags and round trips of new conversations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.records import RECORD, SERVER_BIT, TCP

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIENTS, SERVERS = 6000, 500
IPV6_SHARE, TAGGED_SHARE = 0.08, 0.06
FIRST_CLIENT_PORT, CLIENT_PORTS = 35000, 25_000  # inside the ip_local_port_range of Linux


@dataclass(frozen=True)
class Sessions:
    """New conversations, one element each (n,); the tap stands between the client and the server."""

    start_ns: NDArray[np.int64]
    client: NDArray[np.uint32]
    server: NDArray[np.uint32]
    client_port: NDArray[np.uint16]
    server_port: NDArray[np.uint16]
    is_ipv6: NDArray[np.bool_]
    vlan: NDArray[np.uint16]
    client_trip_ns: NDArray[np.int64]  # tap -> client -> tap
    server_trip_ns: NDArray[np.int64]  # tap -> server -> tap
    client_isn: NDArray[np.int64]
    server_isn: NDArray[np.int64]

    @classmethod
    def draw(
        cls, random: np.random.Generator, start_ns: NDArray[np.int64], first: int, ports: NDArray[np.uint16]
    ) -> Sessions:
        """Draw the hosts and paths of conversations number `first` onwards, to the server ports given."""
        n = len(start_ns)
        popular = np.minimum(random.zipf(1.3, n), 1 << 30) % SERVERS
        return cls(
            start_ns=start_ns,
            client=random.integers(1, CLIENTS, n).astype(np.uint32),
            server=(popular + 1 + SERVER_BIT).astype(np.uint32),
            client_port=(FIRST_CLIENT_PORT + (first + np.arange(n)) % CLIENT_PORTS).astype(np.uint16),
            server_port=ports,
            is_ipv6=random.random(n) < IPV6_SHARE,
            vlan=np.where(random.random(n) < TAGGED_SHARE, random.integers(10, 14, n), 0).astype(np.uint16),
            client_trip_ns=(random.lognormal(16.2, 0.9, n)).clip(1e6, 1.5e8).astype(np.int64),
            server_trip_ns=(random.lognormal(14.2, 0.7, n)).clip(2e5, 1.2e7).astype(np.int64),
            client_isn=random.integers(0, 1 << 32, n),
            server_isn=random.integers(0, 1 << 32, n),
        )

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Sessions:
        """Return the conversations named by an index or mask."""
        return Sessions(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})

    def records(
        self,
        at: NDArray[np.int64],
        ts_ns: NDArray[np.int64],
        *,
        from_client: bool,
        payload_bytes: NDArray[np.int64] | int = 0,
        protocol: int = TCP,
    ) -> NDArray[np.void]:
        """Return packets of conversations `at` (k,) at `ts_ns` (k,), with addresses and ports filled in."""
        rows = np.zeros(len(at), RECORD)
        ends = ("client", "server") if from_client else ("server", "client")
        for side, end in zip(("source", "destination"), ends, strict=True):
            rows[side] = getattr(self, end)[at]
            rows[f"{side}_port"] = getattr(self, f"{end}_port")[at]
        rows["ts_ns"] = ts_ns
        rows["payload_bytes"] = payload_bytes
        rows["protocol"] = protocol
        rows["is_ipv6"] = self.is_ipv6[at]
        rows["vlan"] = self.vlan[at]
        return rows
