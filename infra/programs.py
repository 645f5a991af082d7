"""Programs of the machine that we use: which are missing, and how to install them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import MissingProgramError

MIN_JAVA = 17
"""Oldest Java that a Kafka 4 broker runs on (its class files have version 61)."""


@dataclass(frozen=True)
class Program:
    """A program that is not installed by pip.

    Parameters
    ----------
    name : str
        As it is called.
    package : str
        Debian and Ubuntu package that brings it.
    doc : str
        What it is needed for, completing "needed to …".
    """

    name: str
    package: str
    doc: str


JAVA = Program("java", "default-jre-headless", "run the local Kafka broker")
MAVEN = Program("mvn", "maven", "fetch Kafka's jars")
TSHARK = Program("tshark", "tshark", "dissect packets for people and to check ours against it")
NFT = Program("nft", "nftables", "cut addresses off")
PROGRAMS = (JAVA, MAVEN, TSHARK)


def find_java() -> str | None:
    """Return the path of the Java in ``JAVA_HOME`` or else in ``PATH``."""
    home = os.environ.get("JAVA_HOME", "")
    return (shutil.which("java", path=str(Path(home) / "bin")) if home else None) or shutil.which("java")


def java_version(java: str) -> int:
    """Return the feature version of a Java, 0 when it does not tell."""
    release = Path(java).resolve().parents[1] / "release"
    # Quicker than starting it; a Java packed differently has no such file.
    text = release.read_text(errors="replace") if release.is_file() else _version_text(java)
    found = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else 0


def require_java() -> str:
    """Return the path of a Java that is new enough.

    Raises
    ------
    MissingProgramError
        There is none, or it is too old.
    """
    java = find_java()
    if java is None:
        raise MissingProgramError(f"Java is not installed. {how_to_install([JAVA])}")
    version = java_version(java)
    if version < MIN_JAVA:
        raise MissingProgramError(
            f"{java} is Java {version or 'of an unknown version'}; {MIN_JAVA} or newer is needed. "
            f"{how_to_install([JAVA])} Or set JAVA_HOME."
        )
    return java


def missing_programs() -> list[Program]:
    """Return the programs of ``PROGRAMS`` that are not on this machine, in that order."""
    missing = [program for program in PROGRAMS if program is not JAVA and not shutil.which(program.name)]
    java = find_java()
    return missing if java and java_version(java) >= MIN_JAVA else [JAVA, *missing]


def how_to_install(programs: list[Program]) -> str:
    """Return one sentence that says what to install, with the command where the machine has apt."""
    packages = " ".join(program.package for program in programs)
    if shutil.which("apt-get"):
        return f"Install with: sudo apt-get install {packages}."
    names = ", ".join(f"{program.name} (needed to {program.doc})" for program in programs)
    return f"Install with your system's package manager: {names}."


def _version_text(java: str) -> str:
    run = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    return run.stderr + run.stdout
