"""Deep Q-learning of verdicts: the agent names flows, is told what each name would have earned, and learns from it.

A verdict does not change the next flow, so the discount γ is 0 and the problem is a contextual bandit; see decision
0021 for what that leaves of a DQN.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from agents.classifier.cuts import cuts_of
from agents.classifier.dataset import OWN, PUBLISHED
from agents.classifier.disturbance import Disturbance
from agents.classifier.network import DuelingNetwork
from agents.classifier.plan import TrainingPlan
from agents.classifier.replay import Lessons, ReplayBuffer
from agents.classifier.scaler import Scaler
from schemas.classes import BENIGN, N_CLASSES
from schemas.flows import FEATURE_NAMES


@dataclass(frozen=True)
class Epoch:
    """What one pass brought.

    Parameters
    ----------
    number : int
        From 1.
    loss : float
        Mean Huber loss of what was learned from.
    reward : float
        Mean reward of the verdicts given, random ones included.
    validation_loss, validation_f1 : float
        Loss with every class counting alike, and macro-F1, on rows set aside; NaN without.
    """

    number: int
    loss: float
    reward: float
    validation_loss: float = float("nan")
    validation_f1: float = float("nan")


def reward_table(plan: TrainingPlan) -> torch.Tensor:
    """Return the reward (15, 15) of a verdict (column) for flows of a class (row)."""
    rewards: torch.Tensor = torch.full((N_CLASSES, N_CLASSES), -1.0)
    rewards[BENIGN] = plan.false_alarm_reward
    rewards.fill_diagonal_(1.0)
    return rewards


def class_shares(
    labels: npt.NDArray[np.int64], plan: TrainingPlan, benign_weight: float | None = None
) -> npt.NDArray[np.float64]:
    """Return the share (15,) of each class in what is learned from; benign flows weigh as the plan says unless told."""
    counts = np.bincount(labels, minlength=N_CLASSES)
    weights = np.minimum((counts.max() / np.maximum(counts, 1)) ** plan.class_power, plan.most_weight)
    weights[BENIGN] *= plan.benign_weight if benign_weight is None else benign_weight
    shares: npt.NDArray[np.float64] = counts * weights / (counts * weights).sum()
    return shares


def stratum_shares(numbers: npt.NDArray[np.int64], plan: TrainingPlan) -> npt.NDArray[np.float64]:
    """Return the share (30,) of each class of each source in what is learned from; see ``strata``."""
    labels, sources = numbers % N_CLASSES, numbers // N_CLASSES
    parts = [(PUBLISHED, 1 - plan.own_share, plan.benign_weight), (OWN, plan.own_share, plan.own_benign_weight)]
    shares = np.zeros((len(parts), N_CLASSES))
    for source, weight, benign_weight in parts:
        if (sources == source).any():
            shares[source] = weight * class_shares(labels[sources == source], plan, benign_weight)
    normal: npt.NDArray[np.float64] = (shares / shares.sum()).ravel()
    return normal


def strata(labels: npt.NDArray[np.int64], sources: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number (n_flows,) of class and source: classes of the published files first, then our own."""
    return sources * N_CLASSES + labels


def bellman_targets(
    rewards: torch.Tensor, next_states: torch.Tensor | None, gamma: float, online: nn.Module, target: nn.Module
) -> torch.Tensor:
    """Return what Q-values (n, 15) should have been, by double Q-learning (van Hasselt et al., AAAI 2016).

    reward + γ · Q_target(s', argmax Q_online(s', ·)): the online network chooses the next verdict, the target network
    values it. With γ = 0 that is the reward, and nothing of the next state is computed.

    Parameters
    ----------
    rewards : tensor (n, 15)
        Of every verdict.
    next_states : tensor (n, 78) or None
        None only with γ = 0.
    """
    if gamma == 0 or next_states is None:
        return rewards
    with torch.no_grad():
        best = online(next_states).argmax(dim=1, keepdim=True)
        later: torch.Tensor = target(next_states).gather(1, best)
        return rewards + gamma * later


class Agent:
    """A network in training.

    Parameters
    ----------
    states : array (n_flows, 78) of float32
        Scaled features.
    numbers : array (n_flows,) of int64
        Class and source of each; see ``strata``. Plain classes are those of published files.
    plan : TrainingPlan
    device : str
        Of PyTorch.
    scaler : Scaler, optional
        Of the states; without it no lengths are changed, see ``disturbance``.
    """

    def __init__(
        self,
        states: npt.NDArray[np.float32],
        numbers: npt.NDArray[np.int64],
        plan: TrainingPlan,
        device: str = "cpu",
        scaler: Scaler | None = None,
    ) -> None:
        torch.manual_seed(plan.seed)
        labels = numbers % N_CLASSES
        self._plan, self._strata, self._device = plan, numbers, device
        self._rng = np.random.default_rng(plan.seed)
        self._states = torch.from_numpy(without(states, plan.ignored)).to(device)
        self._rewards = reward_table(plan).to(device)[torch.from_numpy(labels)]
        cuts = cuts_of(without(states, plan.ignored), numbers, plan.cuts, np.random.default_rng(plan.seed))
        self._online = DuelingNetwork(replace(plan.architecture, n_cuts=len(cuts.bias))).to(device)
        self._online.put(cuts)
        self.network: DuelingNetwork = copy.deepcopy(self._online).eval()
        """The target network: with γ = 0 its use is that it averages, over steps, what the online network is."""
        learned = [one for one in self._online.parameters() if one.requires_grad]
        self._optimizer = torch.optim.AdamW(learned, plan.learning_rate, weight_decay=plan.weight_decay)
        self._steps_per_epoch = max(1, len(labels) // plan.batch)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, plan.learning_rate, total_steps=plan.epochs * self._steps_per_epoch
        )
        self._disturbance = Disturbance(self._states, plan, scaler)
        shares = stratum_shares(numbers, plan)
        self._buffer = ReplayBuffer(shares, int(np.bincount(self._strata).max()))
        self.epochs_done = 0
        self._steps_done = 0

    def epoch(self) -> Epoch:
        """Meet every flow once, in an order by chance, and learn as often from what is remembered."""
        rows = self._rng.permutation(len(self._strata))
        reward, losses = 0.0, []
        n_rounds = -(-self._steps_per_epoch // 16)
        for block in np.array_split(rows, n_rounds):
            reward += self._meet(block)
            for _ in range(self._steps_per_epoch // n_rounds or 1):
                losses.append(self._learn(self._buffer.sample(self._plan.batch, self._rng)))
        self.epochs_done += 1
        return Epoch(self.epochs_done, float(torch.stack(losses).mean()), reward / len(rows))

    def _meet(self, rows: npt.NDArray[np.int64]) -> float:
        """Give verdicts, some of them at random (ε-greedy), and remember them; return the sum of their rewards."""
        with torch.no_grad():
            self._online.eval()
            actions = self._online(self._states[rows]).argmax(dim=1).cpu().numpy()
            self._online.train()
        done = self.epochs_done / self._plan.epochs
        epsilon = max(self._plan.last_epsilon, 1 - 2 * done)
        is_random = self._rng.random(len(rows)) < epsilon
        actions[is_random] = self._rng.integers(0, N_CLASSES, int(is_random.sum()))
        self._buffer.push(self._strata[rows], rows, actions, np.roll(rows, -1))
        return float(self._rewards[rows, actions].sum())

    def _learn(self, lessons: Lessons) -> torch.Tensor:
        plan = self._plan
        is_own = self._strata[lessons.rows] >= OWN * N_CLASSES
        states = self._disturbance.of(lessons.rows, is_own)
        q_values = self._online.each(*self._disturbance.with_other_windows(states, is_own))
        next_states = self._states[lessons.next_rows] if plan.gamma else None
        targets = bellman_targets(self._rewards[lessons.rows], next_states, plan.gamma, self._online, self.network)
        if not plan.learns_all_actions:
            rows, actions = np.arange(len(lessons.actions)), lessons.actions
            q_values, targets = q_values[:, rows, actions], targets[rows, actions]
        loss = nn.functional.smooth_l1_loss(q_values, targets.expand_as(q_values), beta=plan.huber_delta)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        if self._schedule.last_epoch < self._schedule.total_steps:
            self._schedule.step()
        self._follow()
        return loss.detach()

    def _follow(self) -> None:
        # At first it is the plain mean of all steps: what it began as counts for nothing.
        self._steps_done += 1
        share = max(self._plan.target_rate, 1 / self._steps_done)
        with torch.no_grad():
            pairs = zip(self.network.parameters(), self._online.parameters(), strict=True)
            for slow, fast in pairs:
                slow.lerp_(fast, share)


def without(states: npt.NDArray[np.float32], ignored: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Return states (n_flows, 78) with some features at their mean, which is 0."""
    if ignored:
        states = states.copy()
        states[:, [FEATURE_NAMES.index(name) for name in ignored]] = 0
    return states


def q_values_of(network: nn.Module, states: npt.NDArray[np.float32], batch: int = 16_384) -> npt.NDArray[np.float32]:
    """Return Q-values (n_flows, 15) of scaled features (n_flows, 78), computed where the network is."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(part.to(device)).cpu() for part in torch.split(torch.from_numpy(states), batch)]
    values: npt.NDArray[np.float32] = torch.cat(parts).numpy()
    return values
