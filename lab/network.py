"""The lab's network: hosts in namespaces around one switch, taken down whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab import processes
from lab.errors import LabError
from lab.link import Impairment
from lab.processes import Server
from lab.programs import program

REPOSITORY = Path(__file__).resolve().parents[1]
PREFIX = "swlab"
"""Namespaces are called ``swlab<pid>-<host>``."""
NETNS_FOLDER = Path("/etc/netns")
"""``ip netns exec NAME`` shows ``/etc/netns/NAME/*`` as ``/etc/*`` (ip-netns(8))."""


@dataclass(frozen=True)
class HostPlan:
    """A host of the lab: its name and the last part of its addresses, 10.77.0.N and fd00:77::N."""

    name: str
    numbers: tuple[int, ...]


HOSTS = (
    HostPlan("web", (10,)),
    HostPlan("files", (11,)),
    HostPlan("dns", (53,)),
    HostPlan("alice", (21,)),
    HostPlan("bob", (22,)),
    HostPlan("carol", (23,)),
    HostPlan("dave", (24,)),
    HostPlan("mallory", (66,)),
    HostPlan("trudy", (67,)),
    HostPlan("c2", (99,)),
    HostPlan("zombies", (201, 202, 203, 204, 205, 206)),
)


@dataclass
class Host:
    """A host that is up: runs commands and servers in its namespace."""

    plan: HostPlan
    namespace: str
    folder: Path
    servers: list[Server] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in the plan."""
        return self.plan.name

    @property
    def ipv4(self) -> str:
        """Its first IPv4 address."""
        return f"10.77.0.{self.plan.numbers[0]}"

    @property
    def ipv6(self) -> str:
        """Its first IPv6 address; the digits are those of the IPv4 address."""
        return f"fd00:77::{self.plan.numbers[0]}"

    @property
    def all_ipv4(self) -> list[str]:
        """Every IPv4 address of the host."""
        return [f"10.77.0.{number}" for number in self.plan.numbers]

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs `command` in the namespace."""
        return [program("ip"), "netns", "exec", self.namespace, program(command[0]), *command[1:]]

    def run(self, *command: str, timeout_s: float = 60.0, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; see `lab.processes.run`."""
        return processes.run(self.inside(command), timeout_s=timeout_s, check=check, cwd=self.folder)

    def run_module(self, module: str, *arguments: str, timeout_s: float = 60.0) -> None:
        """Run one of the lab's own modules to its end; it must succeed."""
        processes.run(self._python(module, arguments), timeout_s=timeout_s, cwd=REPOSITORY)

    def start(self, name: str, *command: str) -> Server:
        """Start a server program."""
        log = self.folder / f"{name}.log"
        self.servers.append(processes.start(name, self.inside(command), log, cwd=self.folder))
        return self.servers[-1]

    def start_module(self, module: str, *arguments: str) -> Server:
        """Start one of the lab's own modules as a server."""
        log = self.folder / f"{module.rpartition('.')[2]}.log"
        self.servers.append(processes.start(module, self._python(module, arguments), log, cwd=REPOSITORY))
        return self.servers[-1]

    def _python(self, module: str, arguments: Sequence[str]) -> list[str]:
        return [program("ip"), "netns", "exec", self.namespace, sys.executable, "-m", module, *arguments]


@dataclass
class Network:
    """The hosts and the switch while they are up.

    Attributes
    ----------
    switch
        The namespace with the bridge ``br0``; the bridge itself is the mirror port.
    hosts
        By name.
    folder
        Temporary folder of this run, readable by every user; each host has one inside.
    emulator
        What impairs the links: ``netem``, or ``wire`` where the kernel has none; empty without impaired
        links.
    """

    switch: Host
    hosts: dict[str, Host]
    folder: Path
    emulator: str = ""

    def host(self, name: str) -> Host:
        """Return a host by name."""
        return self.hosts[name]


@contextmanager
def network(impaired: Mapping[str, Impairment] | None = None) -> Iterator[Network]:
    """Bring the network up, and take it down at the end: processes, namespaces, files.

    Parameters
    ----------
    impaired
        Host name -> what its link does to packets.
    """
    prefix = f"{PREFIX}{os.getpid()}-"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))
        folder.chmod(0o755)
        switch = _namespace(stack, HostPlan("switch", (1,)), prefix, folder)
        _ip("-n", switch.namespace, "link", "add", "name", "br0", "type", "bridge", "mcast_snooping", "0")
        sysctl(switch, "net.ipv6.conf.all.disable_ipv6=1")
        _ip("-n", switch.namespace, "link", "set", "br0", "up")
        net = Network(switch, {}, folder)
        for plan in HOSTS:
            host = _namespace(stack, plan, prefix, folder)
            net.hosts[plan.name] = host
            _connect(net, host, (impaired or {}).get(plan.name))
        yield net


def remove_leftovers() -> list[str]:
    """Remove namespaces of lab runs whose process is gone (killed with SIGKILL); return their names."""
    removed = []
    for line in processes.run([program("ip"), "netns", "list"]).stdout.splitlines():
        name = line.split()[0] if line.split() else ""
        pid = name.removeprefix(PREFIX).partition("-")[0]
        if name.startswith(PREFIX) and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove_namespace(name)
            removed.append(name)
    return removed


def _ip(*arguments: str) -> None:
    processes.run([program("ip"), *arguments])


def sysctl(host: Host, setting: str) -> None:
    """Set something of the kernel for one host, as in ``net.ipv4.tcp_sack=0``."""
    name, _, value = setting.partition("=")
    path = f"/proc/sys/{name.replace('.', '/')}"
    command = [program("ip"), "netns", "exec", host.namespace, program("sh"), "-c", f"echo '{value}' > {path}"]
    processes.run(command)


def _namespace(stack: ExitStack, plan: HostPlan, prefix: str, folder: Path) -> Host:
    host = Host(plan, prefix + plan.name, folder / plan.name)
    host.folder.mkdir()
    host.folder.chmod(0o755)
    settings = NETNS_FOLDER / host.namespace
    stack.callback(_take_down, host)
    settings.mkdir(parents=True)
    (settings / "resolv.conf").write_text("nameserver 10.77.0.53\nsearch lab\noptions timeout:2 attempts:2\n")
    names = "".join(f"10.77.0.{other.numbers[0]} {other.name}\n" for other in HOSTS if other.name == "dns")
    (settings / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{names}")
    _ip("netns", "add", host.namespace)
    _ip("-n", host.namespace, "link", "set", "lo", "up")
    return host


def _take_down(host: Host) -> None:
    for server in reversed(host.servers):
        server.end()
    _remove_namespace(host.namespace)


def _remove_namespace(namespace: str) -> None:
    if (Path("/run/netns") / namespace).exists():
        listed = processes.run([program("ip"), "netns", "pids", namespace], check=False).stdout
        processes.end_processes([int(pid) for pid in listed.split() if pid.isdigit()])
        _ip("netns", "delete", namespace)
    settings = NETNS_FOLDER / namespace
    if settings.is_dir():
        for file in settings.iterdir():
            file.unlink()
        settings.rmdir()
    with suppress(OSError):
        # Other namespaces may keep files here; an empty folder is ours to take away.
        NETNS_FOLDER.rmdir()


def _connect(net: Network, host: Host, impairment: Impairment | None) -> None:
    """Connect a host to the switch: a veth pair, or the wire emulator where netem is missing."""
    if impairment is None:
        _veth(net, host)
    elif net.emulator != "wire" and _veth_with_netem(net, host, impairment):
        net.emulator = "netem"
    else:
        _wire(net, host, impairment)
        net.emulator = "wire"
    switch = net.switch.namespace
    _ip("-n", switch, "link", "set", host.name, "master", "br0", "up")
    number = host.plan.numbers[0]
    _ip("-n", host.namespace, "link", "set", "eth0", "address", f"02:00:00:00:77:{number:02x}")
    # Duplicate address detection would make the addresses unusable for the first second or two.
    for setting in ("accept_dad=0", "accept_ra=0", "router_solicitations=0"):
        sysctl(host, f"net.ipv6.conf.eth0.{setting}")
    _ip("-n", host.namespace, "link", "set", "eth0", "up")
    for address in host.plan.numbers:
        _ip("-n", host.namespace, "addr", "add", f"10.77.0.{address}/24", "dev", "eth0")
        _ip("-n", host.namespace, "addr", "add", f"fd00:77::{address}/64", "dev", "eth0", "nodad")


def _veth(net: Network, host: Host) -> None:
    pair = ["link", "add", "name", host.name, "netns", net.switch.namespace, "type", "veth"]
    _ip(*pair, "peer", "name", "eth0", "netns", host.namespace)
    host.run_module("lab.offload", "eth0")
    net.switch.run_module("lab.offload", host.name)


def _veth_with_netem(net: Network, host: Host, impairment: Impairment) -> bool:
    """Return False, with nothing left behind, when this kernel has no netem."""
    _veth(net, host)
    for namespace, device in ((host.namespace, "eth0"), (net.switch.namespace, host.name)):
        command = [program("tc"), "-n", namespace, "qdisc", "add", "dev", device, "root"]
        done = processes.run([*command, *impairment.netem_arguments()], check=False)
        if done.returncode != 0:
            _ip("-n", net.switch.namespace, "link", "delete", host.name)
            if "qdisc kind is unknown" in done.stdout:
                return False
            raise LabError(f"tc refused the impairment of {host.name}: {done.stdout.strip()}")
    return True


def _wire(net: Network, host: Host, impairment: Impairment) -> None:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(impairment).items()]
    server = net.switch.start_module("lab.wire", f"w-{host.name}", host.name, *options)
    deadline_s = time.monotonic() + 10
    while f"{host.name} is ready" not in server.tail(50):
        if not server.is_running() or time.monotonic() > deadline_s:
            raise LabError(f"The wire of {host.name} did not come up: {server.tail()}")
        time.sleep(0.02)
    moved = ["link", "set", f"w-{host.name}", "netns", host.namespace, "name", "eth0"]
    _ip("-n", net.switch.namespace, *moved)
