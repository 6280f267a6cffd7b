"""The command line: parse, one call, show. The only place that prints and exits."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from typing import NoReturn

# A short command spends its time on imports, and what they make is no garbage. `options.command`
# switches collecting on again once they are done.
gc.disable()

import click  # noqa: E402 - see above

from mlv.errors import RegistryError  # noqa: E402

# Command -> the module that has it, loaded only when it is called.
_COMMANDS = {
    "init": "setting_up",
    "register": "registering",
    "import": "importing",
    "list": "reading",
    "show": "reading",
    "compare": "reading",
    "status": "reading",
    "current": "reading",
    "history": "remembering",
    "at": "remembering",
    "gate": "judging",
    "stage": "moving",
    "promote": "moving",
    "rollback": "moving",
    "propose": "proposing",
    "review": "judging",
    "push": "sharing",
    "fetch": "sharing",
    "pull": "fetching",
    "bundle": "bundling",
    "unbundle": "bundling",
    "serve": "serving",
    "reproduce": "reproducing",
    "export": "exporting",
    "verify": "trusting",
    "drill": "drilling",
    "yank": "keeping",
    "purge": "keeping",
    "trust": "trusting",
    "doctor": "trusting",
    "check-commit": "setting_up",
    "check-push": "setting_up",
    "demo": "demo",
}


class _Commands(click.Group):
    """Commands in the order of a model's life, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"mlv.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(name, _COMMANDS, 1)
            meant = f" Did you mean {close[0]!r}?" if close else " mlv --help lists them."
            raise click.UsageError(f"There is no command {name!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from mlv import __version__

        click.echo(f"mlv {__version__}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-C", "folder", metavar="DIR", help="Run as if started in DIR.")
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context, folder: str | None) -> None:
    """A model registry that lives in Git and DVC.

    REF is fraud-v3, v3, fraud@production, fraud@staging or fraud@latest.
    """
    ctx.obj = folder
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    elif os.environ.get("FORCE_COLOR"):
        ctx.color = True


def main() -> NoReturn:
    """Run the command line; every error ends here, in a line or two and an exit code."""
    try:
        cli()
    except SystemExit as end:
        # click ends so when the reader of our output left (mlv list | head): nothing is wrong.
        sys.exit(0 if end.code == 1 and _reader_left() else end.code)
    except RegistryError as error:
        _fail(error.message, error.hint, error.exit_code)
    except OSError as error:
        hint = "free some space and try again" if error.errno == errno.ENOSPC else ""
        _fail(f"{error.filename or 'mlv'}: {error.strerror or error}", hint, 1)
    except Exception as error:
        if os.environ.get("MLV_DEBUG"):
            raise
        _fail(
            f"mlv broke: {type(error).__name__}: {error}",
            "this is a fault of mlv; MLV_DEBUG=1 shows where it happened",
            1,
        )
    sys.exit(0)


def _reader_left() -> bool:
    import select

    if not hasattr(select, "poll") or sys.__stdout__ is None:
        return False
    poll = select.poll()
    poll.register(sys.__stdout__.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _fail(message: str, hint: str, code: int) -> NoReturn:
    from mlv.cli.show import printable

    color = False if os.environ.get("NO_COLOR") else None
    click.echo(f"{click.style('error:', fg='red')} {printable(message)}", err=True, color=color)
    if hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {printable(hint)}", err=True, color=color)
    sys.exit(code)
