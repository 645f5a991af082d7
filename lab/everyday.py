"""Ordinary work in all its variety: what people and programs do on any network, on whichever port a service has."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

from lab.benign import bulk, fetch_by_name, look_up, ssh_options
from lab.errors import CommandError
from lab.network import Host, Network
from lab.scenarios import Stage
from lab.servers import FTP_PORTS, PASSWORD, SSH_PORTS, TLS_PORTS, USER, WEB_PORTS

TALK_TCP, TALK_UDP = (1883, 5222, 3389, 9092), (123, 161, 3478, 5060, 514)
"""Ports of what `files` talks on: brokers, messengers, screens; clocks, management, calls, logs."""

Way = Callable[[Stage, str, random.Random], object]


def start_talk(net: Network) -> None:
    """Start what chats on `files`."""
    words = ["--tcp", *map(str, TALK_TCP), "--udp", *map(str, TALK_UDP)]
    net.host("files").start_module("lab.tools.talk", "serve", *words)


def work(stage: Stage, client: str, bulk_port: int, chance: random.Random) -> None:
    """Do one ordinary thing; what fails, as on a bad link things do, is no failure of the lab."""
    way = chance.choices([way for way, _ in WAYS], [weight for _, weight in WAYS])[0]
    with suppress(CommandError):
        if way is _measure:
            _measure(stage, client, chance, bulk_port)
        else:
            way(stage, client, chance)


def _address(host: Host, chance: random.Random) -> str:
    return host.ipv4 if chance.random() < 0.75 else host.ipv6


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _browse(stage: Stage, client: str, chance: random.Random) -> None:
    words = [_address(stage.host("web"), chance), "--port", str(chance.choice(WEB_PORTS)), "--seed", _seed(chance)]
    pause_s = chance.choice([0.05, 0.3, 1.0, 3.0, 6.0])
    words += ["--count", str(chance.randint(1, int(8 + 12 / (1 + pause_s)))), "--pause-s", str(pause_s)]
    words += ["--short"] if chance.random() < 0.35 else []
    stage.host(client).run_module("lab.tools.browse", *words, timeout_s=90)


def _fetch(stage: Stage, client: str, chance: random.Random) -> None:
    """Get a page and what belongs to it, one after the other or beside each other, as fast as the line or slower."""
    is_safe = chance.random() < 0.4
    port = chance.choice(TLS_PORTS if is_safe else WEB_PORTS)
    base = f"{'https' if is_safe else 'http'}://{_in_url(_address(stage.host('web'), chance))}:{port}"
    pages = chance.choices(["1k.bin", "10k.bin", "100k.bin", "index.html", "1m.bin", "none"], k=chance.randint(1, 5))
    words = [word for page in pages for word in ("-o", "/dev/null", f"{base}/{page}")]
    more = chance.choice([[], [], [], ["--parallel"], ["--http1.0"], ["--head"], ["--compressed", "-A", "x" * 80]])
    if chance.random() < 0.2:
        more = [*more, "--limit-rate", chance.choice(["8k", "40k", "200k"])]
    stage.host(client).run("curl", "-gsk", "--max-time", "25", *more, *words)


def _send_form(stage: Stage, client: str, chance: random.Random) -> None:
    """Send something: a login, a longer text, a file, now and then over a slow line."""
    base = f"http://{_in_url(_address(stage.host('web'), chance))}:{chance.choice(WEB_PORTS)}/app/login"
    size_bytes = int(chance.lognormvariate(6, 2)) + 20
    words = ["-d", "user=lab&note=" + "n" * min(size_bytes, 60_000)]
    words += ["--limit-rate", chance.choice(["2k", "20k"])] if chance.random() < 0.3 else []
    stage.host(client).run("curl", "-gs", "--max-time", "25", "-o", "/dev/null", *words, base)


def _wget(stage: Stage, client: str, chance: random.Random) -> None:
    page = chance.choice(["index.html", "1k.bin", "100k.bin", "1m.bin"])
    url = f"http://{stage.host('web').ipv4}:{chance.choice(WEB_PORTS)}/{page}"
    stage.host(client).run("wget", "-q", "-t", "1", "-T", "20", "-O", "/dev/null", url)


def _by_name(stage: Stage, client: str, chance: random.Random) -> None:
    fetch_by_name(stage, client, chance.choice(["1k.bin", "10k.bin"]), chance.randint(0, 19))


def _look_up(stage: Stage, client: str, chance: random.Random) -> None:
    name = chance.choice([f"site{chance.randint(0, 24)}.lab", "lab", "x" * chance.randint(1, 50) + ".example"])
    more = ["+tcp"] if chance.random() < 0.1 else chance.choice([[], ["+noedns"], ["+dnssec"]])
    for _ in range(chance.randint(1, 3)):
        look_up(stage, client, name, chance.choice(["A", "AAAA", "MX", "TXT", "PTR"]), chance.choice([4, 4, 6]), *more)


def _shell(stage: Stage, client: str, chance: random.Random) -> None:
    """Work in a shell for some seconds, with a key or a password, which is mistyped now and then."""
    host, port = stage.host(client), chance.choice(SSH_PORTS)
    pause_s, count = chance.choice([0, 0.1, 0.5, 2]), chance.randint(1, 8)
    command = f"for i in $(seq {count}); do ls -l; head -c {chance.randint(1, 9000)} 100k.bin; sleep {pause_s}; done"
    target = f"{USER}@{_address(stage.host('files'), chance)}"
    words = ["ssh", "-p", str(port), *ssh_options(host)]
    if chance.random() < 0.5:
        host.run(*words, "-i", str(stage.network.folder / "client_key"), target, command, timeout_s=40)
        return
    if chance.random() < 0.03:
        host.run("sshpass", "-p", "mistyped", *words, target, "true", timeout_s=30)
    host.run("sshpass", "-p", PASSWORD, *words, target, command, timeout_s=40)


def _copy(stage: Stage, client: str, chance: random.Random) -> None:
    """Copy a file over SSH, from there or to there."""
    host, name = stage.host(client), chance.choice(["1k.bin", "100k.bin", "1m.bin"])
    words = ["scp", "-q", "-P", str(chance.choice(SSH_PORTS)), "-i", str(stage.network.folder / "client_key")]
    there = f"{USER}@{stage.host('files').ipv4}:"
    local = host.folder / "copied.bin"
    local.write_bytes(chance.randbytes(chance.choice([2_000, 80_000, 900_000])))
    ends = [there + name, "/dev/null"] if chance.random() < 0.6 else [str(local), f"{there}{client}.bin"]
    host.run(*words, *ssh_options(host), *ends, timeout_s=60)


def _ftp(stage: Stage, client: str, chance: random.Random) -> None:
    """Look around, get and put, several files in one session."""
    host = stage.host(client)
    base = f"ftp://{_in_url(_address(stage.host('files'), chance))}:{chance.choice(FTP_PORTS)}/"
    names = chance.choices(["", "1k.bin", "10k.bin", "100k.bin"], k=chance.randint(1, 4))
    words = ["-gs", "--max-time", "30", "--user", f"{USER}:{'oops' if chance.random() < 0.03 else PASSWORD}"]
    words += ["--limit-rate", "30k"] if chance.random() < 0.2 else []
    if chance.random() < 0.3:
        local = host.folder / "upload.bin"
        local.write_bytes(chance.randbytes(chance.choice([500, 20_000, 300_000])))
        host.run("curl", *words, "-T", str(local), f"{base}from-{client}.bin")
    else:
        host.run("curl", *words, *[word for name in names for word in ("-o", "/dev/null", base + name)])


def _measure(stage: Stage, client: str, chance: random.Random, port: int = 5201) -> None:
    """Move a lot for some seconds: up, down, or as a stream of datagrams like a call or a film."""
    more = chance.choice([[], ["-R"], ["--bidir"], ["--udp", "-l", "160"], ["--udp", "-l", "1200"], ["-P", "3"]])
    rate = chance.choice(["64k", "300k"]) if "160" in more else chance.choice(["500k", "2M", "8M"])
    bulk(stage, client, *more, rate=rate, seconds=chance.randint(1, 6), port=port, family=chance.choice([4, 4, 6]))


def _talk(role: str, ports: tuple[int, ...]) -> Way:
    def way(stage: Stage, client: str, chance: random.Random) -> None:
        pause_s = chance.choice([0.1, 0.5, 2, 7] if role == "chat" else [0.05, 0.5, 1.5])
        count = max(1, int(chance.uniform(2, 25) / (0.3 + pause_s)))
        words = [role, _address(stage.host("files"), chance), str(chance.choice(ports)), "--seed", _seed(chance)]
        words += ["--pause-s", str(pause_s), "--count", str(count)]
        stage.host(client).run_module("lab.tools.talk", *words, timeout_s=90)

    return way


def _ping(stage: Stage, client: str, chance: random.Random) -> None:
    target = stage.host(chance.choice(["web", "files", "dns"])).ipv4
    words = ["-i", chance.choice(["1", "1", "u300000"]), "-c", str(chance.randint(1, 10))]
    size_bytes = chance.choice(["8", "56", "56", "1000"])
    stage.host(client).run("hping3", "-q", "-I", "eth0", "--icmp", *words, "-d", size_bytes, target, timeout_s=30)


def _knock(stage: Stage, client: str, chance: random.Random) -> None:
    """Ask for a service that is not there."""
    url = f"http://{stage.host('files').ipv4}:{chance.randint(1024, 60_000)}/"
    stage.host(client).run("curl", "-s", "--max-time", "5", url)


def _seed(chance: random.Random) -> str:
    return str(chance.getrandbits(24))


WAYS: tuple[tuple[Way, float], ...] = (
    (_browse, 14),
    (_fetch, 12),
    (_send_form, 4),
    (_wget, 3),
    (_by_name, 4),
    (_look_up, 10),
    (_shell, 5),
    (_copy, 3),
    (_ftp, 4),
    (_measure, 3),
    (_talk("chat", TALK_TCP), 4),
    (_talk("ask", TALK_UDP), 4),
    (_talk("tell", (514,)), 1),
    (_ping, 2),
    (_knock, 0.1),
)
"""What there is to do, and how often."""
