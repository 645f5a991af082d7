"""Recording one scenario: network up, servers up, mirror on, action, labels fitted to the packets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lab.attacks import ATTACK_SCENARIOS
from lab.benign import BENIGN_SCENARIOS
from lab.errors import LabError
from lab.floods import FLOOD_SCENARIOS
from lab.labels import Label, label_of, settle, write_labels
from lab.mirror import recording
from lab.network import network
from lab.pcap import read_packets
from lab.programs import ALWAYS, require_privileges, require_programs
from lab.scenarios import Scenario, Stage

SCENARIOS = {scenario.name: scenario for scenario in (*BENIGN_SCENARIOS, *ATTACK_SCENARIOS, *FLOOD_SCENARIOS)}
"""Every scenario by name, benign ones first."""


@dataclass(frozen=True)
class Recording:
    """What a recording came to.

    Attributes
    ----------
    capture, labels
        The two files.
    packets
        IP packets of each class.
    emulator
        ``netem``, ``wire``, or empty when no link was impaired.
    """

    capture: Path
    labels: Path
    packets: Counter[str]
    emulator: str


def record(scenario: Scenario, folder: Path) -> Recording:
    """Record one scenario into ``NAME.pcap`` and ``NAME.labels.csv``.

    Raises
    ------
    LabError
        Privileges or programs are missing, a server did not start, packets were lost, or labels and packets
        disagree.
    """
    require_privileges()
    require_programs([*ALWAYS, *scenario.programs])
    folder.mkdir(parents=True, exist_ok=True)
    capture = folder / f"{scenario.name}.pcap"
    with network(scenario.impaired) as net:
        for start in scenario.servers:
            start(net)
        stage = Stage(net)
        with recording(net, capture):
            scenario.action(stage)
    labels = folder / f"{scenario.name}.labels.csv"
    return Recording(capture, labels, settle_labels(capture, labels, stage, scenario.classes), net.emulator)


def settle_labels(capture: Path, path: Path, stage: Stage, classes: tuple[str, ...]) -> Counter[str]:
    """Write the label file and return the packets of each class."""
    packets = read_packets(capture)
    labels = settle(stage.labels, packets)
    write_labels(path, labels)
    counts = count_classes(capture, labels)
    absent = [name for name in classes if not counts[name]]
    if absent:
        raise LabError(f"{capture} holds no packet of {', '.join(absent)}")
    return counts


def count_classes(capture: Path, labels: list[Label]) -> Counter[str]:
    """Return the number of IP packets of each class."""
    rows = (label_of(packet, labels) for packet in read_packets(capture))
    return Counter(row.class_name for row in rows if row is not None)
