"""``spanwatch block``, ``unblock``, ``blocks`` and ``defence``: addresses cut off and let go, from a terminal."""

from __future__ import annotations

import re
from urllib.parse import quote

import click
from rich.table import Table

from api.app import opened_store
from api.defence import Defence
from api.remote import Answer, NoAnswerError, RemoteStack
from infra.command_errors import plainly
from infra.command_help import examples
from infra.firewall_nft import nftables_of
from infra.settings import Settings, load_settings
from infra.store import Store
from infra.terminal import console
from schemas.blocks import FirewallKind
from schemas.errors import StoreError

BLOCKS = "/active-defense/block"

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

_BY = "command line"
"""Who has lifted blocks while no API ran."""

out = console()


def _seconds(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Return a duration as people write it, s: 90, 90s, 10m, 2h, 1d."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None:
        raise click.BadParameter("write a number of seconds, or one with s, m, h or d behind it, as in 10m")
    return float(found[1]) * _SECONDS[found[2]]


@click.command(
    "block",
    epilog=examples("spanwatch block 203.0.113.9", 'spanwatch block 203.0.113.9 --for 2h --reason "ssh brute force"'),
)
@click.argument("ip")
@click.option("--for", "duration", callback=_seconds, metavar="TIME", help="How long, as in 90, 10m, 2h or 1d.")
@click.option("--reason", default="", help="Why, for the list and the audit.")
@plainly()
def block_command(ip: str, duration: float | None, reason: str) -> None:
    """Cut an address off for a time.

    A dry run unless SPANWATCH_DEFENCE_… say with which firewall. Loopback, own addresses, the
    gateway and whatever is on the allow list are refused.
    """
    asked = {"reason": reason} | ({} if duration is None else {"duration": str(duration)})
    with RemoteStack(load_settings()) as stack:
        answer = stack.post(_path(ip), {}, **asked)
    block = answer["block"]
    click.echo(f"{block['ip']} is blocked until {block['expires_at'][:19]} UTC. {_in_earnest(block)}")


@click.command("unblock", epilog=examples("spanwatch unblock 203.0.113.9"))
@click.argument("ip")
@plainly()
def unblock_command(ip: str) -> None:
    """Let an address go before its time."""
    with RemoteStack(load_settings()) as stack:
        answer = stack.delete(_path(ip))
    click.echo(f"{ip} {'is let go' if answer['was_blocked'] else 'was not blocked'}.")


@click.command("blocks", epilog=examples("spanwatch blocks", "spanwatch blocks --all"))
@click.option("--all", "is_all", is_flag=True, help="Also those that have ended, newest first.")
@plainly()
def blocks_command(is_all: bool) -> None:
    """List the addresses that are blocked."""
    with RemoteStack(load_settings()) as stack:
        answer = stack.get(BLOCKS, state="all" if is_all else "active", limit=1000)
    if not answer["blocks"]:
        click.echo("Nobody is blocked.")
        return
    table = Table("address", "state", "left", "dropped", "by", "reason", box=None)
    for block in answer["blocks"]:
        dropped = "-" if block["packets_dropped"] is None else f"{block['packets_dropped']:,}"
        state = block["state"] + (" (dry run)" if block["is_dry_run"] else "")
        left = f"{block['remaining_s']:,.0f} s" if block["remaining_s"] else "-"
        table.add_row(block["ip"], state, left, dropped, block["blocked_by"], block["reason"] or block["error"])
    out.print(table)


@click.group("defence", epilog=examples("spanwatch defence preview 203.0.113.9", "spanwatch defence clear"))
def defence_command() -> None:
    """Look before a block, and take all blocks away."""


@defence_command.command("preview", epilog=examples("spanwatch defence preview 203.0.113.9 --hours 1"))
@click.argument("ip")
@click.option("--hours", default=24.0, show_default=True, help="How far to look back.")
@plainly()
def preview_command(ip: str, hours: float) -> None:
    """Say who would be cut off if an address were blocked."""
    with RemoteStack(load_settings()) as stack:
        answer = stack.get(f"/active-defense/preview/{quote(ip, safe=':')}", hours=hours)
    total = answer["total"]
    click.echo(
        f"{answer['ip']} had to do with {answer['hosts']:,} hosts in {hours:g} h: {total['flows']:,} flows, "
        f"{total['open_flows']:,} of them open, {total['bytes']:,} bytes."
    )
    if answer["refusal"]:
        click.echo(f"It would be refused: {answer['refusal']}.")
    table = Table("host", "flows", "open", "bytes", "services", "last seen", box=None)
    for peer in answer["peers"]:
        counts = (f"{peer[name]:,}" for name in ("flows", "open_flows", "bytes"))
        table.add_row(peer["ip"], *counts, ", ".join(peer["services"]), peer["last_seen"][:19])
    if answer["peers"]:
        out.print(table)


@defence_command.command("clear", epilog=examples("spanwatch defence clear"))
@plainly()
def clear_command() -> None:
    """Lift all blocks.

    Everything of spanwatch's is taken out of the firewall, also when no API runs.
    """
    settings = load_settings()
    try:
        with RemoteStack(settings) as stack:
            count = len(stack.delete(BLOCKS)["blocks"])
    except NoAnswerError:
        count = _clear_without_api(settings)
    lifted = "1 block is" if count == 1 else f"{count} blocks are"
    click.echo(f"{lifted} lifted; nothing of spanwatch's is in the firewall.")


def _clear_without_api(settings: Settings) -> int:
    try:
        store = opened_store(settings)
    except StoreError:
        # Whoever is cut off must not wait for the store.
        if settings.defence_firewall is FirewallKind.NFTABLES:
            nftables_of(settings).clear()
        click.echo("The firewall is cleared, but the store cannot say so: the next start would bring the blocks back.")
        raise
    with store:
        return _clear(settings, store)


def _clear(settings: Settings, store: Store) -> int:
    return len(Defence(settings, store).clear(_BY))


def _path(ip: str) -> str:
    return f"{BLOCKS}/{quote(ip, safe=':')}"


def _in_earnest(block: Answer) -> str:
    if block["is_dry_run"]:
        return "It is a dry run: nothing is cut off."
    return "" if block["is_in_force"] else "The firewall does not say that it is in force."
