"""The lab's command line."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lab.errors import LabError
from lab.labels import BENIGN
from lab.mix import DURATION_S
from lab.mix import mix as record_mix
from lab.mix import ordinary as record_ordinary
from lab.network import REPOSITORY, remove_leftovers
from lab.programs import missing_programs, require_privileges
from lab.record import SCENARIOS, Recording
from lab.record import record as record_scenario
from lab.scenarios import Scenario
from lab.varied import RECIPE, varied

_OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=REPOSITORY / ".local" / "lab",
    show_default=".local/lab",
    help="Folder for NAME.pcap and NAME.labels.csv.",
)
_console = Console()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    r"""Record labelled captures of real programs in a small network of namespaces.

    The lab builds ten hosts and a switch out of network namespaces, starts real servers (nginx, sshd, vsftpd,
    dnsmasq, iperf3), lets real clients and attack tools talk to them, records what passes the switch, and
    says in a label file what was what. Nothing leaves the namespaces, and everything is removed at the end.

    It needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN) and the Debian packages in lab/packages.txt.

    \b
    Examples:
      python -m lab list                      what can be recorded
      python -m lab record web scan-syn       two captures under .local/lab
      python -m lab all --out /tmp/captures   every scenario, about five minutes
      python -m lab mix                       the bundled sample, five minutes of event time

    docs/lab.md has the topology, the label format, and how to add a scenario.
    """


@main.command("list")
def list_scenarios() -> None:
    """Show every scenario, its classes, and what is missing to record it."""
    table = Table(box=None, pad_edge=False)
    for column in ("scenario", "class", "what", "missing here"):
        table.add_column(column, no_wrap=column == "scenario")
    for scenario in SCENARIOS.values():
        missing = ", ".join(missing_programs(scenario.programs))
        table.add_row(scenario.name, ", ".join(scenario.classes), scenario.title, missing)
    _console.print(table)


@main.command()
@click.argument("names", metavar="SCENARIO...", nargs=-1, required=True)
@_OUT
def record(names: tuple[str, ...], out: Path) -> None:
    """Record the named scenarios (`list` shows the names)."""
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise click.BadParameter(f"no such scenario: {', '.join(unknown)}. Try: python -m lab list")
    _record_each([SCENARIOS[name] for name in names], out)


@main.command("all")
@_OUT
def record_all(out: Path) -> None:
    """Record every scenario, one after the other; what fails is named at the end."""
    _record_each(list(SCENARIOS.values()), out)


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=REPOSITORY / "samples",
    show_default="samples",
    help="Folder for mixed.pcap.gz and mixed.labels.csv.",
)
@click.option("--seconds", type=click.IntRange(70), default=DURATION_S, show_default=True, help="How long.")
def mix(out: Path, seconds: int) -> None:
    """Record the bundled sample: ordinary work with attacks at known times inside."""
    with _progress() as progress:
        task = progress.add_task("setting up", total=seconds)

        def tell(at_s: float, doing: str) -> None:
            if doing in SCENARIOS:
                progress.console.print(f"{at_s:4.0f} s  {doing}")
            progress.update(task, completed=at_s, description=doing)

        recording = record_mix(out, tell, seconds)
    _report([recording])


@main.command()
@_OUT
@click.option("--seconds", type=click.IntRange(10), default=3600, show_default=True, help="How long.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one gives other work.")
def ordinary(out: Path, seconds: int, seed: int) -> None:
    """Record ordinary work without any attack: what benign hours look like."""
    with _progress() as progress:
        task = progress.add_task("setting up", total=seconds)
        recording = record_ordinary(
            out,
            lambda at_s, doing: progress.update(task, completed=at_s, description=doing),
            seconds,
            seed,
            f"ordinary-{seed}",
        )
    _report([recording])


@main.command()
@_OUT
@click.option("--seconds", type=click.IntRange(30), default=300, show_default=True, help="How long.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one gives other links, ports and work.")
@click.option("--held-out", is_flag=True, help="Also use the programs that captures for training leave out.")
@click.option("--only", multiple=True, help="Name of an attack, as the progress shows it; several. All unless given.")
def vary(out: Path, seconds: int, seed: int, held_out: bool, only: tuple[str, ...]) -> None:
    """Record work and attacks with parameters and links by chance: to train and judge the classifier."""
    with _progress() as progress:
        task = progress.add_task("setting up", total=seconds)

        def tell(at_s: float, doing: str) -> None:
            progress.console.print(f"{at_s:4.0f} s  {doing}")
            progress.update(task, completed=at_s, description=doing)

        recording = varied(out, tell, seconds, seed, is_held_out=held_out, only=only)
    _report([recording])


@main.command()
@_OUT
def recipe(out: Path) -> None:
    """Record all captures that the shipped classifier was trained, chosen and judged with: an hour and a half."""
    with _progress() as progress:
        task = progress.add_task("", total=len(RECIPE))
        for take in RECIPE:
            progress.update(task, description=f"{take.folder} {take.seed}")
            words = (take.duration_s, take.seed)
            varied(out / take.folder, lambda *_: None, *words, is_held_out=take.is_held_out, only=take.only)
            progress.advance(task)


@main.command()
def clean() -> None:
    """Remove namespaces left behind by a lab that was killed."""
    require_privileges()
    for name in remove_leftovers():
        _console.print(f"removed {name}")


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description:<20}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=_console)


def _record_each(scenarios: Sequence[Scenario], out: Path) -> None:
    require_privileges()
    done: list[Recording] = []
    failed: dict[str, LabError] = {}
    with _progress() as progress:
        task = progress.add_task("", total=len(scenarios))
        for scenario in scenarios:
            progress.update(task, description=scenario.name)
            begun_s = time.monotonic()
            try:
                done.append(record_scenario(scenario, out))
            except LabError as error:
                failed[scenario.name] = error
                progress.console.print(f"[red]failed[/] {scenario.name}: {error}")
            else:
                progress.console.print(f"recorded {scenario.name} in {time.monotonic() - begun_s:.0f} s")
            progress.advance(task)
    _report(done)
    if failed:
        raise LabError(f"Not recorded: {', '.join(failed)}")


def _report(recordings: Sequence[Recording]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("capture", "kB", "packets", "classes", "links by"):
        table.add_column(column, justify="right" if column in ("kB", "packets") else "left")
    for recording in recordings:
        counts = recording.packets
        attacks = ", ".join(f"{name} {counts[name]}" for name in counts if name != BENIGN) or BENIGN
        size = f"{recording.capture.stat().st_size / 1e3:.0f}"
        table.add_row(str(recording.capture), size, str(counts.total()), attacks, recording.emulator)
    _console.print(table)


def _raise_exit(*_: object) -> None:
    raise SystemExit(143)


def run() -> None:
    """Run the command line; errors of the lab become one sentence and exit status 1."""
    # A plain kill unwinds like Ctrl-C does, so that the network is taken down.
    signal.signal(signal.SIGTERM, _raise_exit)
    try:
        main.main(standalone_mode=True, prog_name="python -m lab")
    except LabError as error:
        Console(stderr=True).print(f"[red]lab:[/] {error}", highlight=False, markup=True)
        sys.exit(1)


if __name__ == "__main__":
    run()
