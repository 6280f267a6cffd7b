"""Options that every command has, and the registry that they open."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mlv.cli import show
from mlv.errors import InvalidInput
from mlv.registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from click.shell_completion import CompletionItem

    Pairs = tuple[tuple[str, str], ...]

_RARELY = 100_000


class Session(NamedTuple):
    """How a command was called."""

    folder: Path
    model: str | None
    as_json: bool
    quiet: bool

    def open(self) -> ModelRegistry:
        """Open the registry; notes go to standard error, bars to a terminal."""
        if self.quiet:
            return ModelRegistry(self.folder, self.model, notify=_silent)
        from mlv.cli.progress import bar

        return ModelRegistry(self.folder, self.model, notify=show.note, progress=bar())

    def path(self, text: str) -> Path:
        """Give a path that was typed, as seen from the folder of ``-C``."""
        return self.folder / Path(text).expanduser()


def _silent(note: str) -> None:
    pass


def command(*decorators: Callable[[Any], Any], model: bool = True) -> Callable[[Any], Any]:
    """Make a function a command: it is given a `Session`, then its own arguments."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @click.pass_context
        def run(ctx: click.Context, /, **arguments: Any) -> None:
            gc.freeze()
            gc.set_threshold(_RARELY)  # thousands of manifests are no garbage either
            gc.enable()
            folder = arguments.pop("folder") or ctx.obj or "."
            session = Session(
                Path(folder),
                _model(arguments.pop("model", None), function.__name__),
                arguments.pop("as_json"),
                arguments.pop("quiet"),
            )
            function(session, **arguments)

        run.__doc__ = function.__doc__
        wrapped: Any = run
        for decorator in reversed(
            (*decorators, *((_MODEL,) if model else ()), _JSON, _QUIET, _FOLDER)
        ):
            wrapped = decorator(wrapped)
        name = function.__name__.removesuffix("_command").replace("_", "-")
        made: click.Command = click.command(name)(wrapped)
        return made

    return decorate


_MODEL = click.option("-m", "--model", metavar="NAME", help="The model's name (not a file).")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/json.md).")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Print the bare answer alone.")
PUSH = click.option(
    "--push/--no-push", default=None, help="Publish it on the Git remote (mlv.yaml: push)."
)
_FOLDER = click.option("-C", "folder", metavar="DIR", help="Run as if started in DIR.")


def _model(value: str | None, command_name: str) -> str | None:
    """Explain ``--model path.pkl``, which many will type."""
    if value is None:
        return None
    looks_like_file = "/" in value or os.sep in value or "." in value
    if looks_like_file:
        raise InvalidInput(
            f"--model takes the model's name, and {value!r} looks like a file",
            hint=f"the file is the first argument: mlv register {value} --preprocessor FILE"
            if command_name.startswith("register")
            else "mlv list shows the models",
        )
    return value


def split_pairs(option: str, values: Iterable[str], form: str) -> dict[str, str]:
    """Read values of an option that is given several times, each a name with a text."""
    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{option} {value!r} is not {form}")
        found[name] = text
    return found


def _loaders(_: click.Context, __: click.Parameter, values: Iterable[str]) -> Pairs:
    return tuple(split_pairs("--loader", values, "SUFFIX=MODULE:FUNCTION").items())


loader_option = click.option(
    "--loader", "loaders", multiple=True, metavar="SUFFIX=MODULE:FUNCTION", callback=_loaders,
    help="What loads such a file.",
)  # fmt: skip


def complete_ref(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a reference from the tags that are here."""
    from click.shell_completion import CompletionItem

    from mlv.errors import RegistryError

    try:
        outer = ctx.find_root().params.get("folder")
        folder = ctx.params.get("folder") or outer or "."
        registry = ModelRegistry(folder, notify=_silent)
        models = registry.models()
        refs = [manifest.version.tag for manifest, _ in reversed(registry.versions())]
    except RegistryError:
        return []
    refs += [
        f"{model}@{alias}" for model in models for alias in ("production", "staging", "latest")
    ]
    return [CompletionItem(ref) for ref in refs if ref.startswith(incomplete)]


def ref_argument(name: str = "ref", *, required: bool = True) -> Callable[[Any], Any]:
    """Give an argument that is a reference to a version."""
    return click.argument(name, required=required, shell_complete=complete_ref)
