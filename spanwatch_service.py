"""The part of the front door that runs the parts, fills them, and says how they do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

import spanwatch_help
from agents.app import run_app
from agents.worker import READS, make_worker
from api.api_server import run as serve
from api.app import store_of
from api.capture_answers import LedgerAnswer
from api.compute import new_capture_id
from api.keys import own_key
from api.remote import RemoteStack
from api.report import captures_table, last_window, ledger_table
from infra.broker import Broker
from infra.command_errors import plainly
from infra.kafka import wait_until_reachable
from infra.lag import lag
from infra.logging import set_up_logging
from infra.memory import bound_allocators, freeze_start
from infra.settings import Settings, load_settings
from infra.settings_page import setting_rows
from infra.terminal import console
from infra.topics import create_topics
from schemas.errors import SettingsError, SpanwatchError
from spanwatch_capture import ALIGN, SPEED, WINDOW, notes, port_options, port_plan_of, send_file, send_port
from spanwatch_pipeline import start_live_pipeline, start_pipeline, start_storage
from streams.port import check_port
from streams.warm_up import warm_up

out = console()
log = logging.getLogger(__name__)


@click.command("up", help=spanwatch_help.UP)
@click.option(
    "--pcap",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Capture file to compute at once; may be repeated.",
)
@click.option("--interface", help="Network interface to capture from as long as this runs.")
@click.option("--filter", help="Capture filter of the interface, as tcpdump's.")
@click.option("--host", help="Address the API listens on.")
@click.option("--ports", help="Ports the API listens on, separated by commas.")
@plainly()
def up_command(files: tuple[Path, ...], **options: str | None) -> None:
    """Start everything; see ``spanwatch_help.UP``."""
    for file in files:
        if not file.is_file():
            raise SettingsError(f"There is no capture file {file}.")
    overrides: dict[str, Any] = {**options, "pcap": files[0].resolve() if files else None}
    if options["interface"]:
        overrides["mode"] = "live"
    settings = load_settings(**overrides)
    is_live = settings.mode == "live" and bool(settings.interface)
    if files:
        roots = [*settings.data_roots, *(file.resolve().parent for file in files)]
        overrides["data_roots"] = os.pathsep.join(map(str, roots))
    set_up_logging(settings)
    if is_live:
        # A capture that cannot start would be tried again for ever, and told of in a log only.
        check_port(port_plan_of(settings))
    threading.Thread(target=_greet, args=(settings, files), daemon=True).start()
    serve(start_live_pipeline if is_live else start_pipeline, **overrides)


def _greet(settings: Settings, files: tuple[Path, ...]) -> None:
    """Say when the stack answers, then have the files computed."""
    # The API that is asked runs in this process, so it knows this process's own key.
    with RemoteStack(settings, key=own_key()) as stack:
        while not stack.is_up():
            time.sleep(0.1)
        answers = (f"spanwatch answers at {stack.url}", "green")
        notes.print(Text.assemble(answers, f"  (API: {stack.url}/docs, stop: Ctrl-C)"))
        for file in files:
            try:
                answer = stack.post("/api/metrics/compute", {"pcap_file": str(file.resolve())})
                notes.print(f"{file}: {answer['window_count']} windows in {answer['computation_time']:.2f} s")
            except SpanwatchError as error:
                notes.print(f"{file}: {error}", style="red")


@click.command("worker", help=spanwatch_help.WORKER)
@plainly()
def worker_command() -> None:
    """Run the computing agents: capture, windows and merge. Start more of them to share the load."""
    bound_allocators()
    settings = load_settings()
    set_up_logging(settings)
    asyncio.run(_run_worker(settings))


async def _run_worker(settings: Settings) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.run_in_executor(None, _make_ready)
    try:
        await run_app(make_worker(settings), stop, settings)
    except Exception:
        log.exception("the worker has failed and ends; whoever keeps it running starts it again")
        logging.shutdown()
        # A thread may read a file for hours, or wait for Kafka for minutes, and an orderly end would wait for it.
        os._exit(1)


def _make_ready() -> None:
    warm_up()
    freeze_start()


@click.command("api", help=spanwatch_help.API)
@click.option("--host", help="Address to listen on.")
@click.option("--ports", help="Ports to listen on, separated by commas.")
@plainly()
def api_command(host: str | None, ports: str | None) -> None:
    """Run the API and the storage agents only; broker and workers run elsewhere (SPANWATCH_KAFKA)."""
    overrides = {"host": host, "ports": ports}
    settings = load_settings(**overrides)
    set_up_logging(settings)
    wait_until_reachable(settings)
    serve(start_storage, **overrides)


@click.command("broker", help=spanwatch_help.BROKER)
@plainly()
def broker_command() -> None:
    """Run the local Kafka alone, in the foreground."""
    settings = load_settings()
    set_up_logging(settings)
    with Broker(settings) as running:
        create_topics(settings)
        notes.print(f"Kafka answers at {running.bootstrap}  (stop: Ctrl-C)")
        _until_signal(running)


def _until_signal(running: Broker) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(0.5):
        if not running.is_alive:
            raise SpanwatchError("Kafka has ended; its log is in the state folder.")


@click.command("topics", help=spanwatch_help.TOPICS)
@plainly()
def topics_command() -> None:
    """Create the topics, or bring them to what the settings say; a second call changes nothing."""
    for change in create_topics(load_settings()) or ["nothing to do"]:
        out.print(change)


@click.command("migrate", help=spanwatch_help.MIGRATE)
@plainly()
def migrate_command() -> None:
    """Bring the store's tables up to this version. Every start does it, too."""
    with store_of(load_settings()) as store:
        for name in store.migrate() or ["nothing to do"]:
            out.print(name)


@click.command("config", help=spanwatch_help.CONFIG)
@plainly()
def config_command() -> None:
    """List every setting with its value, its default and what it is for."""
    table = Table("setting", "value", "default", "meaning", box=None, pad_edge=False)
    for row in setting_rows(load_settings()):
        table.add_row(row.names[0], row.value, row.default, row.doc)
    out.print(table)


@click.command("capture", help=spanwatch_help.CAPTURE)
@click.argument("file", required=False, type=click.Path(allow_dash=True))
@SPEED
@WINDOW
@ALIGN
@port_options
@plainly()
def capture_command(file: str | None, speed: float, window_s: float | None, align: str, **port: Any) -> None:
    """Read FILE into the running stack, or capture from an interface until Ctrl-C.

    FILE is pcap or pcapng; plain, gzip, zstd or xz; - for stdin.
    """
    capture_id = port["capture_id"] or new_capture_id()
    overrides = {name: port[name] for name in ("interface", "filter", "snaplen")}
    settings = load_settings(window_s=window_s, **overrides)
    if file and port["interface"]:
        raise SettingsError("Name a file or an interface, not both.")
    if file:
        send_file(file, settings, capture_id, speed, align)
    elif settings.interface:
        options = {name: port[name] for name in ("duration_s", "fanout", "promiscuous")}
        set_up_logging(settings)
        send_port(port_plan_of(settings, **options), settings, capture_id, port["output"], port["output_limit"])
    else:
        raise SettingsError("Name a capture file, or an interface with --interface.")
    out.print(capture_id)


@click.command("status", help=spanwatch_help.STATUS)
@click.option("--capture", "capture_id", help="Show this capture instead of the newest.")
@plainly()
def status_command(capture_id: str | None) -> None:
    """Show what the running stack does: captures, lag of the agents, last window, loss ledger."""
    settings = load_settings()
    with RemoteStack(settings) as stack:
        captures = stack.get("/api/captures", limit=5)["captures"]
        out.print(captures_table(captures))
        out.print(_lag_table(settings))
        chosen = capture_id or (captures[0]["capture_id"] if captures else None)
        if chosen is None:
            out.print("No capture yet: `spanwatch capture FILE`.")
            return
        windows = stack.get("/api/metrics/", capture=chosen, limit=1)
        if windows["total"]:
            last = stack.get(f"/api/metrics/{windows['total'] - 1}", capture=chosen)
            out.print(last_window(last))
        out.print(ledger_table(LedgerAnswer.model_validate(stack.get(f"/api/captures/{chosen}/ledger"))))


def _lag_table(settings: Settings) -> Table:
    table = Table("group", "topic", "messages behind", title="Lag", title_justify="left", box=None)
    for group, topics_read in READS.items():
        for topic in topics_read:
            behind = sum(row.messages for row in lag(settings, settings.group_name(group), [topic]))
            table.add_row(group, topic.name, f"{behind:,}")
    return table
