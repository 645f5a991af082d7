"""Pictures of training and of verdicts, as PNG files."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from agents.classifier.calibration import N_BINS, Reliability
from agents.classifier.scores import Scores
from agents.classifier.training import Epoch
from schemas.classes import CLASS_NAMES

_DPI = 90


def draw_learning_curves(history: dict[str, list[Epoch]], path: Path) -> None:
    """Draw loss and reward by epoch, of the selection and of the training on everything."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for phase, epochs in history.items():
        numbers = [epoch.number for epoch in epochs]
        left.plot(numbers, [epoch.loss for epoch in epochs], label=f"{phase}: learned from")
        right.plot(numbers, [epoch.reward for epoch in epochs], label=f"{phase}: reward per flow, ε-greedy")
        if epochs and not np.isnan(epochs[0].validation_loss):
            left.plot(numbers, [epoch.validation_loss for epoch in epochs], label=f"{phase}: set aside, classes alike")
            right.plot(numbers, [epoch.validation_f1 for epoch in epochs], label=f"{phase}: macro-F1, set aside")
    left.set(xlabel="epoch", ylabel="Huber loss", yscale="log", title="Loss")
    right.set(xlabel="epoch", title="Reward and macro-F1")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    _save(figure, path)


def draw_confusion(scores: Scores, path: Path) -> None:
    """Draw flows by class and verdict; colours are shares of the class."""
    counts = scores.confusion
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure, axes = plt.subplots(figsize=(8.5, 7.5), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(CLASS_NAMES))
    axes.set_xticks(places, CLASS_NAMES, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(places, CLASS_NAMES, fontsize=8)
    axes.set(xlabel="verdict", ylabel="class")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=7, color=colour)
    _save(figure, path)


def draw_reliability(models: dict[str, Reliability], path: Path) -> None:
    """Draw how often verdicts are right by how sure they are, and how many there are of each."""
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(5.5, 6), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    top.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as sure as right")
    for name, bins in models.items():
        held = bins.flows > 0
        label = f"{name} (ECE {bins.expected_error:.4f})"
        top.plot(bins.confidence[held], bins.accuracy[held], marker="o", markersize=4, label=label)
        bottom.step((np.arange(N_BINS) + 0.5) / N_BINS, np.maximum(bins.flows, 0.5), where="mid")
    top.set(ylabel="share of right verdicts", xlim=(0, 1), ylim=(0, 1.02))
    top.legend(fontsize=8)
    bottom.set(xlabel="confidence", ylabel="flows", yscale="log")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of the drawing program in it, the same figures make the same file.
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
    plt.close(figure)
