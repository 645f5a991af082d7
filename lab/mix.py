"""The mixed capture: minutes of ordinary work, with attacks at known times inside."""

from __future__ import annotations

import gzip
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.attacks import beacon
from lab.benign import FAR, background
from lab.errors import CommandError
from lab.labels import BENIGN
from lab.mirror import recording
from lab.network import Network, network
from lab.programs import ALWAYS, PACKAGES, require_privileges, require_programs
from lab.record import SCENARIOS, Recording, settle_labels
from lab.scenarios import Stage
from lab.servers import (
    start_bulk,
    start_command_and_control,
    start_dns,
    start_ftp,
    start_heartbleed,
    start_infiltrator,
    start_ssh,
    start_web,
)

SNAP_BYTES = 192
DURATION_S = 300
_BEACON_INTERVAL_S = 10.0
_CLIENTS = {"alice": 5201, "bob": 5202, "carol": 5203}
"""Who works in the background, and the iperf3 server that is theirs."""

TIMELINE: tuple[tuple[int, str], ...] = (
    (40, "scan-syn"),
    (55, "brute-ssh"),
    (75, "sql-injection"),
    (90, "flood-syn"),
    (105, "slow-headers"),
    (125, "xss"),
    (135, "flood-hulk"),
    (150, "brute-web"),
    (165, "brute-ftp"),
    (185, "slow-body"),
    (205, "flood-goldeneye"),
    (220, "heartbleed"),
    (230, "flood-http"),
    (245, "infiltration"),
    (265, "scan-ipv6"),
)
"""When (s after the start) which attack begins; `carol` reports to `c2` all the time."""

Progress = Callable[[float, str], None]
"""Called with seconds since the start and what is going on."""


def mix(folder: Path, progress: Progress, duration_s: int = DURATION_S, name: str = "mixed") -> Recording:
    """Record the mixed capture into ``NAME.pcap.gz`` and ``NAME.labels.csv``.

    Parameters
    ----------
    duration_s
        A shorter one keeps only the attacks that begin 30 s before its end or earlier.

    Raises
    ------
    LabError
        As `lab.record.record`.
    """
    require_privileges()
    require_programs([*ALWAYS, *PACKAGES])
    folder.mkdir(parents=True, exist_ok=True)
    plain, packed = folder / f"{name}.pcap", folder / f"{name}.pcap.gz"
    with network({"bob": FAR}) as net:
        _start_servers(net)
        stage = Stage(net)
        with recording(net, plain, SNAP_BYTES), _working(stage, duration_s):
            attacks = _play(stage, progress, duration_s)
    classes = (BENIGN, "Bot", *(SCENARIOS[attack].classes[0] for attack in attacks))
    labels = folder / f"{name}.labels.csv"
    counts = settle_labels(plain, labels, stage, classes)
    # No name and no time inside, so that the same packets give the same bytes.
    packed.write_bytes(gzip.compress(plain.read_bytes(), 9, mtime=0))
    plain.unlink()
    return Recording(packed, labels, counts, net.emulator)


def ordinary(folder: Path, progress: Progress, duration_s: int, seed: int = 0, name: str = "ordinary") -> Recording:
    """Record the same ordinary work without any attack, into ``NAME.pcap.gz`` and ``NAME.labels.csv``.

    Parameters
    ----------
    seed
        Another one gives another sequence of what the clients do.

    Raises
    ------
    LabError
        As `lab.record.record`.
    """
    require_privileges()
    require_programs([*ALWAYS, *PACKAGES])
    folder.mkdir(parents=True, exist_ok=True)
    plain, packed = folder / f"{name}.pcap", folder / f"{name}.pcap.gz"
    with network({"bob": FAR}) as net:
        _start_servers(net)
        stage = Stage(net)
        with recording(net, plain, SNAP_BYTES), _working(stage, duration_s, f"-{seed}", is_infected=False):
            _play(stage, progress, duration_s, ())
    labels = folder / f"{name}.labels.csv"
    counts = settle_labels(plain, labels, stage, (BENIGN,))
    packed.write_bytes(gzip.compress(plain.read_bytes(), 9, mtime=0))
    plain.unlink()
    return Recording(packed, labels, counts, net.emulator)


def _start_servers(net: Network) -> None:
    for start in (start_web, start_dns, start_ssh, start_ftp, start_bulk):
        start(net)
    for start in (start_command_and_control, start_heartbleed, start_infiltrator):
        start(net)


def _play(
    stage: Stage, progress: Progress, duration_s: int, timeline: tuple[tuple[int, str], ...] = TIMELINE
) -> list[str]:
    """Run the attacks at their times, wait for the end, and return what was run."""
    begun_s, played = time.monotonic(), []
    for at_s, name in timeline:
        if at_s <= duration_s - 30:
            _wait_until(begun_s + at_s, begun_s, progress, "ordinary work")
            progress(time.monotonic() - begun_s, name)
            SCENARIOS[name].action(stage)
            played.append(name)
    _wait_until(begun_s + duration_s, begun_s, progress, "ordinary work")
    return played


def _wait_until(moment_s: float, begun_s: float, progress: Progress, doing: str) -> None:
    while (left_s := moment_s - time.monotonic()) > 0:
        progress(time.monotonic() - begun_s, doing)
        time.sleep(min(0.5, left_s))


@contextmanager
def _working(stage: Stage, duration_s: int, salt: str = "", *, is_infected: bool = True) -> Iterator[None]:
    """Keep the clients, and the infected host if there is one, busy for as long as the context lasts."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(client: str, port: int) -> None:
        chance = random.Random(client + salt)
        while not stop.wait(chance.uniform(0.3, 3.0)):
            background(stage, client, port, chance)

    def report() -> None:
        beacon(stage, int((duration_s - 12) / _BEACON_INTERVAL_S), _BEACON_INTERVAL_S)

    def guarded(action: Callable[[], None]) -> None:
        try:
            action()
        except (CommandError, OSError) as error:
            # Commands die when the network is taken down early; before that, it is a failure.
            if not stop.is_set():
                failures.append(error)

    actions = [lambda c=client, p=port: work(c, p) for client, port in _CLIENTS.items()]
    actions += [report] if is_infected else []
    threads = [threading.Thread(target=guarded, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    try:
        yield
    except BaseException:
        stop.set()
        raise
    stop.set()
    for thread in threads:
        thread.join(60)
    if failures:
        raise failures[0]
