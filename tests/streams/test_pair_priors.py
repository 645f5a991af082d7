from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams.pair_priors
from schemas.classes import BENIGN, CLASS_NAMES, N_CLASSES
from schemas.errors import WireError
from streams.pair_priors import MOST_PAIRS, STRENGTH, USUAL_BENIGN, PairPriors

SECOND_NS = 1_000_000_000
HALF_LIFE_NS = 60 * SECOND_NS
HULK = CLASS_NAMES.index("DoS Hulk")
HEARTBLEED = CLASS_NAMES.index("Heartbleed")

Message = tuple[int, list[tuple[int, int, float, bool]]]
"""Seconds since the one before; of each flow: pair, class, probability of that class, whether it is over."""

flow = st.tuples(st.integers(1, 4), st.integers(0, N_CLASSES - 1), st.floats(0.1, 0.99), st.booleans())
messages: st.SearchStrategy[list[Message]] = st.lists(
    st.tuples(st.integers(0, 100), st.lists(flow, max_size=20)), max_size=6
)


def probabilities(*flows: tuple[int, float]) -> npt.NDArray[np.float32]:
    """Return rows in which a class has a probability, and the others have the rest."""
    rows = np.empty((len(flows), N_CLASSES), np.float32)
    for row, (number, share) in zip(rows, flows, strict=True):
        row[:] = (1 - share) / (N_CLASSES - 1)
        row[number] = share
    return rows


def torn(first: int, share: float, second: int) -> npt.NDArray[np.float32]:
    """Return a row of two classes alone."""
    row = np.zeros((1, N_CLASSES), np.float32)
    row[0, first], row[0, second] = share, 1 - share
    return row


def fed(priors: PairPriors, feed: list[Message]) -> list[npt.NDArray[np.float32]]:
    """Pass messages through; return what came out of each."""
    said, clock_ns = [], 0
    for pause_s, flows in feed:
        clock_ns += pause_s * SECOND_NS
        pairs = np.array([pair for pair, *_ in flows], np.uint64)
        rows = probabilities(*((number, share) for _, number, share, _ in flows))
        is_over = np.array([over for *_, over in flows], np.bool_)
        said.append(priors.adjust(pairs, rows, is_over, clock_ns, HALF_LIFE_NS))
    return said


def expected(feed: list[Message]) -> list[npt.NDArray[np.float64]]:
    """Return the same by the definition: flow by flow, with a dictionary."""
    usual = np.full(N_CLASSES, (1 - USUAL_BENIGN) / (N_CLASSES - 1))
    usual[BENIGN] = USUAL_BENIGN
    memory: defaultdict[int, npt.NDArray[np.float64]] = defaultdict(lambda: np.zeros(N_CLASSES))
    said = []
    for pause_s, flows in feed:
        if flows:
            for pair in memory:
                memory[pair] *= 0.5 ** (waited_s(feed, said, pause_s) / 60)
        rows = probabilities(*((number, share) for _, number, share, _ in flows)).astype(np.float64)
        out = np.empty_like(rows)
        for place, (pair, *_) in enumerate(flows):
            others = memory[pair] + sum(
                (rows[other] for other in range(len(flows)) if other != place and flows[other][0] == pair),
                np.zeros(N_CLASSES),
            )
            prior = (STRENGTH * usual + others) / (STRENGTH + others.sum())
            weighted = rows[place] * prior / usual
            out[place] = weighted / weighted.sum()
        for place, (pair, _, _, over) in enumerate(flows):
            memory[pair] += out[place] * over
        said.append(out)
    return said


def waited_s(feed: list[Message], said: list[npt.NDArray[np.float64]], pause_s: int) -> int:
    """Return the time since the last message with flows, s."""
    waited, place = pause_s, len(said) - 1
    while place >= 0 and not feed[place][1]:
        waited += feed[place][0]
        place -= 1
    return waited


@settings(deadline=None)
@given(messages)
def test_it_is_what_the_definition_says_flow_by_flow(feed: list[Message]) -> None:
    for got, wanted in zip(fed(PairPriors(), feed), expected(feed), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)
        np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-5)


@settings(deadline=None)
@given(messages)
def test_the_order_in_a_message_does_not_matter(feed: list[Message]) -> None:
    turned = [(pause_s, flows[::-1]) for pause_s, flows in feed]
    for got, other in zip(fed(PairPriors(), feed), fed(PairPriors(), turned), strict=True):
        np.testing.assert_allclose(got, other[::-1], atol=1e-5)


@settings(deadline=None)
@given(messages, messages)
def test_it_goes_on_where_a_snapshot_was_taken(before: list[Message], after: list[Message]) -> None:
    priors = PairPriors()
    fed(priors, before)
    restored = PairPriors.from_bytes(priors.to_bytes())
    for got, other in zip(fed(priors, after), fed(restored, after), strict=True):
        np.testing.assert_array_equal(got, other)
    assert restored.to_bytes() == priors.to_bytes()


def test_a_flow_without_company_stays_as_it_is() -> None:
    rows = probabilities((HULK, 0.7), (BENIGN, 0.6))
    said = PairPriors().adjust(np.array([1, 2], np.uint64), rows, np.ones(2, np.bool_), 0, HALF_LIFE_NS)
    np.testing.assert_allclose(said, rows, rtol=1e-6)


def test_one_doubtful_flow_among_many_benign_ones_is_benign() -> None:
    rows = np.concatenate([probabilities(*[(BENIGN, 0.98)] * 50), torn(HULK, 0.9, BENIGN)])
    said = PairPriors().adjust(np.ones(51, np.uint64), rows, np.ones(51, np.bool_), 0, HALF_LIFE_NS)
    assert set(said.argmax(axis=1).tolist()) == {BENIGN}


def test_one_attack_beyond_doubt_among_many_benign_flows_stays_one() -> None:
    rows = np.concatenate([probabilities(*[(BENIGN, 0.98)] * 50), torn(HEARTBLEED, 0.9999, BENIGN)])
    said = PairPriors().adjust(np.ones(51, np.uint64), rows, np.ones(51, np.bool_), 0, HALF_LIFE_NS)
    assert said[50].argmax() == HEARTBLEED


def test_half_of_a_flood_seen_is_all_of_it_seen() -> None:
    rows = np.concatenate([torn(HULK, 0.9, BENIGN)] * 25 + [torn(BENIGN, 0.8, HULK)] * 25)
    said = PairPriors().adjust(np.ones(50, np.uint64), rows, np.ones(50, np.bool_), 0, HALF_LIFE_NS)
    assert set(said.argmax(axis=1).tolist()) == {HULK}


def test_a_flow_that_goes_on_is_no_company_of_its_own() -> None:
    priors, rows = PairPriors(), probabilities((HULK, 0.55))
    for minute in range(20):
        said = priors.adjust(np.ones(1, np.uint64), rows, np.zeros(1, np.bool_), minute * HALF_LIFE_NS, HALF_LIFE_NS)
        np.testing.assert_allclose(said, rows, rtol=1e-6)


def test_what_was_long_ago_is_forgotten() -> None:
    priors = PairPriors()
    rows = probabilities(*[(HULK, 0.9)] * 100)
    priors.adjust(np.ones(100, np.uint64), rows, np.ones(100, np.bool_), 0, HALF_LIFE_NS)
    assert len(priors.pairs) == 1
    doubt = probabilities((BENIGN, 0.8))
    said = priors.adjust(np.ones(1, np.uint64), doubt, np.zeros(1, np.bool_), 20 * HALF_LIFE_NS, HALF_LIFE_NS)
    np.testing.assert_allclose(said, doubt, rtol=1e-3)
    assert not len(priors.pairs)


def test_a_flood_from_forged_addresses_takes_no_more_than_its_bound() -> None:
    priors = PairPriors()
    busy = np.ones(40, np.uint64)
    priors.adjust(busy, probabilities(*[(BENIGN, 0.9)] * 40), np.ones(40, np.bool_), 0, HALF_LIFE_NS)
    for message in range(3):
        forged = np.arange(2, MOST_PAIRS + 2, dtype=np.uint64) + np.uint64(message * MOST_PAIRS)
        rows = np.tile(probabilities((HULK, 0.6)), (MOST_PAIRS, 1))
        priors.adjust(forged, rows, np.ones(MOST_PAIRS, np.bool_), message, HALF_LIFE_NS)
        assert MOST_PAIRS // 2 < len(priors.pairs) <= MOST_PAIRS
        assert (np.diff(priors.pairs) > 0).all()
        assert priors.pairs[0] == 1, "the pair with most flows was forgotten"


def test_no_flows_change_nothing() -> None:
    rows = np.empty((0, N_CLASSES), np.float32)
    assert PairPriors().adjust(np.empty(0, np.uint64), rows, np.empty(0, np.bool_), 5, HALF_LIFE_NS).shape == rows.shape


def test_bytes_that_are_none_of_it_are_refused() -> None:
    with pytest.raises(WireError, match=streams.pair_priors._KIND):
        PairPriors.from_bytes(b"nothing")
