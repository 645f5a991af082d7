from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from agents.classifier.network import Architecture, DuelingNetwork
from agents.classifier.plan import TrainingPlan
from agents.classifier.scaler import Scaler
from agents.classifier.training import (
    Agent,
    bellman_targets,
    class_shares,
    q_values_of,
    reward_table,
    strata,
    stratum_shares,
    without,
)
from schemas.classes import BENIGN, N_CLASSES
from schemas.flows import FEATURE_NAMES
from tests.agents.classifier.labelled import features_of

SMALL = TrainingPlan(epochs=8, batch=32, benign_weight=1, architecture=Architecture(width=32))
LABELS = np.random.default_rng(3).integers(0, N_CLASSES, 600)


def states_of(labels: npt.NDArray[np.int64], seed: int = 0) -> npt.NDArray[np.float32]:
    return Scaler.fit(features_of(LABELS)).apply(features_of(labels, seed))


def test_rewards_are_one_for_the_right_verdict_and_least_for_a_false_alarm() -> None:
    rewards = reward_table(SMALL).numpy()
    assert np.diag(rewards).tolist() == [1.0] * N_CLASSES
    assert (rewards[BENIGN, 1:] == SMALL.false_alarm_reward).all()
    assert (rewards[1:][~np.eye(N_CLASSES, dtype=bool)[1:]] == -1).all()


def test_rare_classes_are_drawn_more_often_than_they_occur_but_never_most() -> None:
    labels = np.array([6] * 1_000 + [9] * 100 + [3] * 2)
    shares = class_shares(labels, SMALL)
    assert shares.sum() == pytest.approx(1)
    assert shares[6] > shares[9] > shares[3] > 10 * 2 / len(labels) / 2
    assert shares[BENIGN] == 0


def networks() -> tuple[DuelingNetwork, DuelingNetwork]:
    torch.manual_seed(0)
    return DuelingNetwork(Architecture(16)).eval(), DuelingNetwork(Architecture(16)).eval()


def test_without_a_discount_the_target_is_the_reward_and_the_next_flow_is_not_looked_at() -> None:
    online, target = networks()
    rewards = torch.randn(5, N_CLASSES)
    broken = torch.full((5, 78), torch.nan)
    assert torch.equal(bellman_targets(rewards, broken, 0.0, online, target), rewards)


def test_with_a_discount_the_online_network_chooses_and_the_target_network_values() -> None:
    online, target = networks()
    rewards, following = torch.randn(5, N_CLASSES), torch.randn(5, 78)
    found = bellman_targets(rewards, following, 0.9, online, target)
    with torch.no_grad():
        chosen = online(following).argmax(dim=1)
        expected = [rewards[row] + 0.9 * target(following)[row, chosen[row]] for row in range(5)]
    assert torch.allclose(found, torch.stack(expected))


def test_the_advantages_of_a_dueling_network_have_no_mean() -> None:
    online, _ = networks()
    states = torch.randn(7, 78)
    with torch.no_grad():
        values = online.value(online.body(states))[:, 0]
        assert torch.allclose(online(states).mean(dim=1), values, atol=1e-5)


def trained(plan: TrainingPlan) -> Agent:
    torch.set_num_threads(1)
    agent = Agent(states_of(LABELS), LABELS, plan)
    for _ in range(plan.epochs):
        agent.epoch()
    return agent


def test_an_agent_learns_classes_that_can_be_told_apart() -> None:
    unseen = np.random.default_rng(4).integers(0, N_CLASSES, 300)
    verdicts = q_values_of(trained(replace(SMALL, epochs=20)).network, states_of(unseen, seed=9)).argmax(axis=1)
    assert (verdicts == unseen).mean() > 0.95


def test_the_same_seed_gives_the_same_network_and_another_does_not() -> None:
    plan = replace(SMALL, epochs=1)
    states = states_of(LABELS)
    first, second, other = (q_values_of(trained(one).network, states) for one in (plan, plan, replace(plan, seed=1)))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_reward_of_verdicts_rises_as_fewer_of_them_are_random() -> None:
    agent = Agent(states_of(LABELS), LABELS, SMALL)
    rewards = [agent.epoch().reward for _ in range(SMALL.epochs)]
    assert rewards[0] < -0.8
    assert rewards[-1] > 0.5


@pytest.mark.parametrize("change", [{"gamma": 0.5}, {"learns_all_actions": False}, {"ignored": ("Destination Port",)}])
def test_every_kind_of_plan_trains(change: dict[str, object]) -> None:
    agent = trained(replace(SMALL, epochs=1, **change))  # type: ignore[arg-type]
    assert np.isfinite(q_values_of(agent.network, states_of(LABELS))).all()


def test_an_ignored_feature_is_at_its_mean() -> None:
    states = states_of(LABELS)
    found = without(states, ("Destination Port", "Idle Min"))
    columns = [FEATURE_NAMES.index(name) for name in ("Destination Port", "Idle Min")]
    assert (found[:, columns] == 0).all()
    assert np.array_equal(np.delete(found, columns, axis=1), np.delete(states, columns, axis=1))
    assert states[:, columns].any()


def test_a_source_has_its_share_of_what_is_learned_from_however_many_flows_it_has() -> None:
    labels, sources = np.array([0] * 900 + [6] * 90 + [0] * 30 + [9] * 5), np.array([0] * 990 + [1] * 35)
    shares = stratum_shares(strata(labels, sources), TrainingPlan(own_share=0.4))
    assert shares.sum() == pytest.approx(1)
    assert shares[N_CLASSES:].sum() == pytest.approx(0.4)
    assert (shares > 0).sum() == 4
    alone = stratum_shares(strata(labels, sources)[:990], TrainingPlan(own_share=0.4))
    assert alone[:N_CLASSES].sum() == pytest.approx(1)


def test_each_trunk_learns_what_the_rewards_are_and_cuts_stay() -> None:
    agent = Agent(states_of(LABELS), LABELS, replace(SMALL, cuts=4))
    before = agent.network.cuts.weight.clone()  # type: ignore[union-attr]
    for _ in range(SMALL.epochs):
        agent.epoch()
    with torch.no_grad():
        each = agent.network.each(torch.from_numpy(states_of(LABELS)))
    assert each.shape == (2, len(LABELS), N_CLASSES)
    assert ((each.argmax(dim=2).numpy() == LABELS).mean(axis=1) > 0.8).all()
    assert torch.equal(agent.network.cuts.weight, before)  # type: ignore[union-attr]
