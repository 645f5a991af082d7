"""What a scenario is, and the stage it runs on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from lab.labels import Label
from lab.link import Impairment
from lab.network import Host, Network

_DRAIN_S = 0.3


@dataclass
class Stage:
    """The network of a run and the labels collected on it.

    Attributes
    ----------
    network
        The hosts.
    labels
        One per conversation class; `lab.labels.settle` fits them to the capture afterwards.
    """

    network: Network
    labels: list[Label] = field(default_factory=list)

    def host(self, name: str) -> Host:
        """Return a host by name."""
        return self.network.host(name)

    @contextmanager
    def label(
        self,
        class_name: str,
        tool: str,
        src_ip: str | Sequence[str] | None,
        dst_ip: str | None,
        dst_port: int | None = None,
        protocol: int | None = None,
    ) -> Iterator[None]:
        """Label what happens between these ends while the context lasts.

        Parameters
        ----------
        src_ip
            One address, several (a row each), or None for any.
        """
        start_ns = time.time_ns()
        yield
        time.sleep(_DRAIN_S)
        end_ns = time.time_ns()
        sources = [src_ip] if src_ip is None or isinstance(src_ip, str) else src_ip
        for source in sources:
            row = Label(start_ns, end_ns, source, dst_ip, None, dst_port, protocol, class_name, tool)
            self.labels.append(row)

    @contextmanager
    def label_pair(
        self, class_name: str, tool: str, client: Host, server: Host, dst_port: int | None, protocol: int
    ) -> Iterator[None]:
        """Label what two hosts say to each other over IPv4 and over IPv6."""
        with ExitStack() as stack:
            for source, target in ((client.ipv4, server.ipv4), (client.ipv6, server.ipv6)):
                stack.enter_context(self.label(class_name, tool, source, target, dst_port, protocol))
            yield


Starter = Callable[[Network], None]
Action = Callable[[Stage], None]


@dataclass(frozen=True)
class Scenario:
    """Something worth recording.

    Attributes
    ----------
    name
        Names the files: ``NAME.pcap`` and ``NAME.labels.csv``.
    title
        One sentence for the list.
    classes
        The classes its labels use.
    programs
        What must be installed.
    servers
        Started in order before the recording.
    action
        Runs while the mirror records.
    impaired
        Host name -> what its link does.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    programs: tuple[str, ...]
    servers: tuple[Starter, ...]
    action: Action
    impaired: Mapping[str, Impairment] = field(default_factory=dict)
