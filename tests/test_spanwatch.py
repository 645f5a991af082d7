"""The front door as people meet it: what its commands say of themselves, and how a shell completes them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from api.commands_completion import SHELLS
from spanwatch import COMMANDS, main
from tests.ports import free_ports

ROOT = Path(__file__).parents[1]

LINE = 80
"""Columns of the narrowest terminal in use."""


def walk(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))


EVERY = {" ".join(path): (path, command) for path, command in walk(main)}


def shown(*arguments: str) -> str:
    done = CliRunner().invoke(main, [*arguments, "--help"], terminal_width=LINE, prog_name="spanwatch")
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", EVERY)
def test_every_command_says_what_it_does_and_shows_an_example(name: str) -> None:
    path, command = EVERY[name]
    text = shown(*path)
    summary = command.get_short_help_str(limit=200)
    assert summary
    assert not summary.endswith("...")
    assert summary in " ".join(text.split())
    takes = [one for one in command.params if isinstance(one, click.Argument)]
    if takes or isinstance(command, click.Group):
        examples = [line for line in text.splitlines() if f"spanwatch {path[0]} " in line]
        assert len(examples) > 1, "the first one is the usage line"


@pytest.mark.parametrize("path", [(), *(path for path, command in EVERY.values() if isinstance(command, click.Group))])
def test_no_summary_in_a_list_of_commands_is_cut_off(path: tuple[str, ...]) -> None:
    listed = shown(*path).partition("Commands:\n")[2].partition("\n\n")[0]
    assert listed
    assert "..." not in listed
    assert all(len(line) <= LINE for line in listed.splitlines())


def test_what_the_front_door_says_of_a_command_is_what_the_command_says() -> None:
    said = {name: entry.summary.removesuffix(".") for name, entry in COMMANDS.items()}
    own = {path[0]: command.get_short_help_str(limit=200) for path, command in walk(main) if len(path) == 1}
    assert {name: summary.removesuffix(".") for name, summary in own.items()} == said


def test_help_loads_no_command() -> None:
    heavy = ("faust", "pyarrow", "numba", "fastapi", "matplotlib", "chdb")
    code = "import sys; from click.testing import CliRunner; import spanwatch\n"
    code += "assert CliRunner().invoke(spanwatch.main, ['--help']).exit_code == 0\n"
    code += f"print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("is_silent", [True, False])
@pytest.mark.parametrize("command", ["up", "api", "migrate"])
def test_a_clickhouse_that_does_not_answer_is_told_of_before_anything_is_loaded(
    tmp_path: Path, command: str, is_silent: bool
) -> None:
    program = "import atexit, sys; from spanwatch import main; atexit.register(lambda: print(*sys.modules)); main()"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if is_silent else free_ports(1)[0]
        settings = {"SPANWATCH_CLICKHOUSE": f"http://127.0.0.1:{port}/db", "SPANWATCH_STATE": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", program, command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=ROOT,
            env={**os.environ, **settings},
        )
    assert done.returncode == 1
    assert done.stderr == f"Error: the server 127.0.0.1:{port} does not answer; is ClickHouse running there?\n"
    assert not {"spanwatch_service", "river"} & set(done.stdout.split())


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_script_of_a_shell_asks_spanwatch(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_SPANWATCH_COMPLETE={shell}_complete" in done.output


def completed(*words: str) -> list[tuple[str, str]]:
    found = BashComplete(main, {}, "spanwatch", "_SPANWATCH_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return [(one.type, one.value) for one in found]


def test_commands_choices_and_files_are_completed() -> None:
    assert completed("ana") == [("plain", "analyze")]
    assert completed("export", "win") == [("plain", "windows")]
    assert completed("analyze", "--fail-on", "") == [("plain", "low"), ("plain", "medium"), ("plain", "high")]
    assert completed("analyze", "samples/mi") == [("file", "samples/mi")]
    assert completed("analyze", "--html", "rep") == [("file", "rep")]
    assert completed("model", "ro") == [("plain", "rollback")]


def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).output
    done = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p spanwatch"], capture_output=True, text=True, check=True
    )
    assert "_spanwatch_completion" in done.stdout
