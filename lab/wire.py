"""A link emulator in user space, for kernels that were built without netem.

Two TAP devices in the switch's namespace: the inner one is moved into the host's namespace afterwards, the
outer one is a port of the bridge. What the host sends comes out of the inner device, and goes into the
outer one when the link is done with it; and the other way round.
"""

from __future__ import annotations

import argparse
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

from lab.link import Impairment

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP_NO_PI = 0x1002  # linux/if_tun.h: IFF_TAP | IFF_NO_PI
_FRAME_BYTES = 65_536
_QUEUE_FRAMES = 1000  # tc-netem(8): default limit


class Direction:
    """One direction of the link: decides for each frame when it arrives, if it does.

    Parameters
    ----------
    impairment
        What the link does.
    seed
        The same seed and the same arrivals give the same decisions.
    """

    def __init__(self, impairment: Impairment, seed: int) -> None:
        self._impairment = impairment
        self._random = random.Random(seed)
        self._line_free_s = 0.0
        self._newest_due_s = 0.0

    def arrivals(self, now_s: float, frame_bytes: int) -> list[float]:
        """Return the times (s) at which a frame sent now arrives: none if lost, two if duplicated."""
        link, chance = self._impairment, self._random.uniform
        if chance(0, 100) < link.loss_percent:
            return []
        copies = 2 if chance(0, 100) < link.duplicate_percent else 1
        if chance(0, 100) < link.reorder_percent:
            return [now_s] * copies
        return [self._in_order(now_s, frame_bytes) for _ in range(copies)]

    def _in_order(self, now_s: float, frame_bytes: int) -> float:
        link = self._impairment
        sent_s = max(now_s, self._line_free_s)
        if link.rate_mbit:
            sent_s += frame_bytes * 8 / (link.rate_mbit * 1e6)
            self._line_free_s = sent_s
        delay_s = max(0.0, link.delay_ms + self._random.uniform(-link.jitter_ms, link.jitter_ms)) / 1e3
        # Jitter delays; only `reorder_percent` reorders, so that a scenario gets exactly what it names.
        self._newest_due_s = max(self._newest_due_s, sent_s + delay_s)
        return self._newest_due_s


def forward(inner: int, outer: int, impairment: Impairment, seed: int) -> None:
    """Carry frames between two TAP file descriptors until the process is ended."""
    other = {inner: outer, outer: inner}
    direction = {inner: Direction(impairment, seed), outer: Direction(impairment, seed + 1)}
    queue: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        wait_s = max(0.0, queue[0][0] - time.monotonic()) if queue else None
        readable, _, _ = select.select([inner, outer], [], [], wait_s)
        now_s = time.monotonic()
        for source in readable:
            frame = os.read(source, _FRAME_BYTES)
            for due_s in direction[source].arrivals(now_s, len(frame)):
                if len(queue) < _QUEUE_FRAMES:
                    heapq.heappush(queue, (due_s, number, other[source], frame))
                    number += 1
        while queue and queue[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(queue)
            _write(target, frame)


def _write(target: int, frame: bytes) -> None:
    try:
        os.write(target, frame)
    except OSError as error:
        # The far end is being taken down; the lab ends this process next.
        print(f"frame not delivered: {error}", file=sys.stderr)


def _tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP_NO_PI))
    return descriptor


def main() -> None:
    """Make the two devices, say so on standard output, and carry frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inner")
    parser.add_argument("outer")
    for name in Impairment.__dataclass_fields__:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=77)
    given = vars(parser.parse_args())
    inner, outer, seed = given.pop("inner"), given.pop("outer"), given.pop("seed")
    descriptors = _tap(inner), _tap(outer)
    # Several wires write into one log.
    print(f"{outer} is ready", flush=True)
    forward(*descriptors, Impairment(**given), seed)


if __name__ == "__main__":
    main()
