"""What the last minute and the last hour saw, where a phenomenon is larger than a window. All of it is bounded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agents.observed import TCP, UDP, Contact, Observed, ScanSource

Target: TypeAlias = tuple[str, int, int]
"""Address, port and protocol."""

ServicePair: TypeAlias = tuple[str, str, int, int]
"""Source, destination, port and protocol."""

MAX_SOURCES = 4_096
"""Sources whose failures are remembered; those with the fewest are forgotten first."""

MAX_TARGETS = 1_024
"""Failed targets remembered of one source, those tried last."""

MAX_ALL_TARGETS = 131_072
"""Failed targets remembered of all sources together."""

MAX_PAIRS = 8_192
"""Pairs of source and service whose connections are counted."""

FORGOTTEN_SHARE = 8
"""When full, this part is forgotten at once, so that making room is rare."""

_TRACEROUTE_PORTS = range(33_434, 33_535)
"""UDP ports that traceroute(8) probes, up to 30 hops with three probes each: failing there is what it is for."""


@dataclass(frozen=True)
class Tally:
    """What a source failed at, within some time.

    Parameters
    ----------
    ports, host : int, str
        Most distinct ports of one host, and that host.
    hosts, port, protocol : int
        Most distinct hosts on one port, and that port.
    examples : tuple of int
        Some of the ports, lowest first.
    victims : tuple of str
        Hosts with most failed ports, or those failed on the port.
    """

    ports: int
    host: str
    hosts: int
    port: int
    protocol: int
    examples: tuple[int, ...]
    victims: tuple[str, ...]


class Attempts:
    """Targets that sources failed to reach, by the window they last failed in.

    Taking the same window in again changes nothing, so a corrected window may be.

    Parameters
    ----------
    of_arp : bool
        Whether it keeps what was asked for by ARP, instead of what was tried over IP.
    """

    def __init__(self, *, of_arp: bool = False) -> None:
        self._of_arp = of_arp
        self._targets: dict[str, dict[Target, int]] = {}
        self._counts: dict[str, dict[int, tuple[int, int, int, int]]] = {}
        """By source and start of the window: targets, failed ones, most ports of a host, most hosts on a port."""

    def take(self, window: Observed, horizon_ns: int, *, is_correction: bool = False) -> None:
        """Take a window's failures in, and forget what is older than ``horizon_ns``."""
        sources, contacts = self._seen_in(window)
        if is_correction:
            self._take_back(window.start_ns)
        listed = {source["src_ip"] for source in sources}
        for contact in contacts:
            is_traceroute = contact["protocol"] == UDP and contact["dst_port"] in _TRACEROUTE_PORTS
            if contact["src_ip"] in listed and not is_traceroute:
                targets = self._targets.setdefault(contact["src_ip"], {})
                target = (contact["dst_ip"], contact["dst_port"], contact["protocol"])
                newest = max(targets.pop(target, window.start_ns), window.start_ns)
                targets[target] = newest
        for source in sources:
            counts = (source["targets"], source["failed_targets"], source["max_ports"], source["max_hosts"])
            self._counts.setdefault(source["src_ip"], {})[window.start_ns] = counts
        self._forget(window.start_ns - horizon_ns)

    def _take_back(self, start_ns: int) -> None:
        """Forget what a window said before it was corrected: late answers make failures good."""
        for source, counts in list(self._counts.items()):
            if counts.pop(start_ns, None) is None:
                continue
            targets = self._targets.get(source, {})
            self._targets[source] = {target: last_ns for target, last_ns in targets.items() if last_ns != start_ns}
            if not counts:
                del self._counts[source], self._targets[source]

    def _seen_in(self, window: Observed) -> tuple[Sequence[ScanSource], Sequence[Contact]]:
        if self._of_arp:
            return window.arp_sources, window.arp_contacts
        return window.scan_sources, window.contacts

    def failed_share(self, source: str, since_ns: int) -> float:
        """Return the share of a source's targets that failed, over its windows since a time."""
        counts = [count for start_ns, count in self._counts.get(source, {}).items() if start_ns >= since_ns]
        contacted = sum(count[0] for count in counts)
        return sum(count[1] for count in counts) / contacted if contacted else 0.0

    def size_of(self, source: str) -> int:
        """Return how many failed targets of a source are remembered."""
        return len(self._targets.get(source, ()))

    def tally(self, source: str, since_ns: int) -> Tally:
        """Return what a source failed at since a time, distinct over all windows.

        Where a window's list was cut short, the window's own counts stand in.
        """
        ports: defaultdict[str, set[int]] = defaultdict(set)
        hosts: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
        for (address, port, protocol), last_ns in self._targets.get(source, {}).items():
            if last_ns >= since_ns:
                ports[address].add(port)
                hosts[port, protocol].add(address)
        host = min(ports, key=lambda address: (-len(ports[address]), address), default="")
        port, protocol = min(hosts, key=lambda key: (-len(hosts[key]), key), default=(0, 0))
        counts = [count for start_ns, count in self._counts.get(source, {}).items() if start_ns >= since_ns]
        by_ports = sorted(ports, key=lambda address: (-len(ports[address]), address))
        on_port = sorted(hosts[port, protocol])
        n_ports, n_hosts = len(ports[host]), len(on_port)
        return Tally(
            ports=max([n_ports, *(count[2] for count in counts)]),
            host=host,
            hosts=max([n_hosts, *(count[3] for count in counts)]),
            port=port,
            protocol=protocol,
            examples=tuple(sorted(ports[host])[:16]),
            victims=tuple((on_port if n_hosts > n_ports else by_ports)[:15]),
        )

    def _forget(self, before_ns: int) -> None:
        for source in list(self._counts):
            kept = {start_ns: count for start_ns, count in self._counts[source].items() if start_ns >= before_ns}
            if len(kept) == len(self._counts[source]):
                continue
            targets = self._targets.get(source, {})
            self._targets[source] = {target: last_ns for target, last_ns in targets.items() if last_ns >= before_ns}
            self._counts[source] = kept
            if not kept:
                del self._counts[source], self._targets[source]
        for targets in self._targets.values():
            while len(targets) > MAX_TARGETS:
                del targets[next(iter(targets))]
        n_targets = sum(map(len, self._targets.values()))
        if len(self._counts) > MAX_SOURCES or n_targets > MAX_ALL_TARGETS:
            weakest = sorted(self._counts, key=lambda source: (self.size_of(source), max(self._counts[source])))
            for source in weakest[: max(len(weakest) // FORGOTTEN_SHARE, 1)]:
                self._counts.pop(source)
                self._targets.pop(source, None)

    def state(self) -> list[Any]:
        """Return everything as JSON values, for ``restore``."""
        targets = [[source, [[*target, at] for target, at in kept.items()]] for source, kept in self._targets.items()]
        counts = [[source, [[at, *count] for at, count in kept.items()]] for source, kept in self._counts.items()]
        return [targets, counts]

    @classmethod
    def restore(cls, state: list[Any], *, of_arp: bool = False) -> Attempts:
        """Return what ``state`` was taken of."""
        attempts = cls(of_arp=of_arp)
        targets, counts = state
        attempts._targets = {source: {(a, p, q): at for a, p, q, at in kept} for source, kept in targets}
        attempts._counts = {source: {at: (a, b, c, d) for at, a, b, c, d in kept} for source, kept in counts}
        return attempts


class Begun:
    """Connections that sources began at services, by window: of TCP all of them, else those without an answer."""

    def __init__(self) -> None:
        self._pairs: dict[ServicePair, dict[int, float]] = {}

    def take(self, window: Observed, horizon_ns: int) -> None:
        """Take a window in, and forget what is older than ``horizon_ns``."""
        for client in window.service_clients:
            count = client["begun"] if client["protocol"] == TCP else client["failed"]
            if count:
                pair = (client["src_ip"], client["dst_ip"], client["dst_port"], client["protocol"])
                self._pairs.setdefault(pair, {})[window.start_ns] = count * window.scale
        before_ns = window.start_ns - horizon_ns
        for pair in list(self._pairs):
            kept = {at: count for at, count in self._pairs[pair].items() if at >= before_ns}
            self._pairs[pair] = kept
            if not kept:
                del self._pairs[pair]
        if len(self._pairs) > MAX_PAIRS:
            weakest = sorted(self._pairs, key=lambda pair: (sum(self._pairs[pair].values()), pair))
            for pair in weakest[: MAX_PAIRS // FORGOTTEN_SHARE]:
                del self._pairs[pair]

    def count(self, pair: ServicePair, since_ns: int) -> float:
        """Return the connections of a pair since a time."""
        return sum(count for at, count in self._pairs.get(pair, {}).items() if at >= since_ns)

    def most(self, ports: Iterable[int], since_ns: int, *, is_login: bool) -> float:
        """Return the most TCP connections of any pair since a time, on the given ports or on all others."""
        chosen = frozenset(ports)
        pairs = [pair for pair in self._pairs if pair[3] == TCP and (pair[2] in chosen) == is_login]
        return max((self.count(pair, since_ns) for pair in pairs), default=0.0)

    def state(self) -> list[Any]:
        """Return everything as JSON values, for ``restore``."""
        return [[*pair, list(kept.items())] for pair, kept in self._pairs.items()]

    @classmethod
    def restore(cls, state: list[Any]) -> Begun:
        """Return what ``state`` was taken of."""
        begun = cls()
        begun._pairs = {(a, b, port, protocol): dict(kept) for a, b, port, protocol, kept in state}
        return begun
