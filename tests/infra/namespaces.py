"""A gateway between three hosts, each in a network namespace of its own: firewalls are tested on it."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_NUMBERS = itertools.count()
_CLONE_NEWNET = 0x40000000  # linux/sched.h
PORT = 4711
HOSTS = ("attacker", "neighbour", "server")
"""Host 1, 2 and 3; each is on a cable of its own to the gateway, in 10.44.N.0/24 and fd44:N::/64."""


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _socket_in(namespace: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """Return a socket of a namespace; it stays there whoever uses it, and nothing else of this process does."""
    made: list[socket.socket] = []

    def make() -> None:
        with (Path("/run/netns") / namespace).open() as file:
            # Of this thread alone (setns(2)), which ends here.
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.socket(family, kind))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


@dataclass
class Host:
    """A host with one UDP socket per family."""

    number: int
    sockets: dict[int, socket.socket] = field(default_factory=dict)

    def address(self, version: int) -> str:
        """Its address."""
        return f"10.44.{self.number}.2" if version == 4 else f"fd44:{self.number}::2"

    def gateway(self, version: int) -> str:
        """The gateway's address on its cable."""
        return f"10.44.{self.number}.1" if version == 4 else f"fd44:{self.number}::1"


class Gateway:
    """The hosts around a gateway that forwards, and what passes between them."""

    def __init__(self, prefix: str) -> None:
        self.namespace = f"{prefix}-gate"
        self.hosts = {name: Host(number) for number, name in enumerate(HOSTS, 1)}
        self.own: dict[int, socket.socket] = {}
        self._marks = itertools.count()

    @property
    def nft(self) -> tuple[str, ...]:
        """The nft program on the gateway."""
        return ("ip", "netns", "exec", self.namespace, "nft")

    def rules(self) -> str:
        """Return everything that is in the gateway's packet filter."""
        return _run(*self.nft, "list", "ruleset")

    def do(self, *statement: str) -> None:
        """Change the gateway's packet filter by hand."""
        _run(*self.nft, *statement)

    def passes(self, source: str, target: str, version: int = 4) -> bool:
        """Whether a packet reaches its target; ``gate`` is the gateway itself.

        A packet that nothing stops follows it from and to somebody else: when that one has come, the first is lost.
        Both are sent on one processor, whose queue keeps their order (netif_rx), and no neighbour has to be found.
        """
        number = next(self._marks)
        receiver = self.own[version] if target == "gate" else self.hosts[target].sockets[version]
        to = self.hosts[source].gateway(version) if target == "gate" else self.hosts[target].address(version)
        last = self.hosts["server"]
        with _on_one_processor():
            self._send(source, f"packet {number}", to, version)
            self._send("neighbour", f"follower {number}", last.address(version), version)
        got = _until_came(last.sockets[version], f"follower {number}")
        if receiver is not last.sockets[version]:
            got += _waiting(receiver)
        return f"packet {number}" in got

    def _send(self, source: str, text: str, to: str, version: int) -> None:
        sender = self.own[version] if source == "gate" else self.hosts[source].sockets[version]
        # A packet that the sender's own output hook drops is an error of the call.
        with suppress(PermissionError):
            sender.sendto(text.encode(), (to, PORT))


def _until_came(receiver: socket.socket, text: str) -> list[str]:
    """Return what has come up to a text."""
    receiver.settimeout(60)
    got = [""]
    while got[-1] != text:
        got.append(receiver.recv(100).decode())
    return got


def _waiting(receiver: socket.socket) -> list[str]:
    """Return what has come already."""
    receiver.setblocking(False)
    got = []
    with suppress(BlockingIOError):
        while True:
            got.append(receiver.recv(100).decode())
    return got


@contextmanager
def _on_one_processor() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def gateway() -> Iterator[Gateway]:
    """Make the namespaces, and take them away at the end."""
    prefix = f"swf{os.getpid() % 10**6}{chr(97 + next(_NUMBERS) % 26)}"
    made = Gateway(prefix)
    with ExitStack() as stack:
        _namespace(stack, made.namespace)
        for setting in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
            _sysctl(made.namespace, setting)
        for name, host in made.hosts.items():
            inside = f"{prefix}-{name[:3]}"
            _namespace(stack, inside)
            _connect(made.namespace, inside, host)
            host.sockets = {version: _bound(stack, inside, version) for version in (4, 6)}
        made.own = {version: _bound(stack, made.namespace, version) for version in (4, 6)}
        yield made


def _sysctl(namespace: str, setting: str) -> None:
    name, _, value = setting.partition("=")
    path = f"/proc/sys/{name.replace('.', '/')}"
    _run("ip", "netns", "exec", namespace, "sh", "-c", f"echo {value} > {path}")


def _namespace(stack: ExitStack, name: str) -> None:
    _run("ip", "netns", "add", name)
    stack.callback(_run, "ip", "netns", "delete", name)
    _run("ip", "-n", name, "link", "set", "lo", "up")


def _connect(gate: str, inside: str, host: Host) -> None:
    outer = f"to{host.number}"
    _run("ip", "-n", gate, "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", inside)
    for namespace, device, last in ((gate, outer, 1), (inside, "eth0", 2)):
        _run("ip", "-n", namespace, "link", "set", device, "address", _mac(host, last))
        _run("ip", "-n", namespace, "addr", "add", f"10.44.{host.number}.{last}/24", "dev", device)
        _run("ip", "-n", namespace, "addr", "add", f"fd44:{host.number}::{last}/64", "dev", device, "nodad")
        _run("ip", "-n", namespace, "link", "set", device, "up")
    for version in (4, 6):
        _knows(gate, host.address(version), outer, _mac(host, 2))
        _knows(inside, host.gateway(version), "eth0", _mac(host, 1))
        _run("ip", "-n", inside, f"-{version}", "route", "add", "default", "via", host.gateway(version))


def _mac(host: Host, last: int) -> str:
    return f"02:44:00:00:{host.number:02x}:{last:02x}"


def _knows(namespace: str, address: str, device: str, mac: str) -> None:
    """Make a neighbour known for good."""
    _run("ip", "-n", namespace, "neigh", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent")


def _bound(stack: ExitStack, namespace: str, version: int) -> socket.socket:
    family, anywhere = (socket.AF_INET, "0.0.0.0") if version == 4 else (socket.AF_INET6, "::")
    made = stack.enter_context(_socket_in(namespace, family, socket.SOCK_DGRAM))
    if version == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind((anywhere, PORT))
    return made


def why_no_firewall() -> str:
    """Return why firewalls cannot be tested on this machine; empty when they can."""
    for program in ("ip", "nft"):
        if not shutil.which(program):
            return f"there is no {program} program"
    name = f"swf{os.getpid() % 10**6}-try"
    try:
        _run("ip", "netns", "add", name)
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made: {error.stderr.strip()}"
    try:
        _run("ip", "netns", "exec", name, "nft", "add", "table", "inet", "try")
    except subprocess.CalledProcessError as error:
        return f"no nftables table can be made: {error.stderr.strip()}"
    finally:
        _run("ip", "netns", "delete", name)
    return ""


def until(is_reached: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for a condition."""
    end_s = time.monotonic() + timeout_s
    while not is_reached():
        if time.monotonic() > end_s:
            raise TimeoutError
        time.sleep(0.05)
