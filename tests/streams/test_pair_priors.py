from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
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


def adjusted(
    priors: PairPriors, pairs: list[int], rows: npt.NDArray[np.float32], at_ns: int = 0, *, over: bool = True
) -> npt.NDArray[np.float32]:
    """Put flows that are judged at one time under their priors."""
    n_flows = len(pairs)
    is_over, times_ns = np.full(n_flows, over, np.bool_), np.full(n_flows, at_ns, np.int64)
    flow_ids = np.arange(n_flows, dtype=np.uint64)
    return priors.adjust(flow_ids, np.array(pairs, np.uint64), rows, is_over, times_ns, HALF_LIFE_NS)


def fed(priors: PairPriors, feed: list[Message]) -> list[npt.NDArray[np.float32]]:
    """Pass messages through; return what came out of each."""
    said, clock_ns = [], 0
    for pause_s, flows in feed:
        clock_ns += pause_s * SECOND_NS
        pairs = np.array([pair for pair, *_ in flows], np.uint64)
        rows = probabilities(*((number, share) for _, number, share, _ in flows))
        is_over = np.array([over for *_, over in flows], np.bool_)
        times_ns = np.full(len(flows), clock_ns, np.int64)
        flow_ids = np.arange(len(flows), dtype=np.uint64)
        said.append(priors.adjust(flow_ids, pairs, rows, is_over, times_ns, HALF_LIFE_NS))
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


@given(messages)
def test_it_is_what_the_definition_says_flow_by_flow(feed: list[Message]) -> None:
    for got, wanted in zip(fed(PairPriors(), feed), expected(feed), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)
        np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-5)


@given(messages)
def test_the_order_in_a_message_does_not_matter(feed: list[Message]) -> None:
    turned = [(pause_s, flows[::-1]) for pause_s, flows in feed]
    for got, other in zip(fed(PairPriors(), feed), fed(PairPriors(), turned), strict=True):
        np.testing.assert_allclose(got, other[::-1], atol=1e-5)


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
    said = adjusted(PairPriors(), [1, 2], rows)
    np.testing.assert_allclose(said, rows, rtol=1e-6)


def test_one_doubtful_flow_among_many_benign_ones_is_benign() -> None:
    rows = np.concatenate([probabilities(*[(BENIGN, 0.98)] * 50), torn(HULK, 0.9, BENIGN)])
    said = adjusted(PairPriors(), [1] * 51, rows)
    assert set(said.argmax(axis=1).tolist()) == {BENIGN}


def test_one_attack_beyond_doubt_among_many_benign_flows_stays_one() -> None:
    rows = np.concatenate([probabilities(*[(BENIGN, 0.98)] * 50), torn(HEARTBLEED, 0.9999, BENIGN)])
    said = adjusted(PairPriors(), [1] * 51, rows)
    assert said[50].argmax() == HEARTBLEED


def test_half_of_a_flood_seen_is_all_of_it_seen() -> None:
    rows = np.concatenate([torn(HULK, 0.9, BENIGN)] * 25 + [torn(BENIGN, 0.8, HULK)] * 25)
    said = adjusted(PairPriors(), [1] * 50, rows)
    assert set(said.argmax(axis=1).tolist()) == {HULK}


def test_a_flow_that_goes_on_is_no_company_of_its_own() -> None:
    priors, rows = PairPriors(), probabilities((HULK, 0.55))
    for minute in range(20):
        said = adjusted(priors, [1], rows, minute * HALF_LIFE_NS, over=False)
        np.testing.assert_allclose(said, rows, rtol=1e-6)


def test_records_of_one_flow_are_no_company_of_each_other() -> None:
    rows = np.concatenate([torn(HULK, 0.6, BENIGN), torn(HULK, 0.7, BENIGN), torn(BENIGN, 0.9, HULK)])
    ids, pairs, times_ns = np.array([7, 7, 8], np.uint64), np.ones(3, np.uint64), np.zeros(3, np.int64)
    said = PairPriors().adjust(ids[:2], pairs[:2], rows[:2], np.zeros(2, np.bool_), times_ns[:2], HALF_LIFE_NS)
    np.testing.assert_allclose(said, rows[:2], rtol=1e-6)
    # To others it counts once, as its newest record says.
    said = PairPriors().adjust(ids, pairs, rows, np.zeros(3, np.bool_), times_ns, HALF_LIFE_NS)
    np.testing.assert_allclose(said[1:], adjusted(PairPriors(), [1, 1], rows[1:]), rtol=1e-6)
    np.testing.assert_allclose(said[0], adjusted(PairPriors(), [1, 1], rows[[0, 2]])[0], rtol=1e-6)


def test_what_was_long_ago_counts_for_nothing() -> None:
    priors = PairPriors()
    adjusted(priors, [1] * 100, probabilities(*[(HULK, 0.9)] * 100))
    assert priors.pairs.tolist() == [1]
    doubt = probabilities((BENIGN, 0.8))
    np.testing.assert_allclose(adjusted(priors, [1], doubt, 20 * HALF_LIFE_NS, over=False), doubt, rtol=1e-3)


def test_flows_of_several_times_may_come_in_one_call() -> None:
    rows = probabilities((HULK, 0.7), (BENIGN, 0.6), (HULK, 0.8), (HULK, 0.5))
    pairs, times_ns = np.array([1, 1, 2, 1], np.uint64), np.array([0, 5, 5, 90]) * SECOND_NS
    ids = np.arange(4, dtype=np.uint64)
    together = PairPriors().adjust(ids, pairs, rows, np.ones(4, np.bool_), times_ns, HALF_LIFE_NS)
    one_by_one = PairPriors()
    for place in (slice(0, 1), slice(1, 3), slice(3, 4)):
        is_over = np.ones(len(pairs[place]), np.bool_)
        said = one_by_one.adjust(ids[place], pairs[place], rows[place], is_over, times_ns[place], HALF_LIFE_NS)
        np.testing.assert_allclose(said, together[place], rtol=1e-5)


def test_a_flood_from_forged_addresses_takes_no_more_than_its_bound() -> None:
    priors = PairPriors()
    adjusted(priors, [1] * 40, probabilities(*[(BENIGN, 0.9)] * 40))
    rows = np.tile(probabilities((HULK, 0.6)), (MOST_PAIRS, 1))
    for message in range(3):
        forged = list(range(2 + message * MOST_PAIRS, 2 + (message + 1) * MOST_PAIRS))
        adjusted(priors, forged, rows, message)
        assert MOST_PAIRS // 2 < len(priors.pairs) <= MOST_PAIRS
        assert len(priors.pairs) == len(priors.sums) == len(priors.times_ns)
        assert (np.diff(priors.pairs) > 0).all()
        assert priors.pairs[0] == 1, "the pair with most flows was forgotten"


def test_no_flows_change_nothing() -> None:
    assert adjusted(PairPriors(), [], np.empty((0, N_CLASSES), np.float32)).shape == (0, N_CLASSES)


def test_bytes_that_are_none_of_it_are_refused() -> None:
    with pytest.raises(WireError, match=streams.pair_priors._KIND):
        PairPriors.from_bytes(b"nothing")
