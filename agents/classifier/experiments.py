"""The experiments behind the report: the network against trees, over seeds, splits, and without its crutches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.classifier.by_tool import ToolScore, scores_by_tool
from agents.classifier.calibration import Reliability
from agents.classifier.dataset import OWN, LabelledFlows, earlier
from agents.classifier.fitting import Fitted, Progress, Selection, fit_selected, select
from agents.classifier.plan import TrainingPlan
from agents.classifier.scores import Scores, scores
from agents.classifier.training import Epoch
from agents.classifier.trees import TREES, tree_probabilities
from schemas.flows import FEATURE_NAMES

NETWORK = "DQN"
PORT = "Destination Port"


@dataclass(frozen=True)
class Split:
    """Scores of all models on the later flows, after training on the earlier ones.

    Parameters
    ----------
    fraction : float
        Share of each class, by time, that was trained on.
    scores : dict of str to Scores
        By model.
    """

    fraction: float
    scores: dict[str, Scores]


@dataclass
class Findings:
    """Everything the report shows.

    Parameters
    ----------
    data_sha256 : str
    n_epochs : int
        As selected on the main split.
    temperature : float
    main : Split
    others : list of Split
    seeds : list of Scores
        Of networks that differ by their seed only, on the main split.
    ablations : dict of str to Scores
        On the main split.
    history : dict of str to list of Epoch
    n_own : int
        Flows of our own flow meter that were trained on.
    tools : dict of str to list of ToolScore
        Of captures that no model saw, by model.
    """

    data_sha256: str
    n_epochs: int
    temperature: float
    main: Split
    others: list[Split] = field(default_factory=list)
    seeds: list[Scores] = field(default_factory=list)
    ablations: dict[str, Scores] = field(default_factory=dict)
    history: dict[str, list[Epoch]] = field(default_factory=dict)
    n_own: int = 0
    tools: dict[str, list[ToolScore]] = field(default_factory=dict)


@dataclass(frozen=True)
class Questions:
    """What is to be found out.

    Parameters
    ----------
    fraction : float
        The main split.
    other_fractions : tuple of float
    n_seeds : int
    ablates : bool
    unseen : LabelledFlows or None
        Of captures that no model is trained on.
    """

    fraction: float = 0.7
    other_fractions: tuple[float, ...] = (0.4,)
    n_seeds: int = 2
    ablates: bool = True
    unseen: LabelledFlows | None = None


def investigate(
    flows: LabelledFlows,
    plan: TrainingPlan,
    questions: Questions,
    progress: Progress,
    say: Callable[[str], None],
    keep: Callable[[Findings], None],
) -> Findings:
    """Carry out all experiments; the number of epochs and the temperature are those of the main split's selection.

    Parameters
    ----------
    flows : LabelledFlows
        Published ones are split by time; what is later is never trained on. All of our own are trained on.
    plan : TrainingPlan
    questions : Questions
    progress : callable
        Is told each epoch.
    say : callable
        Is told each experiment.
    keep : callable
        Is given what has been found so far, after each experiment.
    """
    known, unseen = _parts(flows, questions.fraction)
    say("selection")
    selection = select(known, plan, "cpu", progress)
    fitted = fit_selected(known, plan, selection, "cpu", progress)
    main = Split(questions.fraction, {NETWORK: _scores(fitted, unseen), **_trees(known, unseen, say)})
    found = Findings(flows.digest, selection.n_epochs, selection.calibration.temperature, main, history=fitted.history)
    found.seeds = [main.scores[NETWORK]]
    found.n_own = int((flows.sources == OWN).sum())
    keep(found)
    if questions.unseen is not None:
        found.tools = _own_experiments(known, questions.unseen, plan, selection, progress, say)
        keep(found)
    for seed in range(1, questions.n_seeds):
        say(f"seed {seed}")
        again = fit_selected(known, replace(plan, seed=seed), selection, "cpu", progress)
        found.seeds.append(_scores(again, unseen))
        keep(found)
    if questions.ablates:
        found.ablations = _ablations(known, unseen, fitted, selection, progress, say)
    for fraction in questions.other_fractions:
        say(f"split at {fraction:.0%}")
        found.others.append(_other_split(flows, plan, fraction, selection, progress, say))
        keep(found)
    return found


def _parts(flows: LabelledFlows, fraction: float) -> tuple[LabelledFlows, LabelledFlows]:
    is_known = earlier(flows, fraction) | (flows.sources == OWN)
    return flows.of(is_known), flows.of(~is_known)


def _scores(fitted: Fitted, unseen: LabelledFlows) -> Scores:
    return scores(unseen.labels, fitted.calibration.apply(fitted.q_values(unseen.features)))


def _trees(known: LabelledFlows, unseen: LabelledFlows, say: Callable[[str], None]) -> dict[str, Scores]:
    """Fit trees on the published flows alone: what they are judged on is nothing else."""
    found, published = {}, known.of(known.sources != OWN)
    for name in TREES:
        say(name)
        found[name] = scores(unseen.labels, tree_probabilities(name, published, unseen.features))
    return found


def _own_experiments(
    known: LabelledFlows,
    unseen: LabelledFlows,
    plan: TrainingPlan,
    selection: Selection,
    progress: Progress,
    say: Callable[[str], None],
) -> dict[str, list[ToolScore]]:
    """Ask what a network makes of our own flows that has seen the published ones only, and what trees make of them."""
    say("published flows only")
    published = fit_selected(known.of(known.sources != OWN), plan, selection, "cpu", progress)
    tree = "gradient boosting"
    say(f"{tree}, on all")
    verdicts = {
        "published flows only": published.q_values(unseen.features).argmax(axis=1),
        tree: tree_probabilities(tree, known, unseen.features).argmax(axis=1),
    }
    return {name: scores_by_tool(unseen, given) for name, given in verdicts.items()}


def _other_split(
    flows: LabelledFlows,
    plan: TrainingPlan,
    fraction: float,
    selection: Selection,
    progress: Progress,
    say: Callable[[str], None],
) -> Split:
    known, unseen = _parts(flows, fraction)
    fitted = fit_selected(known, plan, selection, "cpu", progress)
    return Split(fraction, {NETWORK: _scores(fitted, unseen), **_trees(known, unseen, say)})


def _ablations(
    known: LabelledFlows,
    unseen: LabelledFlows,
    fitted: Fitted,
    selection: Selection,
    progress: Progress,
    say: Callable[[str], None],
) -> dict[str, Scores]:
    """Ask what the network owes to the destination port, and to being told what every verdict would have earned."""
    found = {"ports shuffled among the unseen flows": _scores(fitted, with_shuffled_ports(unseen))}
    variants = {
        "trained without the port": replace(fitted.plan, ignored=(PORT,)),
        "told only what the verdict given has earned": replace(fitted.plan, learns_all_actions=False),
    }
    for name, plan in variants.items():
        say(name)
        found[name] = _scores(fit_selected(known, plan, selection, "cpu", progress), unseen)
    return found


def with_shuffled_ports(flows: LabelledFlows) -> LabelledFlows:
    """Return flows with their destination ports dealt out anew: whoever goes by the port is lost."""
    features = flows.features.copy()
    ports = features[:, FEATURE_NAMES.index(PORT)]
    features[:, FEATURE_NAMES.index(PORT)] = np.random.default_rng(0).permutation(ports)
    return replace(flows, features=features)


def save_findings(found: Findings, path: Path) -> None:
    """Write findings as JSON, to draw and compare them later."""
    plain = {
        "data_sha256": found.data_sha256,
        "n_epochs": found.n_epochs,
        "temperature": found.temperature,
        "splits": [
            {"fraction": split.fraction, "scores": {name: _plain(one) for name, one in split.scores.items()}}
            for split in [found.main, *found.others]
        ],
        "n_own": found.n_own,
        "tools": {name: [asdict(row) for row in rows] for name, rows in found.tools.items()},
        "seeds": [_plain(one) for one in found.seeds],
        "ablations": {name: _plain(one) for name, one in found.ablations.items()},
        "history": {phase: [list(vars(epoch).values()) for epoch in epochs] for phase, epochs in found.history.items()},
    }
    path.write_text(json.dumps(plain, indent=None, separators=(",", ":")).replace("],[", "],\n[") + "\n")


def load_findings(path: Path) -> Findings:
    """Read what ``save_findings`` wrote."""
    plain = json.loads(path.read_text())
    splits = [
        Split(one["fraction"], {name: _scores_of(score) for name, score in one["scores"].items()})
        for one in plain["splits"]
    ]
    return Findings(
        plain["data_sha256"],
        plain["n_epochs"],
        plain["temperature"],
        splits[0],
        splits[1:],
        [_scores_of(one) for one in plain["seeds"]],
        {name: _scores_of(one) for name, one in plain["ablations"].items()},
        {phase: [Epoch(*values) for values in epochs] for phase, epochs in plain["history"].items()},
        plain.get("n_own", 0),
        {name: [ToolScore(**row) for row in rows] for name, rows in plain.get("tools", {}).items()},
    )


def _plain(one: Scores) -> dict[str, Any]:
    bins = one.reliability
    plain: dict[str, Any] = {"confusion": one.confusion.tolist()}
    if bins is not None:
        plain |= {name: getattr(bins, name).tolist() for name in ("flows", "confidence", "accuracy")}
    return plain


def _scores_of(plain: dict[str, Any]) -> Scores:
    bins = None
    if "flows" in plain:
        bins = Reliability(np.array(plain["flows"]), np.array(plain["confidence"]), np.array(plain["accuracy"]))
    return Scores(np.array(plain["confusion"], np.int64), bins)
