"""How an agent is trained."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.classifier.network import Architecture


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides how an agent is trained; the same plan and rows give the same network on one machine.

    Parameters
    ----------
    epochs : int
        At most so many times as many flows as there are.
    patience : int
        Epochs without a validation loss near the least one after which selection stops; 0: it
        does not, and all epochs are taken.
    batch : int
        Transitions learned from at once.
    learning_rate, weight_decay : float
        Peak of the one-cycle schedule, and decay of AdamW.
    noise : float
        Standard deviation of what is added to scaled features, so that values alike to the digit are not learned by
        heart.
    own_noise : float
        ``noise`` for times and rates of our own flows; their lengths and counts are exact, since requests differ in a
        few bytes.
    port_mixing : float
        Share of the transitions whose destination port is swapped for another flow's, since a service can listen
        elsewhere.
    window_mixing : tuple of float
        Share of our own transitions whose initial TCP windows are swapped for another flow's, before the first and
        before the second trunk sees them: they tell a system, and another attacker or victim need not have it.
    length_mixing, length_spread : float
        Share of our own transitions whose lengths are made others, and the standard deviation of the factors'
        logarithms; see ``lengths``.
    cuts : int
        Ramps over each of some features, at most; see ``cuts``. 0: the network sees features as they are.
    class_power, most_weight, benign_weight : float
        A class is drawn (most frequent / its flows)^power times as often as it occurs, at most so many times; benign
        flows so many times more.
    own_share : float
        Of what is learned from, the share of our own flow meter's flows, where there are others beside them.
    own_benign_weight : float
        ``benign_weight`` among our own flows.
    false_alarm_reward : float
        For calling a benign flow an attack; any other wrong verdict earns -1, the right one 1.
    huber_delta : float
        Error of a Q-value from which the loss grows linearly.
    gamma : float
        Discount; 0 because verdicts do not change what comes.
    target_rate : float
        Share by which the target network follows at each step.
    last_epsilon : float
        Share of random verdicts in the second half; it falls from 1 in the first.
    learns_all_actions : bool
        Whether the label tells what every verdict would have earned; if not, only the verdict given is learned from.
    ignored : tuple of str
        Features that are held at their mean, to learn what a model owes to them.
    """

    epochs: int = 36
    patience: int = 8
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    noise: float = 0.08
    own_noise: float = 0.02
    port_mixing: float = 0.3
    window_mixing: tuple[float, float] = (0.3, 0.5)
    length_mixing: float = 0.1
    length_spread: float = 0.3
    cuts: int = 32
    class_power: float = 0.65
    most_weight: float = 200.0
    benign_weight: float = 14.0
    own_share: float = 0.45
    own_benign_weight: float = 8.0
    false_alarm_reward: float = -1.5
    huber_delta: float = 0.3
    gamma: float = 0.0
    target_rate: float = 0.01
    last_epsilon: float = 0.02
    learns_all_actions: bool = True
    ignored: tuple[str, ...] = ()
    seed: int = 0
    architecture: Architecture = field(default_factory=Architecture)
