"""Live captures that ended without saying so: a process that was killed cannot send its end.

While a live capture runs, a file beside its recorded packets says so, with what its end would be made of. Whoever
starts next on this machine sends the end of captures whose process is gone; until then their last windows stay open.

``agents.leases`` ends captures, too: of any kind and machine, but only after a minute of silence. Here it is at once,
with the capture's own clock, and before the next capture of the same port sends anything, so that a port's windows
are judged in order.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Producer
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.kafka import flush, send
from infra.processes import started_s
from infra.settings import Settings
from schemas.captures import CaptureEvent, CaptureRow
from schemas.enums import BatchKind, CaptureState
from schemas.topics import CAPTURES, PACKETS
from streams.wire import BatchHeader

log = logging.getLogger(__name__)

_FILE = "running.json"

NOBODY = "its process ended without notice"
"""Error of a capture that was ended by somebody else."""

AFTER_ALL = 1 << 20
"""Added to the last number known, which may be a few chunks old: the end must come behind all of them."""


class _Running(BaseModel):
    """What stands in the file of a capture that runs."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started_s: float
    capture: CaptureRow
    end: BatchHeader


def note_running(settings: Settings, capture: CaptureRow, end: BatchHeader) -> None:
    """Note where a live capture of this process stands.

    Parameters
    ----------
    capture : CaptureRow
        Its row.
    end : BatchHeader
        Header that its end would have now.
    """
    file = settings.captures_folder / capture.capture_id / _FILE
    running = _Running(pid=os.getpid(), started_s=started_s(os.getpid()) or 0.0, capture=capture, end=end)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(running.model_dump_json())
        fresh.replace(file)
    except OSError as error:
        # A full disk must not end a capture; all that is lost is a tidy end after a kill.
        log.warning("cannot note that the capture runs: %s", error.strerror)


def forget_running(settings: Settings, capture_id: str) -> None:
    """Remove the note: the capture has sent its end."""
    folder = settings.captures_folder / capture_id
    (folder / _FILE).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def end_unfinished(settings: Settings, producer: Producer) -> list[str]:
    """Send the end of every live capture of this machine whose process is gone; return their ids.

    Raises
    ------
    BrokerError
        Kafka does not take the messages.
    """
    ended = []
    for running in _gone(settings.captures_folder):
        capture = running.capture
        end = replace(running.end, kind=BatchKind.END, seq=running.end.seq + AFTER_ALL)
        for partition in range(end.partitions):
            key = capture.capture_id.encode()
            topic = settings.topic_name(PACKETS)
            send(producer, topic, b"", key=key, partition=partition, headers=end.to_kafka())
        failed = capture.model_copy(
            update={
                "version": capture.version + AFTER_ALL,
                "state": CaptureState.FAILED,
                "ended_ns": end.clock_ns,
                "error": NOBODY,
            }
        )
        told = CaptureEvent(capture=failed).model_dump_json().encode()
        send(producer, settings.topic_name(CAPTURES), told, key=capture.capture_id.encode())
        flush(producer)
        forget_running(settings, capture.capture_id)
        log.warning("capture %s of %s: %s", capture.capture_id, capture.name, NOBODY)
        ended.append(capture.capture_id)
    return ended


def _gone(folder: Path) -> Iterator[_Running]:
    """Yield the notes of processes that run no more."""
    for file in sorted(folder.glob(f"*/{_FILE}")):
        try:
            running = _Running.model_validate_json(file.read_text())
        except (OSError, ValidationError):
            log.warning("%s cannot be read and is passed over", file)
            continue
        if started_s(running.pid) != running.started_s:
            yield running
