"""What is usual on a network and at its hosts, learnt window by window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agents.figures import Doubt, Figure
from agents.memory import LOGIN_PORTS, Memory, minute_before
from agents.observed import TCP, Observed, ServiceClient
from agents.summary import Usual
from schemas.enums import BaselineKind
from schemas.thresholds import Thresholds

MAX_PROTOCOLS = 128
"""Named protocols with a share of their own; further ones are not judged."""

BYTES, PACKETS = "bytes_per_s", "packets_per_s"
RTT = "rtt_ms"
CONNECTIONS = "connections"
CLIENT_MINUTE, LOGIN_MINUTE = "begun_by_one_client_in_a_minute", "logins_by_one_client_in_a_minute"
CLIENT_BURST, LOGIN_BURST, ASKED = "begun_by_one_client", "logins_by_one_client", "begun_at_one_host"
AGE_MEDIAN, AGE_P95, AGE_MAX = "age_median_s", "age_p95_s", "age_max_s"

KIND_OF = {
    BYTES: BaselineKind.BANDWIDTH,
    PACKETS: BaselineKind.BANDWIDTH,
    RTT: BaselineKind.LATENCY,
    CONNECTIONS: BaselineKind.CONNECTION,
    CLIENT_MINUTE: BaselineKind.CONNECTION,
    LOGIN_MINUTE: BaselineKind.CONNECTION,
    CLIENT_BURST: BaselineKind.CONNECTION,
    LOGIN_BURST: BaselineKind.CONNECTION,
    ASKED: BaselineKind.CONNECTION,
    AGE_MEDIAN: BaselineKind.CONNECTION,
    AGE_P95: BaselineKind.CONNECTION,
    AGE_MAX: BaselineKind.CONNECTION,
}
"""The kind of baseline that each figure of the network is part of; the first one of a kind is its main figure."""

MAIN = {BaselineKind.BANDWIDTH: BYTES, BaselineKind.LATENCY: RTT, BaselineKind.CONNECTION: CONNECTIONS}
UNITS = {
    BaselineKind.BANDWIDTH: "bytes/s",
    BaselineKind.LATENCY: "ms",
    BaselineKind.CONNECTION: "connections/window",
    BaselineKind.PROTOCOL: "share",
}

_MIN_RTTS = 5
"""Round trips in a window below which their mean is not learnt."""

_LEAST_REQUEST_BYTES, _MOST_REQUEST_BYTES = 100, 1000
"""Mean bytes of a client's packets between which they are requests: bare acknowledgements have 54 to 66, full segments
1514."""

_UNNAMED = "tcp"
"""The name of TCP services that no port names: they are too different to have requests in common."""

_WITH_HOURS = (BYTES, PACKETS, RTT, CONNECTIONS)


class Baselines:
    """The baselines of one source: four kinds for the network, and the bandwidth of its hosts.

    Parameters
    ----------
    thresholds : Thresholds
        How much is learnt before a baseline speaks, and how slowly it moves.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self.figures: dict[str, Figure] = {name: Figure(has_hours=name in _WITH_HOURS) for name in KIND_OF}
        self.protocols: dict[str, Figure] = {}
        self.services: dict[str, Figure] = {}
        """Request packets per second of the client that sends most to one service, by named protocol."""
        self.hosts: dict[str, Figure] = {}
        """By address, the one seen last at the end."""
        self._mixes = 0
        self._mixes_held_back = 0

    def usual(self, name: str, window: Observed) -> Usual | None:
        """Return what is usual of one of the network's figures; None while its baseline learns."""
        return self.figures[name].usual(self.thresholds, window.end_ns)

    def usual_of_host(self, address: str) -> Usual | None:
        """Return what is usual of a host's bytes per second; None while its baseline learns."""
        figure = self.hosts.get(address)
        return figure.usual(self.thresholds) if figure else None

    def usual_shares(self) -> dict[str, Usual]:
        """Return what is usual of each protocol's share of packets; nothing while the baseline learns."""
        known = {name: figure.usual(self.thresholds) for name, figure in self.protocols.items()}
        return {name: usual for name, usual in known.items() if usual is not None}

    def usual_requests(self, name: str) -> Usual | None:
        """Return what is usual of the requests of one client to one service of a named protocol."""
        figure = self.services.get(name)
        return figure.usual(self.thresholds) if figure else None

    def share_present(self, name: str, absent: int = 0) -> float:
        """Return in which share of the windows, but the newest ``absent``, a protocol was there; 0 while it learns."""
        figure = self.protocols.get(name)
        return figure.share_present(absent) if figure and figure.usual(self.thresholds) else 0.0

    def learn(
        self,
        window: Observed,
        values: dict[str, float],
        doubts: Mapping[BaselineKind, Doubt],
        hosts_off: Mapping[str, Doubt],
    ) -> None:
        """Take a window in, after it has been judged.

        Parameters
        ----------
        values : dict
            The network's figures in this window; those that were not measured are absent.
        doubts, hosts_off : mapping
            Kinds and hosts that the window's anomalies concern: learnt slowly.
        """
        # An estimate from a part of the flows says less than a count.
        weight = 1 / window.scale
        for name, value in values.items():
            doubt = doubts.get(KIND_OF[name], Doubt.NONE)
            self.figures[name].learn(value, window.end_ns, self.thresholds, doubt, weight)
        self._learn_requests(window, doubts.get(BaselineKind.CONNECTION, Doubt.NONE), weight)
        self._learn_shares(window, doubts.get(BaselineKind.PROTOCOL, Doubt.NONE), weight)
        self._learn_hosts(window, hosts_off, weight)

    def _learn_requests(self, window: Observed, doubt: Doubt, weight: float) -> None:
        most: dict[str, float] = {}
        for client in window.service_clients:
            if carries_requests(client):
                most[client["name"]] = max(most.get(client["name"], 0.0), requests_per_s(window, client))
        for name, rate in most.items():
            if name not in self.services and len(self.services) >= MAX_PROTOCOLS:
                continue
            figure = self.services.setdefault(name, Figure())
            figure.learn(rate, window.end_ns, self.thresholds, doubt, weight)

    def _learn_shares(self, window: Observed, doubt: Doubt, weight: float) -> None:
        shares = window.shares
        if window.records < self.thresholds.protocol_anomaly_min_packets:
            return
        for name in shares:
            if name not in self.protocols and len(self.protocols) < MAX_PROTOCOLS:
                self.protocols[name] = Figure()
                self.protocols[name].learn_absence(self._mixes - self._mixes_held_back)
        self._mixes += 1
        self._mixes_held_back += doubt is not Doubt.NONE
        for name, figure in self.protocols.items():
            share = shares.get(name, 0.0)
            figure.learn(share, window.end_ns, self.thresholds, doubt, weight)

    def _learn_hosts(self, window: Observed, hosts_off: Mapping[str, Doubt], weight: float) -> None:
        if not self.thresholds.baseline_max_hosts:
            return
        for host in window.hosts:
            figure = self.hosts.pop(host["ip"], None) or Figure()
            self.hosts[host["ip"]] = figure
            value = window.host_bytes_per_s(host)
            figure.learn(value, window.end_ns, self.thresholds, hosts_off.get(host["ip"], Doubt.NONE), weight)
        while len(self.hosts) > self.thresholds.baseline_max_hosts:
            del self.hosts[next(iter(self.hosts))]

    def windows_of(self, kind: BaselineKind) -> int:
        """Return how many windows a kind has learnt."""
        return self._mixes if kind is BaselineKind.PROTOCOL else self.figures[MAIN[kind]].windows

    def is_ready(self, kind: BaselineKind) -> bool:
        """Whether a kind has learnt enough to be judged by."""
        if kind is BaselineKind.PROTOCOL:
            return bool(self.usual_shares())
        return self.figures[MAIN[kind]].usual(self.thresholds) is not None

    def adopt(self, other: Baselines, kinds: Iterable[BaselineKind]) -> None:
        """Replace some kinds by what another one has learnt; with the bandwidth come the hosts."""
        for kind in kinds:
            for name, of_kind in KIND_OF.items():
                if of_kind is kind:
                    self.figures[name] = other.figures[name]
            if kind is BaselineKind.BANDWIDTH:
                self.hosts = other.hosts
            if kind is BaselineKind.CONNECTION:
                self.services = other.services
            if kind is BaselineKind.PROTOCOL:
                self.protocols = other.protocols
                self._mixes, self._mixes_held_back = other._mixes, other._mixes_held_back

    def state(self) -> dict[str, Any]:
        """Return everything as JSON values, for ``restore``."""
        return {
            "figures": {name: figure.state() for name, figure in self.figures.items()},
            "protocols": {name: figure.state() for name, figure in self.protocols.items()},
            "services": {name: figure.state() for name, figure in self.services.items()},
            "hosts": {name: figure.state() for name, figure in self.hosts.items()},
            "mixes": [self._mixes, self._mixes_held_back],
        }

    @classmethod
    def restore(cls, state: dict[str, Any], thresholds: Thresholds) -> Baselines:
        """Return what ``state`` was taken of, under the given thresholds."""
        baselines = cls(thresholds)
        for part in ("figures", "protocols", "services", "hosts"):
            restored = {name: Figure.restore(figure) for name, figure in state[part].items()}
            getattr(baselines, part).update(restored)
        baselines._mixes, baselines._mixes_held_back = state["mixes"]
        return baselines


def carries_requests(client: ServiceClient) -> bool:
    """Whether what a client sends to a TCP service are requests: neither bare acknowledgements nor bulk data."""
    if client["protocol"] != TCP or client["name"] == _UNNAMED or not client["packets_forward"]:
        return False
    return _LEAST_REQUEST_BYTES <= client["bytes_forward"] / client["packets_forward"] <= _MOST_REQUEST_BYTES


def requests_per_s(window: Observed, client: ServiceClient) -> float:
    """Return the packets per second that a client sends to a service."""
    return client["packets_forward"] * window.scale / window.window_s


def measured(window: Observed, memory: Memory) -> dict[str, float]:
    """Return the network's figures of a window, by name; what was not measured is absent.

    Parameters
    ----------
    memory : Memory
        Has taken the window in.
    """
    values = {
        BYTES: window.bytes_per_s,
        PACKETS: window.packets_per_s,
        CONNECTIONS: window.connections,
        CLIENT_MINUTE: memory.begun.most(LOGIN_PORTS, minute_before(window), is_login=False),
        LOGIN_MINUTE: memory.begun.most(LOGIN_PORTS, minute_before(window), is_login=True),
        CLIENT_BURST: memory.begun.most(LOGIN_PORTS, window.start_ns, is_login=False),
        LOGIN_BURST: memory.begun.most(LOGIN_PORTS, window.start_ns, is_login=True),
        ASKED: max((asked["begun"] * window.scale for asked in window.responders), default=0.0),
    }
    if window.rtt_ms is not None and window.rtt_count >= _MIN_RTTS:
        values[RTT] = window.rtt_ms
    ages = {AGE_MEDIAN: window.age_median_s, AGE_P95: window.age_p95_s, AGE_MAX: window.age_max_s}
    return values | {name: max(age, 0.0) for name, age in ages.items() if age is not None}
