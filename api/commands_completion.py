"""``spanwatch completion``: what a shell needs to complete commands, options, choices and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from schemas.errors import SettingsError

SHELLS = ("bash", "zsh", "fish")

_HELP = """Print the completion script of a shell.

It completes commands, options, choices and files. Let the shell read it when it starts:

\b
bash   spanwatch completion bash > ~/.local/share/bash-completion/completions/spanwatch
zsh    spanwatch completion zsh > "${fpath[1]}/_spanwatch"
fish   spanwatch completion fish > ~/.config/fish/completions/spanwatch.fish

\b
Examples:
  source <(spanwatch completion bash)    in the shell at hand

The script asks `spanwatch` itself, so it need not be made again after an update.
"""


@click.command("completion", help=_HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print a completion script; see ``_HELP``."""
    click.echo(script_of(context.find_root().command, shell), nl=False)


def script_of(program: click.Command, shell: str) -> str:
    """Return the script with which a shell completes a program.

    Raises
    ------
    SettingsError
        Click knows no such shell.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise SettingsError(f"There is no completion for {shell}.")
    made = kind(program, {}, "spanwatch", "_SPANWATCH_COMPLETE")
    # Not ``source()``: for bash that asks the bash of this machine for its version.
    return made.source_template % made.source_vars()
