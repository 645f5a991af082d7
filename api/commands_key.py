"""``spanwatch key``: API keys, made, listed, rotated and revoked; a running API follows at once."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from api.access import Scope
from api.keys import NAME, KeyRecord, changing, key_path, new_key, read_keys
from infra.command_errors import plainly
from infra.command_help import examples
from infra.settings import load_settings
from infra.terminal import console
from schemas.errors import SpanwatchError

_UNITS = {"h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"([1-9]\d{0,4})([hdw])")


class NoSuchKeyError(SpanwatchError):
    """There is no key of that name or id, or there is one already."""


class _Moment(click.ParamType):
    """A time to come, s since the epoch: ``90d``, or a date or time in UTC."""

    name = "90d|2027-01-31"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        now_s = time.time()
        if span := _SPAN.fullmatch(value):
            return now_s + int(span[1]) * _UNITS[span[2]]
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail("write 12h, 90d or 8w, or a date as in 2027-01-31", param, ctx)
        moment_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if moment_s <= now_s:
            self.fail("that has passed already", param, ctx)
        return moment_s


@click.group(
    "key",
    epilog=examples(
        'spanwatch key create "soc" --scope read --scope capture --expires 90d',
        "spanwatch key list",
        "spanwatch key rotate soc --keep 7d",
        "spanwatch key revoke soc",
    ),
)
def key_command() -> None:
    """Make, list, rotate and revoke API keys.

    They say who may do what from outside this machine. A running API follows at once; run the command with the
    SPANWATCH_STATE of the service.
    """


@key_command.command(
    "create",
    epilog=examples(
        'spanwatch key create "soc" --scope read --expires 90d', "KEY=$(spanwatch key create ci --scope predict)"
    ),
)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="What it allows; may be repeated. admin allows everything.",
)
@click.option("--expires", "expires_s", type=_Moment(), help="When it ends: 12h, 90d, 8w, or a date (UTC).")
@plainly()
def create(name: str, scopes: tuple[str, ...], expires_s: float | None) -> None:
    """Make a key and print it, once.

    It is kept nowhere, only its hash.
    """
    if not re.fullmatch(NAME, name):
        raise NoSuchKeyError("A name has letters, digits, blanks and . _ @ - only, 64 at most.")
    with _records() as records:
        if any(record.name == name and record.is_valid(time.time()) for record in records):
            raise NoSuchKeyError(f"There is a key {name} already; `spanwatch key rotate` makes it anew.")
        key, record = new_key(name, frozenset(map(Scope, scopes)), time.time(), expires_s)
        records.append(record)
    _show(key, record)


@key_command.command("list", epilog=examples("spanwatch key list --all"))
@click.option("--all", "is_all", is_flag=True, help="Show also those that count no longer.")
@plainly()
def list_keys(is_all: bool) -> None:
    """List the keys; what is shown opens nothing."""
    now_s = time.time()
    table = Table("id", "name", "scopes", "made", "ends", box=None, pad_edge=False)
    for record in read_keys(key_path(load_settings())).keys:
        if is_all or record.is_valid(now_s):
            table.add_row(
                record.key_id, record.name, _scopes(record), _date(record.created_s), _ends(record, now_s)
            )  # fmt: skip
    console().print(table)


@key_command.command("revoke", epilog=examples("spanwatch key revoke soc"))
@click.argument("name")
@plainly()
def revoke(name: str) -> None:
    """End a key, by name or id, at once."""
    now_s = time.time()
    with _records() as records:
        for place in _valid(records, name, now_s):
            records[place] = records[place].model_copy(update={"revoked_s": now_s})
    click.echo(f"{name} counts no longer.")


@key_command.command(
    "rotate",
    epilog=examples(
        "spanwatch key rotate soc", "spanwatch key rotate soc --keep 7d    the old one counts for another week"
    ),
)
@click.argument("name")
@click.option(
    "--keep", "keep_s", type=_Moment(), help="Until when the old one counts as well: 12h, 7d; else it ends now."
)
@plainly()
def rotate(name: str, keep_s: float | None) -> None:
    """Make a key anew, by name or id.

    It has the same scopes and end, and is printed once.
    """
    now_s = time.time()
    with _records() as records:
        places = _valid(records, name, now_s)
        newest = max((records[place] for place in places), key=lambda record: record.created_s)
        for place in places:
            old = records[place]
            ends_s = min(old.expires_s or float("inf"), keep_s or now_s)
            changed = {"expires_s": ends_s} if keep_s else {"revoked_s": now_s}
            records[place] = old.model_copy(update=changed)
        key, record = new_key(newest.name, newest.scopes, now_s, newest.expires_s)
        records.append(record)
    _show(key, record)


@contextmanager
def _records() -> Iterator[list[KeyRecord]]:
    with changing(key_path(load_settings())) as records:
        yield records


def _valid(records: Sequence[KeyRecord], name: str, now_s: float) -> list[int]:
    """Return where the keys of a name, or of an id, stand that still count."""
    found = [n for n, record in enumerate(records) if name in (record.name, record.key_id) and record.is_valid(now_s)]
    if not found:
        raise NoSuchKeyError(f"There is no key {name} that counts; `spanwatch key list` shows them.")
    return found


def _show(key: str, record: KeyRecord) -> None:
    click.echo(f"{record.name} ({_scopes(record)}; ends {_ends(record, time.time())}). Shown this once:", err=True)
    click.echo(key)


def _scopes(record: KeyRecord) -> str:
    return ", ".join(scope.value for scope in Scope if scope in record.scopes)


def _date(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%M")


def _ends(record: KeyRecord, now_s: float) -> str:
    if record.revoked_s is not None:
        return f"revoked {_date(record.revoked_s)}"
    if record.expires_s is None:
        return "never"
    return f"{'ended ' if record.expires_s <= now_s else ''}{_date(record.expires_s)}"
