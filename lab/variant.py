"""What an attack with parameters by chance is, and how its programs are run."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lab.errors import CommandError
from lab.network import Host
from lab.scenarios import Stage

Action = Callable[[Stage, random.Random], object]


@dataclass(frozen=True)
class Variant:
    """An attack, anew each time.

    Attributes
    ----------
    name
        For the progress display.
    action
        Runs it, with its labels.
    is_held_out
        Whether it is only for tests.
    is_alone
        Whether it takes minutes, and is recorded only when it is asked for by name.
    """

    name: str
    action: Action
    is_held_out: bool = False
    is_alone: bool = False


def attacker_of(stage: Stage, chance: random.Random) -> Host:
    """Choose who attacks."""
    return stage.host(chance.choice(["mallory", "trudy"]))


def run(host: Host, *command: str, timeout_s: float = 25) -> None:
    """Run an attack tool; however it ends, it has been on the wire."""
    with suppress(CommandError):
        host.run(*command, timeout_s=timeout_s)


def run_module(host: Host, module: str, *arguments: object, timeout_s: float = 40) -> None:
    """Run one of the lab's own attack programs; however it ends, it has been on the wire."""
    with suppress(CommandError):
        host.run_module(module, *map(str, arguments), timeout_s=timeout_s)
