"""Slow attacks that go on for minutes, several at a time, beside honest connections that are as quiet."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

from lab.everyday import TALK_TCP
from lab.floods import together
from lab.labels import TCP
from lab.network import Host
from lab.scenarios import Stage
from lab.servers import WEB_PORTS
from lab.variant import run, run_module

_HOLD_S = (60, 100, 150, 200)
_INTERVAL_S = (4, 8, 10, 10, 15, 25)

_SLOWHTTPTEST: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("DoS slowloris", "-H", "", ()),
    ("DoS slowloris", "-H", "index.html", ()),
    ("DoS Slowhttptest", "-B", "app/login", ()),
    ("DoS Slowhttptest", "-X", "1m.bin", ("-n", "5", "-w", "10", "-y", "20", "-z", "5", "-k", "3")),
)
"""Class, mode, page and options."""

_QUIET = 12
"""Honest connections that are held as long."""


def long_slow(stage: Stage, chance: random.Random) -> None:
    """Hold connections from both attackers to all ports, in each way at once, and let clients hold honest ones."""
    target = stage.host("web")
    places = list(product(("mallory", "trudy"), WEB_PORTS))
    chance.shuffle(places)
    actions: list[Callable[[], object]] = []
    for (name, port), way in zip(places, (*_SLOWHTTPTEST, None, None), strict=False):
        attacker, own = stage.host(name), random.Random(chance.random())
        if way is None:
            actions.append(partial(_slow_http, stage, attacker, target, port, own))
        else:
            actions.append(partial(_slowhttptest, stage, attacker, target, port, way, own))
    for _ in range(_QUIET):
        client = stage.host(chance.choice(["alice", "bob", "carol"]))
        actions.append(partial(_quiet, client, stage.host("files"), random.Random(chance.random())))
    together(actions)


def _slowhttptest(
    stage: Stage,
    attacker: Host,
    target: Host,
    port: int,
    way: tuple[str, str, str, Sequence[str]],
    chance: random.Random,
) -> None:
    class_name, mode, page, options = way
    seconds = chance.choice(_HOLD_S)
    words = ["-c", str(chance.choice([15, 30, 50])), "-r", str(chance.choice([5, 20, 50])), "-l", str(seconds)]
    words += ["-p", "5", "-v", "0", *(["-i", str(chance.choice(_INTERVAL_S))] if mode in "-H -B" else [])]
    words += ["-x", str(chance.choice([4, 12, 24, 60]))] if mode in "-H -B" else []
    url = f"http://{target.ipv4}:{port}/{page}"
    with stage.label(class_name, f"slowhttptest {mode} long", attacker.ipv4, target.ipv4, port, TCP):
        run(attacker, "slowhttptest", mode, *words, *options, "-u", url, timeout_s=seconds + 20)


def _slow_http(stage: Stage, attacker: Host, target: Host, port: int, chance: random.Random) -> None:
    seconds = chance.choice(_HOLD_S)
    words = [target.ipv4, "--port", port, "--seed", chance.getrandbits(16), "--limit-s", seconds]
    words += ["--connections", chance.choice([15, 40]), "--interval-s", chance.choice(_INTERVAL_S)]
    with stage.label("DoS slowloris", "slow_http long", attacker.ipv4, target.ipv4, port, TCP):
        run_module(attacker, "lab.tools.slow_http", *words, timeout_s=seconds + 20)


def _quiet(client: Host, server: Host, chance: random.Random) -> None:
    """Hold a connection on which something is said now and then, with an answer or without one."""
    pause_s, seconds = chance.choice([3, 8, 10, 15, 30]), chance.choice(_HOLD_S)
    words = [chance.choice(["chat", "feed"]), server.ipv4, chance.choice(TALK_TCP), "--seed", chance.getrandbits(24)]
    run_module(
        client,
        "lab.tools.talk",
        *words,
        "--pause-s",
        pause_s,
        "--count",
        max(2, seconds // pause_s),
        timeout_s=seconds + 60,
    )
