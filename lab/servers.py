"""The servers of the lab, each with its own configuration and keys in the run's folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from lab import processes
from lab.errors import ServerError
from lab.network import NETNS_FOLDER, Host, Network
from lab.processes import Server
from lab.programs import program

USER, PASSWORD = "lab", "correct-horse-7"
"""An account that exists only inside the namespaces of ``files``."""
_USER_ID = 7077
WEB_FILES = {"1k.bin": 1_000, "10k.bin": 10_000, "100k.bin": 100_000, "1m.bin": 1_000_000}
_TLS_PORT = 443
WEB_PORTS, TLS_PORTS = (80, 3000, 8000, 8888), (_TLS_PORT, 9443)
SSH_PORTS, FTP_PORTS = (22, 902, 2222), (21, 2121)
"""Where services listen: one can be where nobody expects it, and attacks find it there."""


def start_web(net: Network) -> None:
    """Start nginx on `web`: files, and in front of the small vulnerable application at ``/app/``."""
    web = net.host("web")
    root = web.folder / "www"
    root.mkdir()
    for name, size_bytes in WEB_FILES.items():
        (root / name).write_bytes(bytes(i * 31 % 251 for i in range(size_bytes)))
    (root / "index.html").write_text("<html><body><h1>The lab</h1></body></html>\n")
    _certificate(web.folder)
    configuration = web.folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=web.folder, tls_port=_TLS_PORT))
    web.start_module("lab.tools.vulnerable_app", "8080")
    server = web.start("nginx", "nginx", "-p", str(web.folder), "-c", str(configuration))
    await_port(web, server, 80)
    await_port(web, server, 8080)


def start_dns(net: Network) -> None:
    """Start dnsmasq on `dns`: answers for ``*.lab`` and says NXDOMAIN to everything else."""
    dns = net.host("dns")
    records = []
    for host in net.hosts.values():
        records.append(f"host-record={host.name}.lab,{host.ipv4},{host.ipv6}")
    records += [f"host-record=site{i}.lab,{net.host('web').ipv4},{net.host('web').ipv6}" for i in range(20)]
    records += ["txt-record=lab,v=spf1 -all", "mx-host=lab,files.lab,10", "local=/#/"]
    configuration = dns.folder / "dnsmasq.conf"
    configuration.write_text("\n".join([*_DNSMASQ, f"pid-file={dns.folder}/dnsmasq.pid", *records]) + "\n")
    server = dns.start("dnsmasq", "dnsmasq", "--keep-in-foreground", f"--conf-file={configuration}")
    await_port(dns, server, 53)


def start_ssh(net: Network) -> None:
    """Start sshd on `files`, with a password account and a key for it in the clients' folders."""
    files = net.host("files")
    _account(files)
    key = files.folder / "host_key"
    files.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key), check=True)
    client_key = net.folder / "client_key"
    files.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(client_key), check=True)
    authorized = files.folder / "authorized_keys"
    authorized.write_text(client_key.with_suffix(".pub").read_text())
    configuration = files.folder / "sshd_config"
    configuration.write_text(_SSHD.format(folder=files.folder))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    options = ["-D", "-e", "-f", str(configuration)]
    # Newer OpenSSH locks out an address after failed logins, which would end the brute force early.
    if files.run("sshd", "-t", "-f", str(configuration), "-o", "PerSourcePenalties=no").returncode == 0:
        options += ["-o", "PerSourcePenalties=no"]
    server = files.start("sshd", program("sshd"), *options)
    await_port(files, server, 22)


def start_ftp(net: Network) -> None:
    """Start vsftpd on `files` for the same account, with passive transfers, on its port and on another."""
    files = net.host("files")
    _account(files)
    (files.folder / "empty").mkdir(mode=0o755)
    for port in FTP_PORTS:
        configuration = files.folder / f"vsftpd-{port}.conf"
        configuration.write_text(_VSFTPD.format(folder=files.folder, port=port))
        server = files.start(f"vsftpd-{port}", "vsftpd", str(configuration))
        await_port(files, server, port)


def start_bulk(net: Network) -> None:
    """Start iperf3 servers on `files`, one per client that may measure at the same time."""
    files = net.host("files")
    for port in (5201, 5202, 5203):
        server = files.start(f"iperf3-{port}", "iperf3", "--server", "--port", str(port))
        await_port(files, server, port)


def start_command_and_control(net: Network) -> None:
    """Start the server that infected hosts report to, on `c2`."""
    c2 = net.host("c2")
    server = c2.start_module("lab.tools.c2_server", "8443")
    await_port(c2, server, 8443)


def start_heartbleed(net: Network) -> None:
    """Start a TLS responder on `web` that answers heartbeats as OpenSSL 1.0.1 did."""
    web = net.host("web")
    server = web.start_module("lab.tools.heartbleed_server", "4433")
    await_port(web, server, 4433)


def start_infiltrator(net: Network) -> None:
    """Start on `trudy` what a trojan is fetched from and connects back to."""
    trudy = net.host("trudy")
    server = trudy.start_module("lab.tools.infiltration", "handler", "4444", "8000")
    await_port(trudy, server, 4444)


def _account(host: Host) -> None:
    """Make the account of the namespace: its own passwd and shadow, nothing of the machine's."""
    settings = NETNS_FOLDER / host.namespace
    if (settings / "passwd").exists():
        return
    home = host.folder / "home"
    home.mkdir()
    for name, size_bytes in WEB_FILES.items():
        (home / name).write_bytes(bytes(i * 17 % 253 for i in range(size_bytes)))
    hashed = processes.run([program("openssl"), "passwd", "-6", PASSWORD]).stdout.strip()
    passwd, shadow = Path("/etc/passwd").read_text(), Path("/etc/shadow").read_text()
    (settings / "passwd").write_text(f"{passwd}{USER}:x:{_USER_ID}:{_USER_ID}::{home}:/bin/sh\n")
    (settings / "shadow").write_text(f"{shadow}{USER}:{hashed}:19000:0:99999:7:::\n")
    (settings / "shadow").chmod(0o600)
    (settings / "group").write_text(f"{Path('/etc/group').read_text()}{USER}:x:{_USER_ID}:\n")
    processes.run([program("chown"), "-R", f"{_USER_ID}:{_USER_ID}", str(home)])


def _certificate(folder: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=web.lab",
    ]
    command[0] = program("openssl")
    processes.run([*command, "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")])


def await_port(host: Host, server: Server, port: int) -> None:
    """Wait until something listens on the TCP port.

    Raises
    ------
    ServerError
        When the server ended, or nothing listens after 10 s.
    """
    deadline_s = time.monotonic() + 10
    while port not in _listening_ports(host):
        if not server.is_running() or time.monotonic() > deadline_s:
            raise ServerError(f"{server.name} did not come up on port {port}:\n{server.tail(10)}")
        time.sleep(0.05)


def _listening_ports(host: Host) -> set[int]:
    text = host.run("cat", "/proc/net/tcp", "/proc/net/tcp6", check=True).stdout
    rows: Sequence[list[str]] = [line.split() for line in text.splitlines()]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == "0A"}


_NGINX = """\
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout 15s;
    server {{
        listen [::]:8000 ipv6only=off;
        listen [::]:8888 ipv6only=off;
        client_header_timeout 300s;
        client_body_timeout 300s;
        send_timeout 300s;
        keepalive_timeout 75s;
        root {folder}/www;
        location /app/ {{ proxy_pass http://127.0.0.1:8080/; }}
    }}
    server {{
        listen [::]:80 ipv6only=off;
        listen [::]:3000 ipv6only=off;
        listen [::]:{tls_port} ssl ipv6only=off;
        listen [::]:9443 ssl ipv6only=off;
        ssl_certificate {folder}/tls.crt;
        ssl_certificate_key {folder}/tls.key;
        root {folder}/www;
        location /app/ {{ proxy_pass http://127.0.0.1:8080/; }}
    }}
}}
"""

_DNSMASQ = ["no-resolv", "no-hosts", "user=root", "bind-interfaces", "listen-address=10.77.0.53,fd00:77::53"]

_SSHD = """\
Port 22
Port 902
Port 2222
ListenAddress 0.0.0.0
ListenAddress ::
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication yes
MaxStartups 100
MaxAuthTries 6
UseDNS no
PrintMotd no
Subsystem sftp internal-sftp
"""

_VSFTPD = """\
listen=NO
listen_ipv6=YES
listen_port={port}
background=NO
anonymous_enable=NO
local_enable=YES
write_enable=YES
pam_service_name=vsftpd
secure_chroot_dir={folder}/empty
xferlog_enable=NO
seccomp_sandbox=NO
session_support=NO
pasv_min_port=40000
pasv_max_port=40100
max_per_ip=50
"""
