"""From labelled flows to a model: choose how long to train, calibrate, then train on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agents.classifier.calibration import Calibration
from agents.classifier.dataset import LabelledFlows, earlier
from agents.classifier.network import DuelingNetwork
from agents.classifier.plan import TrainingPlan
from agents.classifier.scaler import Scaler
from agents.classifier.scores import macro_f1
from agents.classifier.training import Agent, Epoch, q_values_of, reward_table, strata, without

SELECTION_FRACTION = 0.8
"""Of the training flows, by time; the rest says when to stop and how sure to be."""

NEAR = 1.05
"""Times the least loss: as good. Of the epochs that are, the last is chosen: the schedule cools only at its end, and a
class of two flows makes the loss jump by more."""

Progress = Callable[[str, Epoch], None]
"""Is told the phase (``selection`` or ``training``) and each epoch."""


@dataclass(frozen=True)
class Fitted:
    """A trained model, before it is packed.

    Parameters
    ----------
    network : DuelingNetwork
        In evaluation mode, on the CPU.
    scaler : Scaler
    calibration : Calibration
    plan : TrainingPlan
    n_epochs : int
        Epochs it was trained for.
    history : dict of str to list of Epoch
        By phase.
    """

    network: DuelingNetwork
    scaler: Scaler
    calibration: Calibration
    plan: TrainingPlan
    n_epochs: int
    history: dict[str, list[Epoch]] = field(default_factory=dict)

    def q_values(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return Q-values (n_flows, 15) of raw features (n_flows, 78)."""
        return q_values_of(self.network, without(self.scaler.apply(features), self.plan.ignored))


@dataclass(frozen=True)
class Selection:
    """What the flows set aside have told.

    Parameters
    ----------
    n_epochs : int
        The last one of those whose loss is near the least.
    calibration : Calibration
    history : list of Epoch
    """

    n_epochs: int
    calibration: Calibration
    history: list[Epoch]


def fit(
    flows: LabelledFlows, plan: TrainingPlan, *, device: str = "cpu", progress: Progress = lambda _phase, _epoch: None
) -> Fitted:
    """Train a model on all of the flows.

    The newest fifth of each class is set aside first, to choose the number of epochs (early stopping) and to learn the
    calibration; then training begins anew with every flow, for as many epochs on the same schedule.
    """
    return fit_selected(flows, plan, select(flows, plan, device, progress), device, progress)


def select(flows: LabelledFlows, plan: TrainingPlan, device: str, progress: Progress) -> Selection:
    """Train on the older flows until those set aside are named no better; see ``fit``."""
    is_older = earlier(flows, SELECTION_FRACTION)
    older, newer = flows.of(is_older), flows.of(~is_older)
    scaler = Scaler.fit(older.features, _weights(older, plan))
    agent = Agent(scaler.apply(older.features), strata(older.labels, older.sources), plan, device, scaler)
    states = without(scaler.apply(newer.features), plan.ignored)
    history: list[Epoch] = []
    n_epochs, least, best_values = 0, np.inf, np.empty(0, np.float32)
    while agent.epochs_done < plan.epochs:
        done, values = agent.epoch(), q_values_of(agent.network, states)
        epoch = Epoch(done.number, done.loss, done.reward, *_judged(values, newer, plan))
        history.append(epoch)
        progress("selection", epoch)
        least = min(least, epoch.validation_loss)
        if not plan.patience or epoch.validation_loss <= least * NEAR:
            n_epochs, best_values = epoch.number, values
        elif epoch.number - n_epochs >= plan.patience:
            break
    return Selection(n_epochs, Calibration.fit(best_values, newer.labels, _weights(newer, plan)), history)


def _judged(values: npt.NDArray[np.float32], flows: LabelledFlows, plan: TrainingPlan) -> tuple[float, float]:
    """Return the Huber loss with every class of every source counting alike, and macro-F1."""
    errors = np.abs(values - reward_table(plan).numpy()[flows.labels])
    numbers = strata(flows.labels, flows.sources)
    beta = plan.huber_delta
    losses = np.where(errors < beta, errors**2 / (2 * beta), errors - beta / 2).mean(axis=1)
    by_stratum = [losses[numbers == number].mean() for number in np.unique(numbers)]
    return float(np.mean(by_stratum)), macro_f1(flows.labels, values.argmax(axis=1))


def _weights(flows: LabelledFlows, plan: TrainingPlan) -> npt.NDArray[np.float64]:
    """Return how much each flow counts for scaler and calibration: sources by their shares, flows of a source alike."""
    counts = np.bincount(flows.sources, minlength=2)
    weights: npt.NDArray[np.float64] = np.array([1 - plan.own_share, plan.own_share]) / np.maximum(1, counts)
    return weights[flows.sources]


def fit_selected(
    flows: LabelledFlows, plan: TrainingPlan, selection: Selection, device: str, progress: Progress
) -> Fitted:
    """Train on all of the flows for the selected number of epochs; see ``fit``."""
    scaler = Scaler.fit(flows.features, _weights(flows, plan))
    agent = Agent(scaler.apply(flows.features), strata(flows.labels, flows.sources), plan, device, scaler)
    history = []
    for _ in range(selection.n_epochs):
        history.append(agent.epoch())
        progress("training", history[-1])
    phases = {"selection": selection.history, "training": history}
    return Fitted(agent.network.cpu().eval(), scaler, selection.calibration, plan, selection.n_epochs, phases)
