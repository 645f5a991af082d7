"""Everything that one run of the benchmark found."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measured import Summary
from benchmarks.stages import STAGES

SPANWATCH = "spanwatch end to end"


@dataclass
class Results:
    """Figures of one run; written as results.json.

    Attributes
    ----------
    machine, versions : dict of str to str
        What it ran on.
    start_s : float
        From the start of a new stack to its first answer.
    idle_cores : float
        What the stack uses at rest, while the others are measured.
    tools : list of Summary
        spanwatch and its peers on the same capture.
    growth : list of Summary
        spanwatch on captures of growing size, smallest first.
    stages : dict of str to dict of str to float
        Processor time, ns per packet, by partitions and stage.
    latency_s : dict of str to list of float
        Seconds of each compute over the API, of a capture of ``latency_packets``.
    capture_bytes : int
        Size of the file that the tools are compared on.
    skipped : list of str
        Peers that are not there, and why.
    """

    machine: dict[str, str]
    versions: dict[str, str]
    start_s: float = 0.0
    idle_cores: float = 0.0
    capture_bytes: int = 0
    latency_packets: int = 0
    tools: list[Summary] = field(default_factory=list)
    growth: list[Summary] = field(default_factory=list)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    latency_s: dict[str, list[float]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def ratio(self, tool: str) -> float:
        """How many times the packets/s of a peer spanwatch handles."""
        rates = {summary.tool: summary.packets_per_s for summary in self.tools}
        return rates[SPANWATCH] / rates[tool]

    def add_stages(self, partitions: int, passes: list[dict[str, float]]) -> None:
        """Keep the medians of several passes."""
        names = (*STAGES, "tcp")
        self.stages[str(partitions)] = {name: statistics.median(one.get(name, 0.0) for one in passes) for name in names}

    def write(self, path: Path) -> None:
        """Write results.json."""
        ratios = {tool.tool: self.ratio(tool.tool) for tool in self.tools if tool.tool != SPANWATCH}
        path.write_text(json.dumps({**asdict(self), "ratios": ratios}, indent=2) + "\n")
