"""Which file a request means: inside the data roots, an uploaded one or the configured capture; nothing else."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from api.errors import Refusal, failure
from infra.settings import Settings

_FINGERPRINT_BYTES = 16

DEFAULT_OUTPUT = "captures/live_capture.pcapng"
"""What a live capture writes when the request names no file, from the state folder."""

_PCAPNG = b"\x0a\x0d\x0d\x0a"
"""What a pcapng file begins with: the type of its section header block."""


@dataclass(frozen=True)
class NamedFile:
    """A readable capture file that requests may name.

    Parameters
    ----------
    path : Path
        Absolute, links resolved.
    name : str
        As the user named it.
    """

    path: Path
    name: str

    def fingerprint(self, window_s: float) -> str:
        """Return a hash of the file's identity, size, time of change and the window size.

        Raises
        ------
        Refusal
            400 when the file has gone meanwhile.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise _not_found(self.name) from error
        identity = f"{self.path}\0{status.st_size}\0{status.st_mtime_ns}\0{window_s:g}"
        return hashlib.blake2b(os.fsencode(identity), digest_size=_FINGERPRINT_BYTES).hexdigest()


@dataclass(frozen=True)
class OutputFile:
    """A file that a live capture may write.

    Parameters
    ----------
    path : Path
        Absolute, links resolved; its folder is there.
    name : str
        As the user named it.
    limit_bytes : int
        Most bytes that it may have; 0 sets no bound.
    """

    path: Path
    name: str
    limit_bytes: int = 0


def _not_found(name: str) -> Refusal:
    return failure(400, f"PCAP file not found: {name}")


def find_capture_file(name: str | None, settings: Settings) -> NamedFile:
    """Return the file that a request names.

    A relative name is looked for in the working directory, then in each data root, then among the uploads. What lies
    outside of them is answered like what does not exist, so an answer never tells which files there are.

    Parameters
    ----------
    name : str or None
        As sent; None means the configured capture.

    Raises
    ------
    Refusal
        400 when there is no such file, when it may not be named or when it cannot be read.
    """
    configured = settings.pcap
    if name is None:
        if configured is None:
            raise failure(400, "No PCAP file is named, and none is configured (--pcap).")
        name = str(configured)
    # What was uploaded or written by default is named from the state folder, of which nothing else may be named.
    candidates = [Path.cwd() / name, *(root / name for root in (*settings.data_roots, settings.state))]
    ours = (settings.uploads_folder, settings.state / DEFAULT_OUTPUT)
    allowed = [root.resolve() for root in (*settings.data_roots, *ours)]
    for candidate in candidates:
        try:
            # Resolved first and then compared: neither ".." nor a link may lead out.
            path = candidate.resolve(strict=True)
            if not path.is_file() or not _may_be_named(path, allowed, configured):
                continue
            if not os.access(path, os.R_OK):
                raise failure(400, f"PCAP file not readable: {name}")
        except (OSError, ValueError, RuntimeError):
            # No such file, a name too long, a zero byte, a loop of links.
            continue
        return NamedFile(path=path, name=name)
    raise _not_found(name)


def output_file(name: str, settings: Settings) -> OutputFile:
    """Return the file that a live capture is to write, its folder made.

    A relative name is meant from the working directory, when that lies inside a data root, else from the first
    root. A file that is there is written over only if it is a pcapng file, or empty.

    Raises
    ------
    Refusal
        400 when it lies outside the data roots, or must not or cannot be written.
    """
    allowed = [root.resolve() for root in settings.data_roots]
    for folder in (Path.cwd(), *allowed):
        try:
            path = (folder / name).resolve()
            if any(path.is_relative_to(root) and path != root for root in allowed):
                _prepare(path, name)
                return OutputFile(path, name)
        except (OSError, ValueError, RuntimeError) as error:
            # A name too long, a zero byte, a loop of links, a folder that is a file or not ours.
            raise failure(400, f"Output file cannot be written: {name}") from error
    raise failure(400, f"Output file lies outside the data roots: {name}")


def default_output(settings: Settings) -> OutputFile | None:
    """Return the file that a live capture writes when the request names none; None where no packets are kept on disk.

    It begins anew with every capture, and has its first packets, as many as fit within the bound of the packet ring.

    Raises
    ------
    Refusal
        400 when it cannot be written.
    """
    if not settings.packet_ring_bytes:
        return None
    path = settings.state / DEFAULT_OUTPUT
    try:
        _prepare(path, DEFAULT_OUTPUT)
    except OSError as error:
        raise failure(400, f"Output file cannot be written: {DEFAULT_OUTPUT}") from error
    return OutputFile(path, DEFAULT_OUTPUT, settings.packet_ring_bytes)


def _prepare(path: Path, name: str) -> None:
    """Make the file's folder, and see that the file may be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if not path.is_file():
            raise failure(400, f"Output file is no file: {name}")
        with path.open("rb") as there:
            if there.read(len(_PCAPNG)) not in (b"", _PCAPNG):
                raise failure(400, f"Output file holds something else than a capture and is left alone: {name}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise failure(400, f"Output file cannot be written: {name}")


def _may_be_named(path: Path, allowed: list[Path], configured: Path | None) -> bool:
    if configured is not None and path == configured.expanduser().resolve():
        return True
    return any(path.is_relative_to(root) for root in allowed)
