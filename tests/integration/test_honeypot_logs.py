"""A real honeypot under a real attack, its log followed across a rotation and found through the API."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spanwatch_honeypots import honeypot_logs_command
from tests.integration.stack import Stack, until
from tests.streams.honeypots import COWRIE_LOG

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
MISSING = [name for name in ("ip", "hydra", "sshpass", "ssh") if shutil.which(name) is None]

needs_a_lab = pytest.mark.skipif(
    os.geteuid() != 0 or bool(MISSING),
    reason=f"needs root for network namespaces, and {', '.join(MISSING) or 'no more'}",
)

TRAP, ATTACKER = "10.78.0.1", "10.78.0.2"
WORDS = ("123456", "password", "qwerty", "letmein")


def logs(stack: Stack, **query: Any) -> list[dict[str, Any]]:
    found = stack.remote.get("/api/honeypots/logs", limit=1000, **query)["logs"]
    return [dict(line) for line in found]


def found_of_attacker(stack: Stack) -> list[dict[str, Any]]:
    return logs(stack, type="asyncssh", source_ip=ATTACKER)


@contextmanager
def following(stack: Stack, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Follow a log until the block ends."""
    command = [sys.executable, "-m", "spanwatch", "honeypot-logs", "--follow", str(log)]
    with subprocess.Popen(command, env=stack.environment, stdout=subprocess.PIPE, text=True) as reader:
        try:
            yield reader
        finally:
            reader.kill()


def said(done: subprocess.CompletedProcess[str] | str) -> dict[str, str]:
    """Return the report of a reading: what it says of each word."""
    text = done if isinstance(done, str) else done.stdout
    words = ("read", "understood", "new", "duplicates", "malformed")
    return {word: line[len(word) :].split()[0] for word in words for line in text.splitlines() if line.startswith(word)}


@contextmanager
def two_hosts() -> Iterator[tuple[list[str], list[str]]]:
    """Yield what runs a command on the honeypot's host, and on the attacker's."""
    names = [f"swtrap{os.getpid()}-{end}" for end in ("trap", "attacker")]
    with ExitStack() as opened:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            opened.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
        pair = ["ip", "-n", names[0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", names[1]]
        subprocess.run(pair, check=True)
        for name, address in zip(names, (TRAP, ATTACKER), strict=True):
            subprocess.run(["ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0"], check=True)
            for link in ("lo", "eth0"):
                subprocess.run(["ip", "-n", name, "link", "set", link, "up"], check=True)
        yield tuple(["ip", "netns", "exec", name] for name in names)  # type: ignore[misc]


@contextmanager
def honeypot(inside: list[str], log: Path) -> Iterator[None]:
    """Run the honeypot until the block ends."""
    command = [*inside, sys.executable, "-m", "lab.tools.ssh_honeypot", TRAP, str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as trap:
        try:
            assert trap.stdout is not None
            assert trap.stdout.readline() == "ready\n"
            yield
        finally:
            trap.terminate()


def ssh(inside: list[str], password: str, command: str) -> None:
    options = ["-p", "2222", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    line = [*inside, "sshpass", "-p", password, "ssh", *options, f"root@{TRAP}", command]
    assert subprocess.run(line, capture_output=True, timeout=60, check=False).returncode == 127


def lines_in(*files: Path) -> int:
    return sum(len(file.read_bytes().splitlines()) for file in files)


@needs_a_lab
def test_an_attack_on_a_honeypot_is_followed_across_a_rotation_and_found_once(stack: Stack, tmp_path: Path) -> None:
    log, rotated, words = tmp_path / "trap.jsonl", tmp_path / "trap.jsonl.1", tmp_path / "words"
    words.write_text("\n".join(WORDS) + "\n")
    with following(stack, log) as reader:
        with two_hosts() as (trap, attacker), honeypot(trap, log):
            hydra = ["hydra", "-l", "root", "-P", str(words), "-t", "2", "-I", "-s", "2222", TRAP, "ssh"]
            # hydra gives up when one of its own connections is lost.
            tries = (
                subprocess.run([*attacker, *hydra], capture_output=True, timeout=120, check=False) for _ in range(3)
            )
            assert any(done.returncode == 0 for done in tries)
            # A reader cannot know of a file that was gone before it came.
            until(lambda: len(found_of_attacker(stack)) == lines_in(log), 60, stack.said)
            log.rename(rotated)
            ssh(attacker, "letmein", "cat /etc/passwd")
        expected = lines_in(log, rotated)
        until(lambda: len(found_of_attacker(stack)) == expected, 60, stack.said)
        reader.send_signal(signal.SIGINT)
        report, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    assert said(report) == dict(zip(("read", "understood", "new"), [str(expected)] * 3, strict=True)) | {
        "duplicates": "0",
        "malformed": "0",
    }
    found = found_of_attacker(stack)
    tried = Counter((line["action"], line["password"]) for line in found if line["action"].startswith("login"))
    assert tried.keys() == {("login_failed", word) for word in WORDS[:3]} | {("login_success", "letmein")}
    assert [line["command"] for line in found if line["action"] == "command"] == ["cat /etc/passwd"]
    assert {line["destination_port"] for line in found} == {2222}
    active = stack.remote.get("/api/honeypots/")["honeypots"]
    assert [row["is_active"] for row in active if row["honeypot_type"] == "asyncssh"] == [True]
    again = stack.run("honeypot-logs", str(log), str(rotated))
    assert (again.returncode, said(again)["new"], said(again)["duplicates"]) == (0, "0", str(expected))


def test_a_file_with_malformed_lines_is_read_all_the_same(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "cowrie.json"
    lines = COWRIE_LOG.read_bytes()
    log.write_bytes(lines + b"nonsense\n\n\xff\xfe\n" + lines[:1000])
    done = stack.run("honeypot-logs", str(log))
    assert done.returncode == 3, done.stderr
    report = said(done)
    assert (report["new"], report["malformed"]) == ("67", "3")
    assert f"{log}:68: it is not JSON" in done.stdout
    assert f"{log}:70: it is not UTF-8: byte 0xff at column 1" in done.stdout
    letters = stack.remote.get("/api/honeypots/dead-letters")["dead_letters"]
    assert {68, 70} <= {letter["line"] for letter in letters if letter["file"] == str(log)}
    assert len(logs(stack, type="ssh", session="846aa467560a")) == 7


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["nowhere.json"], 1, "There is no file nowhere.json."),
        (["--from-end", str(COWRIE_LOG)], 1, "--from-end goes with --follow."),
        (["--follow", "-"], 1, "Standard input cannot be followed"),
        (["--type", "smtp", str(COWRIE_LOG)], 2, "'smtp' is not one of"),
        (["--dry-run", str(ROOT)], 1, "Nothing could be read."),
        ([], 2, "Missing argument"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(options: list[str], status: int, says: str) -> None:
    done = CliRunner().invoke(honeypot_logs_command, options)
    assert (done.exit_code, says in done.output) == (status, True), done.output


def test_a_dry_run_needs_nothing_that_runs() -> None:
    done = CliRunner().invoke(honeypot_logs_command, ["--dry-run", str(COWRIE_LOG)])
    assert done.exit_code == 0
    assert "understood  67  (ssh 67)" in done.output
    assert "new" not in done.output
