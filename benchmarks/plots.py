"""Results as pictures."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.results import SPANWATCH, Results
from benchmarks.stages import STAGES

mpl.use("Agg")
OURS, OTHERS = "#1f6f8b", "#b8b8b8"
STAGE_COLOURS = (
    *("#b7d3df", "#86b5c9", "#5d98b1", "#3d7d99", "#1f6f8b", "#134b5f", "#e3b04b", "#6a8f4e", "#a7c58b"),
    *("#c8553d", "#d3715c", "#dc8a78", "#e9b3a7"),
)
DPI = 150


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw every picture that there are figures for; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 10}):
        drawn = []
        if results.tools:
            drawn.append(_throughput(results, folder / "throughput.png"))
        if results.growth:
            drawn.append(_growth(results, folder / "growth.png"))
        if results.stages:
            drawn.append(_stages(results, folder / "stages.png"))
    return drawn


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=DPI, bbox_inches="tight")
    plt.close(figure)
    return path


def _throughput(results: Results, path: Path) -> Path:
    figure, axes = plt.subplots(figsize=(7.5, 0.6 + 0.55 * len(results.tools)))
    tools = results.tools[::-1]
    bars = axes.barh(
        [tool.tool for tool in tools],
        [tool.packets_per_s / 1e6 for tool in tools],
        xerr=[
            [(tool.packets_per_s - tool.slowest_packets_per_s) / 1e6 for tool in tools],
            [(tool.fastest_packets_per_s - tool.packets_per_s) / 1e6 for tool in tools],
        ],
        color=[OURS if tool.tool == SPANWATCH else OTHERS for tool in tools],
    )
    axes.bar_label(bars, [f"{tool.packets_per_s / 1e6:.2f}" for tool in tools], padding=6)
    axes.set_xlabel(f"million packets/s, {results.machine['cores']} cores; longer is better")
    axes.margins(x=0.12)
    return _save(figure, path)


def _growth(results: Results, path: Path) -> Path:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    packets = [one.packets for one in results.growth]
    left.loglog(packets, [one.seconds for one in results.growth], "o-", color=OURS, label="measured")
    last = results.growth[-1]
    left.loglog(packets, [n * last.seconds / last.packets for n in packets], ":", color="grey", label="linear")
    left.set(xlabel="packets", ylabel="seconds", title="time")
    left.legend(frameon=False)
    for label in results.growth[0].peak_mib:
        right.semilogx(packets, [one.peak_mib.get(label, 0) for one in results.growth], "o-", label=label)
    right.set(xlabel="packets", ylabel="MiB", title="largest resident size", ylim=(0, None))
    right.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return _save(figure, path)


def _stages(results: Results, path: Path) -> Path:
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.55 * len(results.stages)))
    for row, costs in enumerate(results.stages.values()):
        left = 0.0
        for stage, colour in zip(STAGES, STAGE_COLOURS, strict=True):
            axes.barh(row, costs.get(stage, 0.0), left=left, color=colour, label=stage if row == 0 else None)
            left += costs.get(stage, 0.0)
        axes.text(left, row, f"  {left:.0f} ns", va="center")
    axes.set_yticks(
        range(len(results.stages)), [f"{count} partition{'s' if count != '1' else ''}" for count in results.stages]
    )
    axes.invert_yaxis()
    axes.set_xlabel("processor time per packet, ns")
    axes.margins(x=0.12)
    axes.legend(ncols=5, frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    return _save(figure, path)
