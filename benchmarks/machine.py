"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    "spanwatch",
    "numpy",
    "numba",
    "pyarrow",
    "chdb",
    "clickhouse-connect",
    "faust-streaming",
    "aiokafka",
    "confluent-kafka",
    "fastapi",
    "nfstream",
)
POM = Path(__file__).resolve().parents[1] / "infra" / "kafka" / "pom.xml"


def machine() -> dict[str, str]:
    """Return processor, memory, system, date and load, in words."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    load = os.getloadavg()[0]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": cpu.group(1) if cpu else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before the start": f"{load:.2f}",
    }


def versions() -> dict[str, str]:
    """Return the version of everything that is measured."""
    found = {"Python": platform.python_version(), "Kafka": _kafka(), "Java": _first_line("java", "-version")}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    found["tshark"] = _first_line("tshark", "--version")
    return found


def _kafka() -> str:
    match = re.search(r"<kafka\.version>(\d[^<]*)</", POM.read_text())
    return match.group(1) if match else "unknown"


def _first_line(program: str, option: str) -> str:
    if shutil.which(program) is None:
        return "not installed"
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if re.search(r"\d+\.\d+", line)]
    return lines[0].strip() if lines else "unknown"
