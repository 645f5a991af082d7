"""A capture as it would be over another link: the same packets, other times.

A lab has as many links as it was recorded over, a handful, and what is learned there is as much the link as the
behaviour. What a link decides is how long answers take; the rest, bursts, pauses and rates, is up to the hosts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.packets import Packets

SHORTEST_NS, LONGEST_NS = 3_000, 250_000_000
"""Bounds of how long an answer takes on the way: in a machine, and a satellite's or a bad radio's quarter second."""

NEAR_NS, NEAR_SHARE = 25_000, 0.4
"""Of the pairs of hosts, so many are as near each other as a cable both ways: where most of what attacks can be."""

LEAST_DELAY = 0.02
"""Least share that is left, between near hosts, of the time that the hosts themselves took."""

SPREAD = 0.1
"""Standard deviation of the logarithm by which times on one link differ."""

LINK_SHARE = 5
"""Of the times that answers of a pair of hosts take, in percent: so short is the link alone."""


def over_another_link(packets: Packets, chance: np.random.Generator) -> Packets:
    """Return the packets of a whole capture with other times, in their order.

    The time between a packet and an answer to it is the link's and the host's. Of each pair of hosts and each way
    around, the shortest are taken for the link's alone, and another link's are put in their place. Conversations begin
    when they did.

    Parameters
    ----------
    packets : Packets
        In order of time.
    chance : numpy.random.Generator
    """
    pair, conversation, is_back = _numbers(packets)
    order = np.lexsort((np.arange(len(pair)), conversation))
    times, turned = packets.ts_ns[order], is_back[order]
    follows = np.zeros(len(order), np.bool_)
    follows[1:] = conversation[order][1:] == conversation[order][:-1]
    is_answer = follows.copy()
    is_answer[1:] &= turned[1:] != turned[:-1]
    gaps = np.zeros(len(order), np.int64)
    gaps[1:] = np.where(follows[1:], np.diff(times), 0)
    gaps = np.maximum(gaps, 0)
    way = 2 * pair[order] + turned
    gaps[is_answer] = _answers(gaps[is_answer], way[is_answer], chance)
    sums = np.cumsum(gaps)
    first = np.flatnonzero(~follows)
    begins = np.repeat(times[first] - sums[first], np.diff(np.append(first, len(order))))
    moved = np.empty(len(order), np.int64)
    moved[order] = begins + sums
    again = np.argsort(moved, kind="stable")
    columns = {name: values[again] for name, values in packets._asdict().items()}
    return Packets(**columns | {"ts_ns": moved[again]})


def _answers(
    gaps: npt.NDArray[np.int64], way: npt.NDArray[np.int64], chance: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return other times for answers (n,), each of them on its way (n,)."""
    ways, number = np.unique(way, return_inverse=True)
    before = np.array([np.percentile(gaps[number == one], LINK_SHARE) for one in range(len(ways))])
    # Hosts that were near may come to be far and the other way round; of the others, short links are as likely as long.
    pairs, of_pair = np.unique(ways // 2, return_inverse=True)
    is_near = chance.random(len(pairs))[of_pair] < NEAR_SHARE
    longest = np.where(is_near, NEAR_NS, LONGEST_NS)
    after = np.exp(chance.uniform(np.log(SHORTEST_NS), np.log(longest)))
    drawn = after[number] * np.exp(chance.normal(0, SPREAD, len(gaps)))
    # A busy recording machine made its hosts slower than quiet ones are; between near ones that is what counts.
    quietness = np.where(is_near, chance.uniform(LEAST_DELAY, 1, len(pairs))[of_pair], 1.0)
    delays = np.maximum(gaps - before[number], 0) * quietness[number]
    moved: npt.NDArray[np.int64] = (delays + drawn).astype(np.int64)
    return moved


def _numbers(packets: Packets) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return for each packet the number of its pair of hosts, of its conversation, and whether it runs backward."""
    source, target = (np.ascontiguousarray(side).view("V16").ravel() for side in (packets.src_ip, packets.dst_ip))
    _, hosts = np.unique(np.concatenate([source, target]), return_inverse=True)
    ends = hosts.astype(np.int64).reshape(2, -1) * 65_536 + np.stack([packets.src_port, packets.dst_port])
    is_back = ends[0] > ends[1]
    low, high = ends.min(axis=0), ends.max(axis=0)
    pair = _number(np.stack([low // 65_536, high // 65_536], axis=1))
    return pair, _number(np.stack([low, high, packets.protocol.astype(np.int64)], axis=1)), is_back


def _number(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    _, numbers = np.unique(rows, axis=0, return_inverse=True)
    return numbers.ravel().astype(np.int64)
