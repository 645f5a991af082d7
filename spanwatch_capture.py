"""The part of the front door where captures come in: a file or a port into the stream, with its progress."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from api.files import NamedFile
from infra.kafka import producer, wait_until_reachable
from infra.settings import Settings
from infra.terminal import console
from schemas.captures import CaptureRow
from schemas.enums import Align
from streams.capture import CaptureRun
from streams.chunks import CapturePlan
from streams.files import CaptureFile, open_capture
from streams.frames import FrameSource
from streams.packet_files import OutputFile, PacketFile, PacketRing
from streams.pcapng_writer import file_header
from streams.port import LivePort, PortPlan, check_port, open_port
from streams.port_warm_up import warm_up_port
from streams.recording import RecordedSource, Recorder
from streams.unfinished import end_unfinished

notes = console(is_stderr=True)

NICE = -10
"""Priority of a live capture, where it may choose: whoever else waits a little loses nothing, it loses frames."""

ORPHAN_S = 10
"""How long a capture tries to send its end once whoever started it is gone: a stack's own broker went with it."""

MIB = 1 << 20

SPEED = click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    help="0: as fast as possible (default); 1: as it was; N: N times that.",
)
WINDOW = click.option("--window", "window_s", type=click.FloatRange(1, 300), help="Window size in seconds.")
ALIGN = click.option(
    "--align",
    type=click.Choice([align.value for align in Align]),
    default=Align.FIRST_PACKET.value,
    help="Where a file's windows begin: at its first packet (default), or at multiples of their size as a port's do.",
)

_PORT_OPTIONS = (
    click.option("--interface", help="Network interface to capture from, until Ctrl-C."),
    click.option("--filter", help="Capture filter, as tcpdump's."),
    click.option("--snaplen", type=int, help="Most bytes captured of a frame."),
    click.option("--duration", "duration_s", type=click.FloatRange(min=0), default=0.0, help="End after N seconds."),
    click.option(
        "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the frames to a pcapng file."
    ),
    click.option("--output-limit", type=click.IntRange(min=0), default=0, help="Most bytes of it; 0 sets no bound."),
    click.option("--fanout", type=click.IntRange(1, 64), default=1, help="Rings that share the interface's flows."),
    click.option("--promiscuous/--no-promiscuous", default=True, help="Take frames for other machines, too (default)."),
    click.option("--id", "capture_id", help="Name of the capture; made up unless told."),
)


def port_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a live capture to a command."""
    for option in reversed(_PORT_OPTIONS):
        command = option(command)
    return command


def plan_of(
    settings: Settings, capture_id: str, name: str, fingerprint: str = "", *, speed: float = 0.0, align: str = ""
) -> CapturePlan:
    """Return the plan of a capture by this stack's settings."""
    return CapturePlan(
        capture_id=capture_id,
        name=name,
        fingerprint=fingerprint,
        sensor=settings.sensor,
        window_ns=settings.window_ns,
        partitions=settings.partitions,
        speed=speed,
        align=Align(align or Align.FIRST_PACKET),
    )


def send_file(file: str, settings: Settings, capture_id: str, speed: float, align: str) -> None:
    """Read a file into the stream, with a progress bar.

    Raises
    ------
    CaptureError
        It is no capture.
    BrokerError
        Kafka does not take it.
    """
    path = None if file == "-" else Path(file)
    fingerprint = NamedFile(path.resolve(), file).fingerprint(settings.window_s) if path else ""
    if fingerprint and align != Align.FIRST_PACKET:
        # The API computes files from their first packet on and must not take this one for its own.
        fingerprint = f"{fingerprint}:{align}"
    plan = plan_of(settings, capture_id, file, fingerprint, speed=speed, align=align)
    with open_capture(path) as opened, _file_progress() as progress:
        _show_steps(CaptureRun(opened, plan, settings, producer(settings)), opened, progress)


def _show_steps(run: CaptureRun, opened: CaptureFile, progress: Progress) -> None:
    task = progress.add_task("reading", total=opened.file_bytes or None, rate="")
    began_s = time.monotonic()
    steps = run.steps()
    try:
        for row in steps:
            rate = row.packets / max(time.monotonic() - began_s, 1e-6)
            done = f"{row.packets:,} packets, {rate:,.0f}/s"
            progress.update(task, completed=opened.consumed_bytes, rate=done)
    finally:
        steps.close()


def _file_progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=notes)


def port_plan_of(settings: Settings, *, duration_s: float = 0.0, fanout: int = 1, promiscuous: bool = True) -> PortPlan:
    """Return how to capture from the interface of the settings."""
    return PortPlan(
        interface=settings.interface,
        filter=settings.filter,
        snap_bytes=settings.snaplen,
        ring_bytes=settings.ring_mib * MIB,
        rings=fanout,
        is_promiscuous=promiscuous,
        duration_s=duration_s,
    )


def send_port(
    plan: PortPlan, settings: Settings, capture_id: str, output: Path | None, limit_bytes: int = 0
) -> CaptureRow:
    """Capture from an interface into the stream until SIGINT, SIGTERM or its duration ends it; return how it ended.

    Parameters
    ----------
    output : Path or None
        A pcapng file that gets the frames as well; the settings say what the packet ring gets.
    limit_bytes : int
        Most bytes of that file; 0 sets no bound.

    Raises
    ------
    CaptureError
        The interface cannot be captured from, or is gone; or the output file cannot be written.
    BrokerError
        Kafka does not take it.
    """
    check_port(plan)
    wait_until_reachable(settings)
    sink = producer(settings)
    end_unfinished(settings, sink)
    with notes.status("loading machine code"):
        warm_up_port()
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    with open_port(plan) as port, _stopped_by_signals(port):
        header = file_header(port.link_type, plan.snap_bytes, plan.interface)
        files: list[PacketFile] = [OutputFile(output, header, limit_bytes)] if output else []
        if settings.packet_ring_bytes:
            files.append(PacketRing(settings.captures_folder, capture_id, header, settings.packet_ring_bytes))
        run = CaptureRun(_recorded(port, files), plan_of(settings, capture_id, plan.interface), settings, sink)
        _watch(run, plan.interface)
    return run.row


def _recorded(port: LivePort, files: list[PacketFile]) -> FrameSource:
    """Return the port, its frames written to disk where there is a file for them."""
    return RecordedSource(port, Recorder(files)) if files else port


@contextmanager
def _stopped_by_signals(port: LivePort) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM end a capture in order; another SIGINT does what it always does.

    Another SIGTERM does nothing: when whoever started the capture is killed, the kernel sends one for each of its
    threads that was the parent for a moment. Who has waited long enough sends SIGKILL.
    """
    starter = os.getppid()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(*_: object) -> None:
        port.stop()
        signal.signal(signal.SIGINT, before[signal.SIGINT])
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.Thread(target=_follow, args=(starter,), name="follow", daemon=True).start()

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(starter: int) -> None:
    """End this process, which is about to end, soon after the one that started it: its broker may be gone with it.

    The client would try to send the capture's end for two minutes. The note of ``streams.unfinished`` stays.
    """
    while os.getppid() == starter:
        time.sleep(0.2)
    time.sleep(ORPHAN_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _watch(run: CaptureRun, interface: str) -> None:
    """Take a capture to its end, telling on a terminal how it goes."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as progress:
        task = progress.add_task(interface)
        shown, shown_s = run.row, time.monotonic()
        steps = run.steps()
        try:
            for row in steps:
                now_s = time.monotonic()
                if now_s - shown_s >= 1:
                    rate = (row.packets - shown.packets) / (now_s - shown_s)
                    progress.update(task, description=f"{interface}: {_figures(row, rate)}{_sampled(run)}")
                    shown, shown_s = row, now_s
        finally:
            steps.close()
    row = run.row
    took_s = max(((row.ended_ns or row.started_ns) - row.started_ns) / 1e9, 1e-9)
    notes.print(f"{interface}: {_figures(row, row.packets / took_s)} in {took_s:.1f} s", highlight=False)


def _figures(row: CaptureRow, rate: float) -> str:
    return f"{row.packets:,} packets, {rate:,.0f}/s, {row.packets_lost:,} lost"


def _sampled(run: CaptureRun) -> str:
    return f", keeping {run.sampling_rate:.3g} of the flows" if run.sampling_rate < 1 else ""
