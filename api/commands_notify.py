"""``spanwatch notify``: whom anomalies are told, and whether a message arrives."""

from __future__ import annotations

import click

from api.notify_policy import Note
from api.notify_targets import target, urls_of
from infra.command_help import examples
from infra.settings import load_settings
from schemas.errors import SettingsError, SpanwatchError

_NOTE = Note(
    kind="test",
    title="spanwatch: a test message",
    body="Whoever reads this will be told of anomalies. It was sent by `spanwatch notify --test`.",
)


@click.command(
    "notify",
    epilog=examples(
        "spanwatch notify", "spanwatch notify --test", 'spanwatch notify --test "slack://TokenA/TokenB/TokenC/#channel"'
    ),
)
@click.option("--test", "is_test", is_flag=True, help="Send a test message.")
@click.argument("url", required=False)
def notify_command(is_test: bool, url: str | None) -> None:
    """Say whom anomalies are told, or send a test message.

    URL is one that Apprise knows; without it those of SPANWATCH_NOTIFY_URLS are meant.

    Exit status: 1 when one of them could not be told.
    """
    try:
        urls = [url] if url else urls_of(load_settings())
        if not urls:
            raise SettingsError("Nobody is told: SPANWATCH_NOTIFY_URLS is empty.")
        failed = [number for number, one in enumerate(urls, 1) if not _tell(number, one, is_test=is_test)]
    except SpanwatchError as error:
        raise click.ClickException(str(error)) from error
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(urls)} could not be told.")


def _tell(number: int, url: str, *, is_test: bool) -> bool:
    """Say who a URL is, and send a test message if one is wanted; return whether that went well."""
    try:
        named = target(url)
    except SettingsError as error:
        click.echo(f"{number}. {error}")
        return False
    failed = named.send(_NOTE) if is_test else ""
    said = "" if not is_test else f": failed: {failed}" if failed else ": the message was taken"
    click.echo(f"{number}. {named.shown}{said}")
    return not failed
