"""Captures for training and judging: work and attacks with parameters by chance, over links by chance.

Every host, attacker or not, draws its link and its TCP stack from the same bag, so that nothing but what is said tells
them apart.
"""

from __future__ import annotations

import gzip
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.attacks import beacon
from lab.errors import CommandError, LabelError
from lab.everyday import start_talk, work
from lab.labels import BENIGN, Label, Packet, write_labels
from lab.link import Impairment
from lab.mirror import recording
from lab.mix import SNAP_BYTES, Progress
from lab.network import HOSTS, Network, network
from lab.pcap import read_packets
from lab.programs import ALWAYS, PACKAGES, require_privileges, require_programs
from lab.record import Recording, count_classes
from lab.scenarios import Stage
from lab.servers import (
    await_port,
    start_bulk,
    start_dns,
    start_ftp,
    start_ssh,
    start_web,
)
from lab.stacks import give_stacks
from lab.variant import Variant
from lab.variants import BEACON_PORTS, HEARTBLEED_PORTS, SHELL_PORTS, VARIANTS

_CLIENTS = {"alice": 5201, "bob": 5202, "carol": 5203}
"""Who works, and the iperf3 server that is theirs."""


WEB_ATTACKS = (
    "sql",
    "xss",
    "hulk",
    "goldeneye",
    "flood-http",
    "web-hydra",
    "web-curl",
    "flood-syn",
    "slow-body",
    "slow-headers",
)
"""Those whose flows look most like work: captures of them alone are added to the others."""

FLOODS = ("flood-syn-forged", "flood-udp", "flood-icmp", "scan-udp")
"""Those with flows of a packet or two."""

WEB = (
    "sql",
    "xss",
    "flood-http",
    "hulk",
    "web-hydra",
    "web-curl",
    "goldeneye",
    "slow-headers",
    "slow-body",
)
"""Those that speak HTTP."""

MIXED_UP = ("flood-syn", "xss", "sql", "flood-http", "scan-syn", "scan-version")
"""Those that are taken for each other, or for work."""

BUSY = ("hulk-busy", "hulk", "flood-http", "sql", "xss", "web-curl", "slow-headers")
"""Single requests, and floods of pages that the server is slow to answer."""

LONG = ("slow-long",)
"""Slow attacks of minutes."""

PACKETS = ("flood-syn", "flood-syn-forged", "flood-udp", "flood-icmp")
SCANS = ("scan-syn", "scan-connect", "scan-udp", "scan-fin", "scan-version", "infiltration")
"""Floods of packets and scans, which a stack tells apart."""


@dataclass(frozen=True)
class Take:
    """A capture of the recipe: which folder it goes into, and how it is recorded; see `varied`."""

    folder: str
    seed: int
    duration_s: int
    is_held_out: bool = False
    only: tuple[str, ...] = ()


RECIPE: tuple[Take, ...] = (
    *(Take("train", seed, 300) for seed in range(101, 105)),
    *(Take("train", seed, 100) for seed in range(111, 129)),
    *(Take("train", seed, 60, only=WEB_ATTACKS) for seed in range(141, 149)),
    *(Take("train", seed, 45, only=FLOODS) for seed in range(151, 155)),
    *(Take("train", seed, 40, only=MIXED_UP) for seed in range(161, 167)),
    *(Take("train", seed, 30, only=LONG) for seed in range(171, 175)),
    *(Take("train", seed, 70, only=BUSY) for seed in range(181, 187)),
    Take("train", 601, 150),
    Take("train", 602, 120),
    *(Take("train", seed, 80, only=(*PACKETS, *SCANS)) for seed in range(621, 624)),
    *(Take("train", seed, 90, only=(*WEB, "hulk-busy")) for seed in range(631, 634)),
    *(Take("train", seed, 30, only=LONG) for seed in (641, 642)),
    Take("validate", 201, 300),
    *(Take("validate", seed, 100) for seed in range(202, 205)),
    *(Take("validate", seed, 30, only=LONG) for seed in (175, 211)),
    Take("validate", 401, 200, is_held_out=True),
    Take("validate", 411, 30, only=LONG),
    Take("validate", 412, 60, only=("hulk-busy", "hulk", "flood-http", "sql", "xss")),
    Take("validate", 413, 30, only=("hulk-busy",)),
    Take("validate", 651, 150),
    Take("validate", 661, 80, only=(*PACKETS, *SCANS)),
    Take("validate", 671, 80, only=(*WEB, "hulk-busy")),
    Take("validate", 681, 30, only=LONG),
    Take("validate", 701, 200, is_held_out=True),
    Take("validate", 702, 150, is_held_out=True),
    Take("validate", 703, 100, only=(*WEB, "hulk-busy")),
    Take("validate", 711, 30, only=LONG),
    Take("unseen", 301, 360, is_held_out=True),
    *(Take("unseen", seed, 150, is_held_out=True) for seed in range(302, 306)),
    Take("unseen", 801, 200, is_held_out=True),
    *(Take("unseen", seed, 150, is_held_out=True) for seed in (802, 821, 822)),
    Take("unseen", 803, 100, only=(*WEB, "hulk-busy")),
    Take("unseen", 804, 30, only=LONG),
)
"""What the shipped model was trained, chosen and judged with: three hours of captures.

Those of seeds below 400 were recorded before hosts drew their TCP stacks.
"""


def varied(
    folder: Path,
    progress: Progress,
    duration_s: int,
    seed: int,
    *,
    is_held_out: bool = False,
    only: Sequence[str] = (),
) -> Recording:
    """Record ``varied-SEED.pcap.gz`` and its labels: every attack once or more, in an order by chance.

    Parameters
    ----------
    duration_s
        No attack begins later than this.
    seed
        Another one gives other links, stacks, ports, rates, programs and work.
    is_held_out
        Whether to use the attacks that captures for training leave out, beside the others.
    only
        Names of attacks to use; all unless given.

    Raises
    ------
    LabError
        As `lab.record.record`.
    """
    require_privileges()
    require_programs([*ALWAYS, *PACKAGES])
    folder.mkdir(parents=True, exist_ok=True)
    chance, name = random.Random(seed), f"varied-{seed}"
    plain, packed = folder / f"{name}.pcap", folder / f"{name}.pcap.gz"
    variants = chosen(is_held_out=is_held_out, only=only)
    with network(_links(chance)) as net:
        give_stacks(net, chance)
        _start_servers(net)
        stage = Stage(net)
        with recording(net, plain, SNAP_BYTES), _working(stage, duration_s, chance):
            _play(stage, progress, duration_s, variants, chance)
    labels = folder / f"{name}.labels.csv"
    rows = rows_of(stage.labels, read_packets(plain))
    write_labels(labels, rows)
    counts = count_classes(plain, rows)
    packed.write_bytes(gzip.compress(plain.read_bytes(), 9, mtime=0))
    plain.unlink()
    return Recording(packed, labels, counts, net.emulator)


def chosen(*, is_held_out: bool = False, only: Sequence[str] = ()) -> list[Variant]:
    """Return the attacks of a recording; see `varied`. Those that take minutes must be asked for by name."""
    if only:
        return [variant for variant in VARIANTS if variant.name in only]
    return [variant for variant in VARIANTS if not variant.is_alone and (is_held_out or not variant.is_held_out)]


def _links(chance: random.Random) -> dict[str, Impairment]:
    """Draw a link for each host: a third are good ones."""
    drawn = {}
    for plan in HOSTS:
        kind = chance.random()
        loss, reorder = chance.choice([0, 0, 0.3, 1.5]), chance.choice([0, 0, 0.5])
        if kind < 0.25:
            drawn[plan.name] = Impairment(delay_ms=chance.uniform(0.1, 3), jitter_ms=0.1)
        elif kind < 0.5:
            drawn[plan.name] = Impairment(chance.uniform(3, 40), chance.uniform(0, 3), loss, reorder, 0, 50)
        elif kind < 0.65:
            drawn[plan.name] = Impairment(chance.uniform(40, 120), chance.uniform(0, 15), loss, reorder, 0, 20)
    return drawn


def _start_servers(net: Network) -> None:
    for start in (start_web, start_dns, start_ssh, start_ftp, start_bulk, start_talk):
        start(net)
    c2, web, trudy = net.host("c2"), net.host("web"), net.host("trudy")
    started = [
        *((c2, c2.start_module("lab.tools.c2_server", str(port)), (port,)) for port in BEACON_PORTS),
        *((web, web.start_module("lab.tools.heartbleed_server", str(port)), (port,)) for port in HEARTBLEED_PORTS),
        *((trudy, trudy.start_module("lab.tools.infiltration", "handler", *map(str, two)), two) for two in SHELL_PORTS),
    ]
    # Who knocks before a server listens is refused, and a label that failed is lost: an attack would count as work.
    for host, server, ports in started:
        for port in ports:
            await_port(host, server, port)


def _play(
    stage: Stage, progress: Progress, duration_s: int, variants: Sequence[Variant], chance: random.Random
) -> None:
    begun_s, waiting = time.monotonic(), list[Variant]()
    while (now_s := time.monotonic() - begun_s) < duration_s:
        if not waiting:
            waiting = chance.sample(variants, len(variants))
        variant = waiting.pop()
        progress(now_s, variant.name)
        variant.action(stage, chance)
        time.sleep(chance.uniform(0.2, 2.0))


@contextmanager
def _working(stage: Stage, duration_s: int, chance: random.Random) -> Iterator[None]:
    """Keep the clients busy, and `dave` reporting, for as long as the context lasts."""
    stop = threading.Event()

    def busy(client: str, port: int, own: random.Random) -> None:
        while not stop.wait(own.uniform(0.05, 0.8)):
            work(stage, client, port, own)

    def report() -> None:
        own, begun_s = random.Random(chance.random()), time.monotonic()
        while not stop.is_set() and time.monotonic() - begun_s < duration_s:
            with suppress(CommandError):
                beacon(stage, 5, own.choice([1.0, 3.0, 6.0]), own.choice(BEACON_PORTS), "dave", own.getrandbits(16))

    def busy_as(client: str, port: int) -> Callable[[], None]:
        own = random.Random(chance.random())
        return lambda: busy(client, port, own)

    actions = [report, *(busy_as(client, port) for client, port in _CLIENTS.items() for _ in range(2))]
    threads = [threading.Thread(target=action, daemon=True) for action in actions]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        stop.set()
    for one in threads:
        one.join(120)


def rows_of(labels: Sequence[Label], packets: Sequence[Packet]) -> list[Label]:
    """Return the rows of the label file: those that match a packet, and above them one for each straggler.

    A conversation belongs to the row in which it began, however long it goes on. To extend the row to its end, as for
    a capture of one attack, would take in what the same attacker does to the same host next.
    """
    if not packets:
        raise LabelError("The capture holds no IP packets")
    spans: dict[object, tuple[Packet, int]] = {}
    for packet in packets:
        first, _ = spans.get(packet.conversation, (packet, 0))
        spans[packet.conversation] = (first, packet.ts_ns)
    stragglers, heard = [], set[int]()
    for first, last_ns in spans.values():
        home = next((number for number, label in enumerate(labels) if label.matches(first)), None)
        if home is None:
            continue
        heard.add(home)
        if last_ns >= labels[home].end_ns and first.src_port:
            ends = (first.src_ip, first.dst_ip, first.src_port, first.dst_port, first.protocol)
            stragglers.append(Label(first.ts_ns, last_ns + 1, *ends, labels[home].class_name, labels[home].tool))
    everything = Label(
        packets[0].ts_ns, max(packet.ts_ns for packet in packets) + 1, *(None,) * 5, BENIGN, "background"
    )
    kept = [label for number, label in enumerate(labels) if number in heard]
    return [*stragglers, *sorted(kept, key=lambda label: label.start_ns), everything]
