"""Which programs the lab runs, which Debian package brings each, and what is missing here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.errors import MissingPrivilegeError, MissingProgramError

PACKAGES = {
    "ab": "apache2-utils",
    "curl": "curl",
    "dig": "dnsutils",
    "dnsmasq": "dnsmasq-base",
    "hping3": "hping3",
    "hydra": "hydra",
    "ip": "iproute2",
    "iperf3": "iperf3",
    "nginx": "nginx-light",
    "nmap": "nmap",
    "openssl": "openssl",
    "scp": "openssh-client",
    "slowhttptest": "slowhttptest",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "sshpass": "sshpass",
    "tc": "iproute2",
    "tcpdump": "tcpdump",
    "vsftpd": "vsftpd",
}
"""Program -> the Debian package that installs it; ``lab/packages.txt`` lists the same packages."""

ALWAYS = ("ip", "tc", "tcpdump")
"""What every scenario needs."""

_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
_CAP_NET_ADMIN = 12  # linux/capability.h
_CAP_SYS_ADMIN = 21  # linux/capability.h; `ip netns` mounts


def program(name: str) -> str:
    """Return the full path of a program.

    Raises
    ------
    MissingProgramError
        When it is not installed; the message names the Debian package.
    """
    found = shutil.which(name, path=_SEARCH_PATH)
    if found is None:
        raise MissingProgramError(_advice([name]))
    return found


def missing_programs(names: Iterable[str]) -> list[str]:
    """Return those of `names` that are not installed, in order."""
    return [name for name in names if shutil.which(name, path=_SEARCH_PATH) is None]


def require_programs(names: Iterable[str]) -> None:
    """Raise MissingProgramError naming everything that is missing at once."""
    missing = missing_programs(dict.fromkeys(names))
    if missing:
        raise MissingProgramError(_advice(missing))


def require_privileges() -> None:
    """Raise MissingPrivilegeError unless namespaces can be made here."""
    lacking = []
    if os.geteuid() != 0:
        lacking.append("root")
    effective = _effective_capabilities()
    if not effective >> _CAP_NET_ADMIN & 1:
        lacking.append("CAP_NET_ADMIN")
    if not effective >> _CAP_SYS_ADMIN & 1:
        lacking.append("CAP_SYS_ADMIN")
    if lacking:
        raise MissingPrivilegeError(
            f"The lab makes network namespaces and needs {' and '.join(lacking)}, which this process does "
            "not have. Run it with sudo, or in a container started with --cap-add NET_ADMIN,SYS_ADMIN."
        )


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _advice(missing: list[str]) -> str:
    packages = sorted({PACKAGES.get(name, name) for name in missing})
    return f"Missing: {', '.join(missing)}. On Debian: apt-get install {' '.join(packages)}"
