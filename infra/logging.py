"""Logs: JSON or text lines in rotating files that processes share, plain lines for people on standard error."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import logging.handlers
import sys
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from infra.settings import Settings

ROTATE_BYTES = 10 * 1024 * 1024
"""A file is set aside once it is larger."""

KEPT_FILES = 3
"""Files set aside that are kept, ``app.log.1`` the newest."""

QUIET = ("aiokafka", "asyncio", "faust", "httpcore", "httpx", "kafka", "mode", "numba")
"""Libraries whose lines below WARNING say nothing to who runs this."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class LogFile(StrEnum):
    """The two log files of the contract."""

    APP = "app"
    """The service: API, store, broker, command line."""
    ANALYSIS = "analysis"
    """The stream: capture, windows, every agent."""

    def path(self, settings: Settings) -> Path:
        """Where it lies."""
        return settings.logs_folder / f"{self.value}.log"


@dataclass(frozen=True)
class LogTail:
    """The end of a log file.

    Parameters
    ----------
    lines : tuple of str
        Oldest first, in the contract's form: ``2026-01-09 17:40:02 [INFO] API server started``.
    total : int
        Lines in the file.
    """

    lines: tuple[str, ...]
    total: int


def set_up_logging(settings: Settings, *, on_stderr: bool = True) -> None:
    """Send everything logged in this process to the two files and, for people, to standard error.

    A second call replaces the first. The files take lines from several processes.
    """
    settings.logs_folder.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = []
    for which in LogFile:
        handler = SharedRotatingFile(which.path(settings))
        handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
        handler.addFilter(_belongs_to(which))
        handlers.append(handler)
    if on_stderr:
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
        handlers.append(stream)
    logging.basicConfig(level=settings.log_level, handlers=handlers, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.getLevelName(settings.log_level), logging.WARNING))


def _belongs_to(which: LogFile) -> logging.Filter:
    """Return a filter for the lines of one file, by the package that logs."""

    class Belongs(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            is_analysis = record.name.partition(".")[0] in ("agents", "streams", "faust", "mode", "aiokafka")
            return is_analysis == (which is LogFile.ANALYSIS)

    return Belongs()


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, process, message, what was passed as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        fields |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        return json.dumps(fields, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """One line for people, in the contract's form; a trace is kept to its last line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        if record.exc_info:
            message += f" ({self.formatException(record.exc_info).splitlines()[-1]})"
        return _line(datetime.fromtimestamp(record.created, UTC), record.levelname, message)


def _line(time: datetime, level: str, message: str) -> str:
    """Return a line in the contract's form: ``2026-01-09 17:40:02 [INFO] API server started``."""
    return f"{time:%Y-%m-%d %H:%M:%S} [{level}] {' '.join(message.split())}"


class SharedRotatingFile(logging.handlers.WatchedFileHandler):
    """A log file that several processes append to and any of them sets aside when it is too large.

    Each line is one write in append mode. The one that rotates holds a lock; the others see that the file is
    another one and open it again.
    """

    def __init__(self, path: Path, rotate_bytes: int = ROTATE_BYTES) -> None:
        super().__init__(path, encoding="utf-8")
        self._path = path
        self._rotate_bytes = rotate_bytes

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line, setting the file aside before when it is too large."""
        with contextlib.suppress(OSError):
            # A full disk or a folder that was removed must not stop what is logged about; emit reports it.
            if self._path.stat().st_size > self._rotate_bytes:
                self._rotate()
        super().emit(record)

    def _rotate(self) -> None:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._path.stat().st_size <= self._rotate_bytes:
                return
            for number in range(KEPT_FILES - 1, 0, -1):
                older = self._aside(number)
                if older.exists():
                    older.replace(self._aside(number + 1))
            self._path.replace(self._aside(1))

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def read_tail(settings: Settings, which: LogFile, limit: int) -> LogTail:
    """Return the last lines of a log file; an absent one has none.

    Parameters
    ----------
    limit : int
        Lines at most, from 0.
    """
    last: deque[bytes] = deque(maxlen=limit)
    total = 0
    path = which.path(settings)
    if path.exists():
        with path.open("rb") as stream:
            for line in stream:
                if line.strip():
                    last.append(line)
                    total += 1
    return LogTail(tuple(_contract_line(line) for line in last), total)


def _contract_line(line: bytes) -> str:
    text = line.decode(errors="replace").strip()
    try:
        entry = json.loads(text)
        time = datetime.fromisoformat(entry["time"])
        return _line(time, entry["level"], str(entry["message"]))
    except (ValueError, KeyError, TypeError):
        # Cut off by a kill or written by something else: still shown.
        return text
