"""Ordinary traffic: web, names, shells, file transfer and bulk, on clean and on bad links."""

from __future__ import annotations

import random
from collections.abc import Callable

from lab.labels import BENIGN, TCP, UDP
from lab.link import Impairment
from lab.network import Host
from lab.scenarios import Scenario, Stage
from lab.servers import (
    PASSWORD,
    USER,
    WEB_FILES,
    start_bulk,
    start_dns,
    start_ftp,
    start_ssh,
    start_web,
)

LOSS = Impairment(delay_ms=10, jitter_ms=2, loss_percent=3)
DELAY = Impairment(delay_ms=60, jitter_ms=15)
REORDER = Impairment(delay_ms=15, reorder_percent=8, duplicate_percent=0.5)
FAR = Impairment(delay_ms=18, jitter_ms=4, loss_percent=1.5, reorder_percent=0.5, rate_mbit=20)
"""A far office behind a line of 20 Mbit/s; `bob` lives there in the mixed capture."""
_BAD_LINKS = {"loss": LOSS, "delay": DELAY, "reorder": REORDER}
_SSH_PROGRAMS = ("sshd", "ssh", "scp", "sshpass", "openssl")


def fetch(stage: Stage, client: str, *names: str, family: int = 4, scheme: str = "http") -> None:
    """Fetch files from `web` over one connection, by address."""
    web = stage.host("web")
    address = web.ipv4 if family == 4 else f"[{web.ipv6}]"
    words = [word for name in names for word in ("-o", "/dev/null", f"{scheme}://{address}/{name}")]
    stage.host(client).run("curl", "-gsk", "--max-time", "20", *words)


def fetch_by_name(stage: Stage, client: str, name: str, site: int) -> None:
    """Fetch a page by name, so that a name is looked up first."""
    url = f"http://site{site}.lab/{name}"
    stage.host(client).run("curl", "-s", "--max-time", "20", "-o", "/dev/null", url)


def look_up(stage: Stage, client: str, name: str, kind: str = "A", family: int = 4, *more: str) -> None:
    """Ask `dns` one question."""
    dns = stage.host("dns")
    address = dns.ipv4 if family == 4 else dns.ipv6
    stage.host(client).run("dig", f"@{address}", "+tries=2", "+time=2", *more, name, kind)


def shell(stage: Stage, client: str, command: str, family: int = 4) -> None:
    """Run a command on `files` over SSH, with the password."""
    host, files = stage.host(client), stage.host("files")
    target = f"{USER}@{files.ipv4 if family == 4 else files.ipv6}"
    host.run("sshpass", "-p", PASSWORD, "ssh", *ssh_options(host), target, command, timeout_s=30)


def copy(stage: Stage, client: str, name: str) -> None:
    """Copy a file from `files` over SSH, with the key."""
    host, files = stage.host(client), stage.host("files")
    key = ["-i", str(stage.network.folder / "client_key")]
    source = f"{USER}@{files.ipv4}:{name}"
    host.run("scp", "-q", *key, *ssh_options(host), source, "/dev/null", timeout_s=30)


def transfer(stage: Stage, client: str, name: str, *, is_upload: bool = False, family: int = 4) -> None:
    """Get or put a file by FTP."""
    host, files = stage.host(client), stage.host("files")
    address = files.ipv4 if family == 4 else f"[{files.ipv6}]"
    url = f"ftp://{address}/{name}"
    words = ["-gs", "--max-time", "20", "--user", f"{USER}:{PASSWORD}"]
    if is_upload:
        local = host.folder / "upload.bin"
        local.write_bytes(bytes(WEB_FILES[name]))
        host.run("curl", *words, "-T", str(local), f"ftp://{address}/from-{client}-{name}")
    else:
        host.run("curl", *words, "-o", "/dev/null", url)


def bulk(
    stage: Stage,
    client: str,
    *more: str,
    rate: str = "6M",
    seconds: int = 3,
    port: int = 5201,
    family: int = 4,
) -> None:
    """Send to `files` with iperf3 for some seconds; ``-R`` in `more` makes it receive."""
    files = stage.host("files")
    words = [
        "--client",
        files.ipv4 if family == 4 else files.ipv6,
        "--port",
        str(port),
        "--time",
        str(seconds),
    ]
    stage.host(client).run("iperf3", *words, "--bitrate", rate, *more, timeout_s=seconds + 20)


def background(stage: Stage, client: str, port: int, chance: random.Random) -> None:
    """Do one ordinary thing, chosen by `chance`; `port` is the client's own iperf3 server."""
    family = chance.choice([4, 4, 6])
    pages = chance.choices(["1k.bin", "10k.bin", "100k.bin", "index.html"], [4, 4, 1, 4], k=chance.randint(1, 5))
    application = chance.choice([f"app/item?id={chance.randint(1, 150)}", "app/search?q=lamp", "app/login"])
    question, kind = f"site{chance.randint(0, 24)}.lab", chance.choice(["A", "AAAA", "MX"])
    ways: list[tuple[float, Callable[[], None]]] = [
        (8, lambda: fetch(stage, client, *pages, family=family)),
        (4, lambda: fetch(stage, client, application, family=family)),
        (3, lambda: fetch(stage, client, pages[0], family=family, scheme="https")),
        (4, lambda: fetch_by_name(stage, client, pages[0], chance.randint(0, 19))),
        (8, lambda: look_up(stage, client, question, kind, family)),
        (2, lambda: shell(stage, client, "ls -l; uptime; cat /etc/hostname", family)),
        (1, lambda: copy(stage, client, "100k.bin")),
        (2, lambda: transfer(stage, client, "10k.bin", is_upload=chance.random() < 0.5, family=family)),
        (0.7, lambda: bulk(stage, client, *chance.choice([(), ("-R",)]), rate="1M", seconds=4, port=port)),
    ]
    way = chance.choices([action for _, action in ways], [weight for weight, _ in ways])[0]
    way()


def ssh_options(host: Host) -> list[str]:
    """Return options of ssh and scp that ask nothing."""
    known = f"UserKnownHostsFile={host.folder}/known_hosts"
    return ["-o", "StrictHostKeyChecking=no", "-o", known, "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"]


def _web(client: str) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        with stage.label_pair(BENIGN, "curl and nginx", stage.host(client), stage.host("web"), 80, TCP):
            for family in (4, 6):
                fetch(stage, client, *WEB_FILES, family=family)
                fetch(stage, client, "1k.bin", "app/item?id=3", family=family)
        with stage.label_pair(BENIGN, "curl and nginx, TLS", stage.host(client), stage.host("web"), 443, TCP):
            fetch(stage, client, "10k.bin", "100k.bin", scheme="https")
            fetch(stage, client, "10k.bin", scheme="https", family=6)

    return action


def _dns(stage: Stage) -> None:
    client, server = stage.host("alice"), stage.host("dns")
    with stage.label_pair(BENIGN, "dig and dnsmasq", client, server, 53, UDP):
        for number in range(24):
            look_up(stage, "alice", f"site{number}.lab", ("A", "AAAA")[number % 2], (4, 6)[number // 2 % 2])
        look_up(stage, "alice", "lab", "MX")
        look_up(stage, "alice", "lab", "TXT")
        look_up(stage, "alice", "nowhere.example")
    with stage.label_pair(BENIGN, "dig and dnsmasq, TCP", client, server, 53, TCP):
        look_up(stage, "alice", "web.lab", "A", 4, "+tcp")
        look_up(stage, "alice", "web.lab", "A", 6, "+tcp")


def _ssh(stage: Stage) -> None:
    with stage.label_pair(BENIGN, "ssh, scp and sshd", stage.host("alice"), stage.host("files"), 22, TCP):
        shell(stage, "alice", "ls -l; sleep 1; uptime")
        shell(stage, "alice", "cat 100k.bin > /dev/null; echo done", family=6)
        copy(stage, "alice", "1m.bin")


def _ftp(stage: Stage) -> None:
    # Any port of the server: the transfers have connections of their own.
    with stage.label_pair(BENIGN, "curl and vsftpd", stage.host("alice"), stage.host("files"), None, TCP):
        for family in (4, 6):
            transfer(stage, "alice", "100k.bin", family=family)
            transfer(stage, "alice", "10k.bin", is_upload=True, family=family)
        transfer(stage, "alice", "1m.bin")


def _bulk(client: str) -> Callable[[Stage], None]:
    def action(stage: Stage) -> None:
        host, files = stage.host(client), stage.host("files")
        with stage.label_pair(BENIGN, "iperf3", host, files, 5201, TCP):
            bulk(stage, client)
            bulk(stage, client, "-R")
            bulk(stage, client, family=6, seconds=2)
        with stage.label_pair(BENIGN, "iperf3 --udp", host, files, 5202, UDP):
            bulk(stage, client, "--udp", rate="2M", seconds=2, port=5202)
            bulk(stage, client, "--udp", rate="2M", seconds=1, port=5202, family=6)

    return action


def _variants(
    name: str, title: str, programs: tuple[str, ...], scenario_of: Callable[[str], Callable[[Stage], None]]
) -> list[Scenario]:
    start = start_web if name == "web" else start_bulk
    clean = Scenario(name, title, (BENIGN,), programs, (start,), scenario_of("alice"))
    impaired = [
        Scenario(
            f"{name}-{kind}",
            f"{title.rstrip('.')}, over a link with {kind}.",
            (BENIGN,),
            programs,
            (start,),
            scenario_of("bob"),
            {"bob": link},
        )
        for kind, link in _BAD_LINKS.items()
    ]
    return [clean, *impaired]


BENIGN_SCENARIOS = (
    *_variants("web", "Files from 1 kB to 1 MB over HTTP and HTTPS.", ("nginx", "curl", "openssl"), _web),
    Scenario("dns", "Questions of several kinds.", (BENIGN,), ("dnsmasq", "dig"), (start_dns,), _dns),
    Scenario("ssh", "Commands and copies over SSH.", (BENIGN,), _SSH_PROGRAMS, (start_ssh,), _ssh),
    Scenario("ftp", "Files up and down by FTP.", (BENIGN,), ("vsftpd", "curl", "openssl"), (start_ftp,), _ftp),
    *_variants("bulk", "Bulk transfer both ways, and UDP.", ("iperf3",), _bulk),
)
