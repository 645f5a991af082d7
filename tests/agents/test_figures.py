from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.figures import Doubt, Figure
from agents.summary import Usual
from schemas.thresholds import Thresholds
from tests.agents.observations import HOUR, START_NS, WINDOW_NS

THRESHOLDS = Thresholds()
DAY = 24 * HOUR


def values(count: int, seed: int = 1, mean: float = 1000.0, std: float = 100.0) -> list[float]:
    return np.abs(np.random.default_rng(seed).normal(mean, std, count)).tolist()


def learnt(numbers: list[float], figure: Figure | None = None, first: int = 0) -> Figure:
    figure = figure or Figure()
    for number, value in enumerate(numbers, first):
        figure.learn(value, START_NS + (number + 1) * WINDOW_NS, THRESHOLDS)
    return figure


def known(figure: Figure, at_ns: int | None = None) -> Usual:
    usual = figure.usual(THRESHOLDS, at_ns)
    assert usual is not None
    return usual


def edge(figure: Figure) -> float:
    usual = known(figure)
    return usual.mean + THRESHOLDS.traffic_spike_medium * usual.std


def attack(figure: Figure, numbers: list[float], first: int) -> None:
    """Learn as the judge does: what is above the band is anomalous."""
    for number, value in enumerate(numbers, first):
        doubt = Doubt.RELATIVE if value > edge(figure) else Doubt.NONE
        figure.learn(value, START_NS + (number + 1) * WINDOW_NS, THRESHOLDS, doubt)


def test_the_figures_are_numpys() -> None:
    numbers = values(3 * HOUR)
    usual = learnt(numbers).everything()
    assert usual is not None
    assert math.isclose(usual.mean, np.mean(numbers), rel_tol=1e-9)
    assert math.isclose(usual.std, np.std(numbers, ddof=1), rel_tol=1e-9)
    assert (usual.least, usual.greatest) == (min(numbers), max(numbers))
    for share, value in ((0.5, usual.median), (0.95, usual.p95), (0.99, usual.p99)):
        assert math.isclose(value, np.quantile(numbers, share), rel_tol=0.015)


def test_nothing_is_usual_before_enough_windows() -> None:
    figure = learnt(values(THRESHOLDS.baseline_min_windows - 1))
    assert figure.usual(THRESHOLDS) is None
    learnt([1000.0], figure, 29)
    assert figure.usual(THRESHOLDS) is not None


def test_a_slow_ramp_does_not_move_the_band_within_an_hour() -> None:
    figure = learnt(values(2 * HOUR))
    before = edge(figure)
    ramp = [value + 200 * step / HOUR for step, value in enumerate(values(HOUR, seed=2))]
    attack(figure, ramp, 2 * HOUR)
    assert abs(edge(figure) - before) < 0.25 * known(figure).std


def test_repeated_floods_do_not_move_the_band() -> None:
    figure = learnt(values(2 * HOUR))
    before = edge(figure)
    calm = values(3 * HOUR, seed=3)
    floods = [50_000.0 if step % 18 < 6 else value for step, value in enumerate(calm)]
    attack(figure, floods, 2 * HOUR)
    assert abs(edge(figure) - before) < 0.25 * known(figure).std
    assert figure.accepted == 0
    assert figure.held_back >= HOUR


def test_a_permanent_change_is_accepted_after_an_hour_and_a_drift_alarm() -> None:
    figure = learnt(values(2 * HOUR))
    attack(figure, values(HOUR - 10, seed=4, mean=3000), 2 * HOUR)
    assert (figure.accepted, known(figure).mean < 1100) == (0, True)
    attack(figure, values(30, seed=5, mean=3000), 3 * HOUR - 10)
    assert figure.accepted == 1
    assert figure.drift_alarms >= 1
    assert math.isclose(known(figure).mean, 3000, rel_tol=0.02)


def test_one_flood_is_forgotten_after_a_calm_hour() -> None:
    figure = learnt(values(2 * HOUR))
    before = edge(figure)
    attack(figure, [90_000.0] * 30 + values(3 * HOUR, seed=6), 2 * HOUR)
    assert figure.accepted == 0
    assert abs(edge(figure) - before) < 0.25 * known(figure).std


def test_what_is_certainly_an_attack_is_not_learnt_before_there_is_a_band() -> None:
    figure = Figure()
    for number in range(20):
        figure.learn(1e9, START_NS + number * WINDOW_NS, THRESHOLDS, Doubt.CERTAIN)
    learnt(values(40), figure, 20)
    assert known(figure).greatest < 2000
    assert figure.held_back == 20


def test_the_baseline_forgets() -> None:
    thresholds = Thresholds(baseline_memory_h=2.0)
    figure = Figure()
    numbers = values(6 * HOUR) + values(12 * HOUR, seed=7, mean=1100)
    for number, value in enumerate(numbers):
        figure.learn(value, START_NS + number * WINDOW_NS, thresholds)
    usual = figure.usual(thresholds)
    assert usual is not None
    assert usual.windows <= 2 * HOUR + 2
    assert usual.mean > 1095


def daily(figure: Figure, days: int, by_night: float) -> None:
    """Learn days of one window in five minutes, quiet from midnight to noon."""
    chance = np.random.default_rng(1)
    for step in range(days * 288):
        at_ns = START_NS + step * 300 * 10**9
        level = by_night if step % 288 < 144 else 1000.0
        figure.learn(abs(chance.normal(level, 50)), at_ns, THRESHOLDS)


def test_the_hour_counts_where_it_explains_enough() -> None:
    figure = Figure(has_hours=True)
    daily(figure, 20, by_night=100.0)
    night, noon = START_NS + 20 * 86_400 * 10**9, START_NS + int(20.6 * 86_400) * 10**9
    assert known(figure, night).hour == 0
    assert math.isclose(known(figure, night).mean, 100, rel_tol=0.1)
    assert math.isclose(known(figure, noon).mean, 1000, rel_tol=0.1)
    assert set(figure.hours(THRESHOLDS)) == set(range(24))


def test_the_hour_does_not_count_where_it_explains_nothing() -> None:
    figure = Figure(has_hours=True)
    daily(figure, 20, by_night=1000.0)
    assert known(figure, START_NS + 20 * 86_400 * 10**9).hour is None


def test_the_hour_does_not_count_before_three_days() -> None:
    figure = Figure(has_hours=True)
    thresholds = Thresholds(baseline_hour_windows=10)
    for step in range(2 * 288):
        figure.learn(100.0 if step % 288 < 144 else 1000.0, START_NS + step * 300 * 10**9, thresholds)
    usual = figure.usual(thresholds, START_NS)
    assert usual is not None
    assert usual.hour is None


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=120), st.integers(0, 120), st.booleans())
def test_a_restored_figure_goes_on_as_the_original(numbers: list[float], cut: int, has_hours: bool) -> None:
    thresholds = Thresholds(baseline_min_windows=5, baseline_block_s=200, baseline_accept_s=200)
    original, restored = Figure(has_hours=has_hours), Figure(has_hours=has_hours)
    for step, value in enumerate(numbers):
        if step == cut:
            restored = Figure.restore(json.loads(json.dumps(restored.state())))
        doubt = Doubt(step % 3 if value > 5e8 else 0)
        for figure in (original, restored):
            figure.learn(value, START_NS + step * WINDOW_NS, thresholds, doubt)
    assert restored.state() == original.state()
    assert restored.usual(thresholds, START_NS) == original.usual(thresholds, START_NS)


def test_who_stays_just_below_the_edge_for_an_hour_hardly_moves_it() -> None:
    for hours, head_start in ((2, 0), (2, 180), (8, 180)):
        figure = learnt(values(hours * HOUR + head_start))
        before, std = edge(figure), known(figure).std
        first = hours * HOUR + head_start
        for number in range(first, first + HOUR - 1):
            attack(figure, [0.999 * edge(figure)], number)
        assert edge(figure) - before < std
