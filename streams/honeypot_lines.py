"""Lines of honeypots' logs into rows: Cowrie's JSON, and the common form of the others."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from typing import Any

import orjson

from schemas.errors import LogLineError
from schemas.honeypots import HoneypotType
from streams.honeypot_actions import action_of
from streams.honeypot_times import time_ns

Fields = dict[str, Any]
"""One line's JSON object. Values are whatever the honeypot wrote: nothing is taken for granted about them."""

Row = tuple[object, ...]
"""Values of ``LOG_SCHEMA``, in order."""

_TYPES = {
    **{kind.value: kind for kind in HoneypotType},
    **dict.fromkeys(("cowrie", "telnet"), HoneypotType.SSH),
    **dict.fromkeys(("https", "web"), HoneypotType.HTTP),
    "ftps": HoneypotType.FTP,
    **dict.fromkeys(("async_ssh", "ssh_async"), HoneypotType.ASYNCSSH),
}
"""What honeypots call themselves."""

_LONGEST_NAME = 128
"""Letters of an event, a level, a protocol or a sensor: those are names, and few."""

_MAPPED = bytes(10) + b"\xff\xff"
"""Before an IPv4 address that is mapped into IPv6 (RFC 4291, section 2.5.5.2)."""

_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_POSITION = re.compile(r": line 1 column (\d+) \(char \d+\)$")
_TYPE_HELP = "say which with --type"


def parse_line(line: bytes, told: HoneypotType | None = None) -> tuple[HoneypotType, Row]:
    """Return which honeypot a line is of, and its row.

    Parameters
    ----------
    line : bytes
        One JSON object in UTF-8.
    told : HoneypotType, optional
        The honeypot, whatever the line says of it.

    Raises
    ------
    LogLineError
        The line cannot be understood; says why.

    Notes
    -----
    Needed are a time, a source address, an event and a honeypot type. The row's id is the BLAKE2b hash (64 bits) of
    the object with its keys sorted, so neither their order nor blanks make a line a new one.
    """
    fields = _fields(line)
    digest = hashlib.blake2b(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS), digest_size=8).digest()
    event = _event(fields)
    kind = told or _type(fields, event)
    ts_ns = time_ns(fields.pop("timestamp", None))
    source_ip = _address(fields)
    ports = _port(fields, "src_port", "source_port"), _port(fields, "dst_port", "destination_port", "port")
    names = _name(fields, "protocol").lower(), _name(fields, "sensor"), _name(fields, "session")
    level = _name(fields, "level").upper() or "INFO"
    message = _text(fields, "message")
    data = _data(fields)
    tried = _said(data, "username", "user"), _said(data, "password"), _command(data)
    row = (int.from_bytes(digest, "big"), ts_ns, source_ip, *ports, *names, event, action_of(event).value, level)
    return kind, (*row, *tried, message, orjson.dumps(data).decode())


def _fields(line: bytes) -> Fields:
    """Return the object that a line is."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        fields = _repaired(line, error)
    if not isinstance(fields, dict):
        raise LogLineError("it is JSON, but no object")
    return fields


def _repaired(line: bytes, error: orjson.JSONDecodeError) -> object:
    """Return the object of a line that only has half characters in it; attackers type what they like.

    Raises
    ------
    LogLineError
        It is no JSON, or no UTF-8.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError as wrong:
        raise LogLineError(f"it is not UTF-8: byte 0x{line[wrong.start]:02x} at column {wrong.start + 1}") from None
    try:
        if not _ESCAPED_SURROGATE.search(line):
            raise error
        whole = json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "replace")
        return orjson.loads(whole)
    except (ValueError, RecursionError):
        said = str(error)
        column = _POSITION.search(said)
        where = f" at column {column[1]}" if column else ""
        raise LogLineError(f"it is not JSON: {_POSITION.sub('', said)}{where}") from None


def _event(fields: Fields) -> str:
    """Return what happened; older lines of the common form have only a status, or a request's method."""
    for name in ("eventid", "event", "status", "method"):
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            if len(value) > _LONGEST_NAME:
                raise LogLineError(f"its {name} is longer than {_LONGEST_NAME} letters")
            if name in ("eventid", "event"):
                del fields[name]
            return value.strip()
    raise LogLineError("there is no event")


def _type(fields: Fields, event: str) -> HoneypotType:
    if event.startswith("cowrie."):
        return HoneypotType.SSH
    told = fields.pop("honeypot_type", None)
    if told is None:
        raise LogLineError(f"there is no honeypot_type: {_TYPE_HELP}")
    kind = _TYPES.get(told.strip().lower()) if isinstance(told, str) else None
    if kind is None:
        raise LogLineError(f"the honeypot_type is none of ssh, http, ftp and asyncssh: {repr(told)[:48]}; {_TYPE_HELP}")
    return kind


def _address(fields: Fields) -> bytes:
    """Return the source address in 16 bytes."""
    for name in ("source_ip", "src_ip"):
        told = fields.pop(name, None)
        if told is not None:
            break
    else:
        raise LogLineError("there is no source_ip")
    text = told.strip().partition("%")[0] if isinstance(told, str) else ""
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return _MAPPED + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        raise LogLineError(f"the source_ip is no IP address: {repr(told)[:48]}") from None


def _port(fields: Fields, *names: str) -> int:
    """Return the first of some fields that is a port, and take it; 0 when there is none."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65_535:
            del fields[name]
            return value
    return 0


def _name(fields: Fields, name: str) -> str:
    """Return a field that is a short text, and take it; empty when it is none."""
    value = fields.get(name)
    if isinstance(value, str) and len(value) <= _LONGEST_NAME:
        del fields[name]
        return value.strip()
    return ""


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if isinstance(value, str):
        del fields[name]
        return value
    return ""


def _data(fields: Fields) -> Fields:
    """Return what is left of a line: its ``data``, and what stands beside it."""
    if "data" not in fields:
        return fields
    data = fields.pop("data")
    if isinstance(data, dict):
        return {**fields, **data}
    return fields if data is None else {**fields, "data": data}


def _said(data: Fields, *names: str) -> str:
    """Return the first of some entries that is a text, or a number as one."""
    for name in names:
        value = data.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, int):
            return str(value)
    return ""


def _command(data: Fields) -> str:
    """Return the command, in FTP with its argument; of HTTP the request."""
    if typed := _said(data, "input", "cmd", "raw"):
        return typed
    if command := _said(data, "command"):
        return f"{command} {_said(data, 'argument', 'arg')}".rstrip()
    if method := _said(data, "method"):
        return f"{method} {_said(data, 'url', 'path')}".rstrip()
    return ""
