"""The service as the Analyzer's document starts it: ``python api/api_server.py --mode pcap --pcap FILE``."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

# Run as a script, Python looks for modules beside this file; ours are found from the checkout.
_HERE = Path(__file__).resolve().parent
if sys.path and Path(sys.path[0]).resolve() == _HERE:
    sys.path[0] = str(_HERE.parent)

import click  # noqa: E402

from api.app import StartBackground, create_app, opened_store, start_background  # noqa: E402
from api.serve import listen, server_of, with_ports_of  # noqa: E402
from infra.command_errors import plainly  # noqa: E402
from infra.logging import set_up_logging  # noqa: E402
from infra.memory import bound_allocators  # noqa: E402
from infra.settings import load_settings  # noqa: E402


def run(start: StartBackground | None = None, **overrides: object) -> None:
    """Serve on all configured ports until Ctrl-C.

    Parameters
    ----------
    start : StartBackground or None
        Starts what runs beside the API; None starts every registered service.
    **overrides
        Settings by name, as from a command line; None leaves a setting as it is.

    Raises
    ------
    click.ClickException
        The service cannot start; the text says what to do.
    """
    bound_allocators()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The store is opened here and not by the application, so that what cannot start is told in a sentence.
    with suppress(KeyboardInterrupt), plainly(), ExitStack() as opened:
        settings = load_settings(**overrides)
        sockets = listen(settings)
        settings = with_ports_of(settings, sockets)
        store = opened.enter_context(opened_store(settings))
        start_background(settings, store, opened, start)
        server_of(create_app(settings, store), settings).run(sockets=sockets)


@click.command()
@click.option("--mode", type=click.Choice(["pcap", "live"]), help="Where packets come from.")
@click.option("--pcap", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Capture file.")
@click.option("--interface", help="Network interface, with --mode live.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="The only port to listen on.")
def main(mode: str | None, pcap: Path | None, interface: str | None, host: str | None, port: int | None) -> None:
    """Start the whole service: broker, store, workers and the API on all configured ports."""
    overrides: dict[str, Any] = {
        "mode": mode,
        "pcap": pcap,
        "interface": interface,
        "host": host,
        "ports": None if port is None else (port,),
    }
    with plainly():
        set_up_logging(load_settings(**overrides))
    run(**overrides)


if __name__ == "__main__":
    main()
