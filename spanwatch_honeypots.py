"""The part of the front door where honeypots' logs come in: files into the stream, once or as they grow."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from agents.sender import Sender
from api.compute import new_capture_id
from api.remote import RemoteStack
from infra.command_errors import plainly
from infra.kafka import producer
from infra.lag import GroupOffsets
from infra.settings import Settings, load_settings
from infra.terminal import console
from infra.topics import create_topics
from schemas.errors import CaptureError, SettingsError, SpanwatchError
from schemas.honeypots import HoneypotType
from schemas.topics import HONEYPOT_DEAD_LETTERS, HONEYPOT_LOGS, STORAGE_GROUP, Topic
from streams.honeypot_files import STDIN, FollowedLog, LogFile
from streams.honeypot_topic import LogReading, ReadCount, Send, send_nothing
from streams.wire import KafkaHeaders

out = console()
notes = console(is_stderr=True)

TOPICS = (HONEYPOT_LOGS, HONEYPOT_DEAD_LETTERS)

KEY = b"honeypots"
"""One key, one partition: what is stored already is looked for in the order of the messages."""

LOOK_S = 0.25
"""Pause between two looks at files that are followed."""

STALL_S = 10.0
"""Without progress of the storage for so long, the report does without it."""

HAS_MALFORMED = 3
"""Exit status when lines could not be understood; 1 and 2 are click's, for errors and for wrong use."""

_HELP = """Read logs of honeypots into the store.

FILE is a log, or - for stdin.

\b
Examples:
Cowrie (SSH, telnet):   spanwatch honeypot-logs /srv/cowrie/var/log/cowrie/cowrie.json*
As it is written:       spanwatch honeypot-logs --follow /srv/cowrie/var/log/cowrie/cowrie.json
HTTP, FTP, asyncssh:    spanwatch honeypot-logs http.jsonl ftp.jsonl
Look, send nothing:     spanwatch honeypot-logs --dry-run cowrie.json
From elsewhere:         ssh trap cat cowrie.json | spanwatch honeypot-logs -

\b
A line is one JSON object: Cowrie's, or the common form
  {"timestamp": …, "source_ip": …, "honeypot_type": "http",
   "event": …, "data": {…}, "level": …}

Files may be packed (gzip, zstd, xz). An event is stored once, however often it is read: nothing happens when a
file is named again, in whole or in part. Lines that cannot be understood are kept with the reason
(GET /api/honeypots/dead-letters), and the others are read all the same.

Needs the broker of a running stack, or SPANWATCH_KAFKA; lines wait there until a store takes them.

Exit status: 0 all lines understood; 1 nothing could be read or sent; 2 wrong use; 3 some lines were not understood.
"""


@click.command("honeypot-logs", help=_HELP)
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(allow_dash=True))
@click.option("--follow", "-f", is_flag=True, help="Go on as the files grow and are rotated, until Ctrl-C.")
@click.option("--from-end", is_flag=True, help="With --follow: pass over what the files hold already.")
@click.option(
    "--type",
    "kind",
    type=click.Choice([kind.value for kind in HoneypotType]),
    help="The honeypot of every line, whatever the line says: for lines that do not say, or say ssh for asyncssh.",
)
@click.option("--dry-run", is_flag=True, help="Only read and report.")
def honeypot_logs_command(
    files: tuple[str, ...], follow: bool, from_end: bool, kind: str | None, dry_run: bool
) -> None:
    """Read logs of honeypots; see ``_HELP``."""
    with plainly():
        _check(files, follow=follow, from_end=from_end)
        settings, read_id = load_settings(), new_capture_id()
        with _sending(settings, is_dry=dry_run) as to_kafka:
            reading = LogReading(read_id, to_kafka, HoneypotType(kind) if kind else None)
            began_s = time.monotonic()
            if follow:
                _follow(files, reading, from_end=from_end)
            else:
                _read(files, reading)
            took_s = time.monotonic() - began_s
        new = None if dry_run else _stored(settings, read_id, reading.count)
    _report(reading.count, len(files), took_s, new, is_dry=dry_run)
    sys.exit(HAS_MALFORMED if reading.count.malformed else 0)


def _check(files: tuple[str, ...], *, follow: bool, from_end: bool) -> None:
    if follow and STDIN in files:
        raise SettingsError("Standard input cannot be followed; it is read to its end without --follow.")
    if from_end and not follow:
        raise SettingsError("--from-end goes with --follow.")
    if len(set(files)) < len(files):
        raise SettingsError("A file is named twice.")
    for file in files:
        # One that is followed may come later.
        if file != STDIN and not follow and not Path(file).exists():
            raise SettingsError(f"There is no file {file}.")


@contextmanager
def _sending(settings: Settings, *, is_dry: bool) -> Iterator[Send]:
    """Yield what puts messages on the topics; at the end Kafka has taken all of them."""
    if is_dry:
        yield send_nothing
        return
    create_topics(settings, TOPICS)
    sender = Sender(producer(settings))

    def to_kafka(topic: Topic, body: bytes, headers: KafkaHeaders) -> None:
        sender.send(settings.topic_name(topic), body, key=KEY, headers=headers)

    yield to_kafka
    sender.flush()


def _read(files: tuple[str, ...], reading: LogReading) -> None:
    """Read files from beginning to end; one that turns out to be none is told of when the others are read."""
    sizes = [0 if file == STDIN else Path(file).stat().st_size for file in files]
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"))
    broken: list[str] = []
    with Progress(*columns, TimeRemainingColumn(), console=notes, disable=not notes.is_terminal) as progress:
        task = progress.add_task("reading", total=sum(sizes) or None, rate="")
        began_s, done = time.monotonic(), 0
        for file, size in zip(files, sizes, strict=True):
            try:
                log = LogFile(file)
                for block in log.blocks():
                    reading.add(block)
                    rate = reading.count.lines / max(time.monotonic() - began_s, 1e-6)
                    said = f"{reading.count.lines:,} lines, {rate:,.0f}/s"
                    progress.update(task, completed=done + log.consumed_bytes, rate=said)
            except CaptureError as error:
                broken.append(str(error))
            done += size
    for sentence in broken:
        notes.print(sentence, style="red", highlight=False)
    if broken and not reading.count.lines:
        raise CaptureError("Nothing could be read.")


def _follow(files: tuple[str, ...], reading: LogReading, *, from_end: bool) -> None:
    """Read what is appended to files until SIGINT or SIGTERM."""
    logs = [FollowedLog(file, from_end=from_end) for file in files]
    waiting = [log.name for log in logs if not Path(log.name).exists()]
    notes.print(f"following {', '.join(files)}  (stop: Ctrl-C)", highlight=False)
    if waiting:
        notes.print(f"not there yet: {', '.join(waiting)}", style="yellow", highlight=False)
    with _stop_asked() as stop:
        while True:
            is_last = stop.wait(LOOK_S)
            for log in logs:
                for block in log.poll():
                    reading.add(block)
            if is_last:
                break
    for log in logs:
        for block in log.finish():
            reading.add(block)


@contextmanager
def _stop_asked() -> Iterator[threading.Event]:
    """Yield what the first SIGINT or SIGTERM sets; the second does what it always does."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(*_: object) -> None:
        stop.set()
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stored(settings: Settings, read_id: str, count: ReadCount) -> dict[str, int] | None:
    """Return how many lines of a reading were new, by honeypot; None when no store has taken them."""
    if not count.understood:
        return {}
    try:
        with RemoteStack(settings) as stack:
            if not stack.is_up() or not _wait_until_taken(settings):
                return None
            found = stack.get("/api/honeypots/logs", read_id=read_id, limit=1)
    except SpanwatchError as error:
        # The lines are in Kafka already: that nobody tells what became of them is no reason to fail.
        notes.print(str(error), style="yellow", highlight=False)
        return None
    return {str(kind): int(total) for kind, total in found["total_by_type"].items() if total}


def _wait_until_taken(settings: Settings) -> bool:
    """Wait until the storage has read the topics to their ends; return whether it has."""
    offsets = GroupOffsets(settings, settings.group_name(STORAGE_GROUP))
    try:
        seen, moved_s = -1, time.monotonic()
        with notes.status("storing"):
            while behind := sum(row.messages for row in offsets.lag(TOPICS)):
                if behind != seen:
                    seen, moved_s = behind, time.monotonic()
                elif time.monotonic() - moved_s > STALL_S:
                    return False
                time.sleep(0.05)
        return True
    finally:
        offsets.close()


def _report(count: ReadCount, files: int, took_s: float, new: dict[str, int] | None, *, is_dry: bool) -> None:
    """Say what was read and what became of it."""
    rate = count.lines / max(took_s, 1e-6)
    _say(
        "read", f"{count.lines:,} lines of {files} {'file' if files == 1 else 'files'} in {took_s:.1f} s, {rate:,.0f}/s"
    )
    _say("understood", f"{count.understood:,}{_split({kind.value: n for kind, n in count.by_type.items()})}")
    if new is not None:
        total = sum(new.values())
        _say("new", f"{total:,}{_split(new)}")
        _say("duplicates", f"{count.understood - total:,}")
    elif not is_dry and count.understood:
        _say("new", "not known: no store has taken the lines yet; they wait in Kafka for `spanwatch up`")
    _say("malformed", f"{count.malformed:,}{_split(dict(count.reasons.most_common(5)))}")
    for sentence in count.told:
        out.print(f"  {sentence}", highlight=False, markup=False, soft_wrap=True)
    if count.malformed > len(count.told):
        out.print(f"  … and {count.malformed - len(count.told):,} more; GET /api/honeypots/dead-letters has them")
    if count.in_future:
        notes.print(f"{count.in_future:,} lines lie in the future: a honeypot's clock is wrong.", style="yellow")


def _say(name: str, said: str) -> None:
    out.print(f"{name:<11} {said}", highlight=False, markup=False, soft_wrap=True)


def _split(counts: dict[str, int]) -> str:
    return f"  ({', '.join(f'{name} {n:,}' for name, n in counts.items())})" if counts else ""
