"""The front door: the command line, and the parts put together.

A command is loaded when it is called for, so that `spanwatch --help` and what a shell asks to complete a word do not
wait for the stream, the models and the drawings.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from infra.settings import Settings
    from infra.store import Store
    from spanwatch_pipeline import Pipeline


class Entry(NamedTuple):
    """Where a command is, and what it does in a few words: the first sentence of its help."""

    place: str
    summary: str


COMMANDS = {
    "analyze": Entry("spanwatch_report:analyze_command", "Compute a capture file and print a report."),
    "api": Entry("spanwatch_service:api_command", "Run the API and the storage agents only."),
    "backup": Entry("api.commands_backup:backup_command", "Write all the store holds to an archive."),
    "block": Entry("api.commands_block:block_command", "Cut an address off for a time."),
    "blocks": Entry("api.commands_block:blocks_command", "List the addresses that are blocked."),
    "broker": Entry("spanwatch_service:broker_command", "Run the local Kafka alone, until Ctrl-C."),
    "capture": Entry("spanwatch_service:capture_command", "Read a file, or an interface, into the running stack."),
    "cluster": Entry("spanwatch_cluster:cluster_command", "Run several brokers and workers on this machine."),
    "completion": Entry("api.commands_completion:completion_command", "Print the completion script of a shell."),
    "config": Entry("spanwatch_service:config_command", "List every setting with its value and what it is for."),
    "defence": Entry("api.commands_block:defence_command", "Look before a block, and take all blocks away."),
    "evaluate": Entry("agents.classifier.commands:evaluate_command", "Judge a model on labelled flows."),
    "export": Entry("api.commands_export:export_command", "Write a list of the running stack to a file."),
    "honeypot-logs": Entry("spanwatch_honeypots:honeypot_logs_command", "Read logs of honeypots into the store."),
    "key": Entry("api.commands_key:key_command", "Make, list, rotate and revoke API keys."),
    "label": Entry("agents.classifier.own_flows:label_command", "Write the flows of labelled captures."),
    "migrate": Entry("spanwatch_service:migrate_command", "Bring the store's tables up to this version."),
    "model": Entry("api.commands_model:model_command", "Show the models, and say which of them judges."),
    "notify": Entry("api.commands_notify:notify_command", "Say whom anomalies are told, or send a test message."),
    "report": Entry("spanwatch_report:report_command", "Print the report of a capture that the stack has."),
    "restore": Entry("api.commands_backup:restore_command", "Make an archive the store again."),
    "status": Entry("spanwatch_service:status_command", "Show what the running stack does."),
    "topics": Entry("spanwatch_service:topics_command", "Create the topics, or bring them up to date."),
    "train": Entry("agents.classifier.commands:train_command", "Train a model on labelled flows."),
    "unblock": Entry("api.commands_block:unblock_command", "Let an address go before its time."),
    "up": Entry("spanwatch_service:up_command", "Start everything on this machine, until Ctrl-C."),
    "worker": Entry("spanwatch_service:worker_command", "Run one more worker: capture, windows, flows, verdicts."),
}
"""Every command by its name."""

_OPEN_STORE = ("api", "migrate", "up")
"""Commands that begin by opening the store."""


class FrontDoor(click.Group):
    """A group whose commands are loaded when they are called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, the hidden one left out."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].place.partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, and a ClickHouse server that does not answer before the command is loaded.

        What `up` is made of takes seconds to load, and minutes on a machine that is very busy.
        """
        if args[0] in _OPEN_STORE and not ctx.resilient_parsing and not {"-h", "--help"} & set(args):
            _check_server()
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in sorted(COMMANDS.items())])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so."""
        found = [
            CompletionItem(name, help=entry.summary)
            for name, entry in sorted(COMMANDS.items())
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


def _check_server() -> None:
    from infra.command_errors import plainly
    from infra.settings import load_settings
    from infra.store_clients import Clients

    with plainly():
        settings = load_settings()
        if not settings.has_embedded_store:
            Clients(settings.clickhouse).close()


_HELP = """Watch a mirrored switch port, or a capture file, and say what went by.

\b
Try it:        spanwatch analyze FILE.pcap     a report, then everything stops again
Keep it:       spanwatch up                    broker, store, worker and API, until Ctrl-C
Watch a port:  spanwatch up --interface eth0   the same, capturing from an interface all the time
Then, beside:  spanwatch capture FILE.pcap     read a file into the running stack
               spanwatch status                what it is doing

Settings come from SPANWATCH_… variables or a file .env; `spanwatch config` lists them. Each command has --help.

Exit status: 0 all went well; 1 an error, told in a sentence; 2 wrong use; 3 where a command's help says so.
"""


@click.group(
    cls=FrontDoor, help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="spanwatch")
def main() -> None:
    """Warn of settings that are misspelt, then run a command."""
    from infra.settings import unknown_names

    for sentence in unknown_names(os.environ):
        click.secho(sentence, fg="yellow", err=True)


@main.command("extract", hidden=True)
@click.argument("arguments", nargs=-1, required=True)
def extract_command(arguments: tuple[str, ...]) -> None:
    """Take packets out of capture files: SELECTION (JSON) OUTPUT FILE…; what the API runs as streams.extract."""
    from streams.extract import main as extract

    sys.exit(extract(list(arguments)))


def start_pipeline(settings: Settings, store: Store) -> Pipeline:
    """Start what reads captures; the entry point that a stand-alone API starts."""
    import spanwatch_pipeline

    return spanwatch_pipeline.start_pipeline(settings, store)


if __name__ == "__main__":
    main()
