"""The layers of CONTRIBUTING.md, held by a walk over every import, those inside functions too."""

from __future__ import annotations

import ast
import builtins
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

# Top to bottom. An import goes down or stays.
LAYERS = (
    ("__main__", "cli"),
    ("serve", "bridges"),
    ("registry",),
    ("proposing",),
    ("review",),
    (
        "audit",
        "bundling",
        "doctor",
        "drill",
        "importing",
        "keeping",
        "pulling",
        "reproducing",
    ),
    ("sharing",),
    (
        "initialisation",
        "moving",
        "notebook",
        "overview",
        "references",
        "registering",
        "remembering",
    ),
    ("gating", "predicting", "trust"),
    ("store",),
    ("domain",),
    ("errors",),
)
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}

# `mlv/__init__.py` names what is public, and imports it when it is asked for.
PUBLIC = ("errors", "pulling", "registry", "serve")

# The one place of each door to the outside; the linter's `banned-api` in pyproject.toml says the
# same. A path that ends in a slash is a folder.
DOORS: dict[str, tuple[str, ...]] = {
    "subprocess": ("mlv/store/process.py",),
    "git": ("mlv/store/git.py",),
    "dvc": ("mlv/store/dvc/",),
    "dvc_data": ("mlv/store/dvc/",),
    "dvc_objects": ("mlv/store/dvc/",),
    "scmrepo": (),
}

# The library is silent; what a user sees, sets and gets as an exit code passes through the cli.
CLI = ("mlv/__main__.py", "mlv/cli/")
VOICE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("print", "input", "exit", "quit", "SystemExit"), CLI),
    **dict.fromkeys(("sys.exit", "sys.stdin", "sys.stdout", "sys.stderr", "sys.argv"), CLI),
    **dict.fromkeys(("click", "rich"), CLI),
    # A program gets the environment, less a hook's repository.
    **dict.fromkeys(("os.environ", "os.getenv", "os.putenv"), (*CLI, "mlv/store/process.py")),
    **dict.fromkeys(("os.system", "os.popen"), ()),
    "os._exit": ("mlv/cli/serving.py",),  # a model that hangs would keep a server from ending
}

# The domain decides; it neither reads nor writes nor looks at the clock. What it may import is
# listed, since what it may not is endless.
PURE = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "enum",
    "fractions",
    "functools",
    "itertools",
    "json",
    "math",
    "operator",
    "orjson",
    "re",
    "string",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
}
IMPURE = (
    "open",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.date.today",
)


class Use(NamedTuple):
    """A full name that a file imports or speaks of: ``os.environ``, ``print``, ``mlv.errors``."""

    line: int
    name: str
    imported: bool = False


def imports(tree: ast.AST, package: str) -> Iterator[tuple[Use, str, str]]:
    """Yield each import, the name that it binds, and what that name stands for."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    top = alias.name.partition(".")[0]
                    use = Use(node.lineno, alias.name, imported=True)
                    yield (use, alias.asname, alias.name) if alias.asname else (use, top, top)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                parts = package.split(".")
                start = [*parts[: len(parts) - level + 1]] if level else []
                start += [module] if module else []
                for alias in aliases:
                    name = ".".join([*start, alias.name])
                    yield Use(node.lineno, name, imported=True), alias.asname or alias.name, name


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` for such an expression, and nothing for any other."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            start = dotted(value)
            return start and f"{start}.{attr}"
    return ""


def names_of_its_own(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a file gives to its own things; one may be a builtin's."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name


def uses(source: str, package: str, modules: set[str]) -> Iterator[Use]:
    """Yield what a file imports, what it uses of that, and which builtins."""
    tree = ast.parse(source)
    meaning = {name: name for name in vars(builtins).keys() - set(names_of_its_own(tree))}
    for use, bound, full_name in imports(tree, package):
        meaning[bound] = full_name
        yield use
    for node in ast.walk(tree):
        match node:
            case ast.Attribute() | ast.Name():
                root, dot, rest = dotted(node).partition(".")
                if root in meaning:
                    yield Use(node.lineno, f"{meaning[root]}{dot}{rest}")
            case ast.Constant(value=str(text)) if "." in text and text in modules:
                yield Use(node.lineno, text, imported=True)  # in a table of lazy imports
            case ast.Call(func=func, args=[ast.Constant(value=str(text)), *_]):
                if dotted(func).endswith(("import_module", "__import__")):
                    yield Use(node.lineno, text, imported=True)


def speaks_of(name: str, thing: str) -> bool:
    return f"{name}.".startswith(f"{thing}.")


def wrong_layer(layer: str, wanted: str) -> str:
    """Say what is wrong with an import between our layers (the package itself is ""), if it is."""
    if not layer:
        return "" if wanted in PUBLIC else f"the package names only {' and '.join(PUBLIC)}"
    if not wanted:
        return "" if DEPTH[layer] < DEPTH["registry"] else f"{layer} is below the package's names"
    return f"{layer} is below {wanted}" if DEPTH.get(wanted, 0) < DEPTH[layer] else ""


def wrong_use(path: str, layer: str, use: Use) -> str:
    """Say what is wrong with a name from outside, if it is."""
    for thing, places in {**DOORS, **VOICE}.items():
        if speaks_of(use.name, thing) and not path.startswith(places):
            return f"{thing} is only for {' and '.join(places) or 'nobody'}"
    if layer == "domain" and any(speaks_of(use.name, thing) for thing in IMPURE):
        return "the domain neither reads nor looks at the clock"
    if layer == "domain" and use.imported and use.name.partition(".")[0] not in PURE:
        return "the domain imports only what cannot act"
    return ""


def violations(root: Path) -> list[str]:
    """Return what the package ``root/mlv`` does against the rules, a line each."""
    files = {
        file.relative_to(root).with_suffix("").as_posix().replace("/", "."): file
        for file in (root / "mlv").rglob("*.py")
    }
    modules = {name.removesuffix(".__init__") for name in files}
    found = set()
    for name, file in files.items():
        path = file.relative_to(root).as_posix()
        layer = name.removesuffix(".__init__").partition(".")[2].partition(".")[0]
        if layer and layer not in DEPTH:
            found.add(f"{path}: belongs to no layer")
            continue
        for use in uses(file.read_text(encoding="utf-8"), name.rpartition(".")[0], modules):
            if not speaks_of(use.name, "mlv"):
                wrong = wrong_use(path, layer, use)
            elif use.imported:
                target = use.name if use.name in modules else use.name.rpartition(".")[0]
                wrong = wrong_layer(layer, target.partition(".")[2].partition(".")[0])
            else:
                wrong = ""
            if wrong:
                found.add(f"{path}:{use.line}: {wrong}")
    return sorted(found)


def test_every_import_goes_down_and_every_door_has_one_place() -> None:
    assert violations(ROOT) == []


def test_the_linter_bans_the_same_doors_in_the_same_places() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lint = project["tool"]["ruff"]["lint"]
    rules = lint["per-file-ignores"]
    exempt = {path for path in rules if path.startswith("mlv/") and "TID251" in rules[path]}
    assert set(lint["flake8-tidy-imports"]["banned-api"]) == set(DOORS)
    places = {place for places in DOORS.values() for place in places}
    assert exempt == {f"{place}**" if place.endswith("/") else place for place in places}


def test_the_command_line_starts_without_its_heavy_parts() -> None:
    """Reading is cheap: DVC, GitPython and rich are imported by the commands that need them."""
    code = "import sys, mlv.cli; from mlv import ModelRegistry; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    heavy = {"dvc", "dvc_data", "git", "joblib", "numpy", "pandas", "rich", "sklearn"}
    assert heavy & set(done.stdout.split()) == set()


# A small package that keeps every rule, and what is legal although it looks like a breach.
CLEAN = {
    "mlv/__init__.py": "from mlv.errors import Wrong\nfrom mlv.registry import Registry\n",
    "mlv/__main__.py": "import sys\nfrom mlv.cli import main\nsys.exit(main())\n",
    "mlv/cli/__init__.py": "import os\ndef main():\n    print(os.environ['HOME'])\n",
    "mlv/cli/serve.py": "def serve():\n    from mlv import Registry\n    import mlv.serve\n",
    "mlv/serve/__init__.py": "from mlv.bridges import hook\nfrom mlv import Registry\n",
    "mlv/bridges/__init__.py": "import logging\n",
    "mlv/bridges/hook.py": "from . import logging\n",
    "mlv/registry.py": "from mlv.store import git\nclass Registry:\n    log = git.open()\n",
    "mlv/store/__init__.py": "",
    "mlv/store/git.py": "import git\nfrom mlv.store.process import run\n",
    "mlv/store/process.py": "import os, subprocess\nenv = dict(os.environ)\n",
    "mlv/store/dvc/repository.py": "def repo():\n    from dvc.repo import Repo\n    return Repo\n",
    "mlv/domain/__init__.py": "",
    "mlv/domain/names.py": "import datetime\nprint = 'mlv'\ndef f(open): return open(print)\n",
    "mlv/errors.py": "class Wrong(Exception): ...\n",
}


def plant(root: Path, files: dict[str, str]) -> Path:
    for path, source in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(source)
    return root


def test_a_package_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    assert violations(plant(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        # layers
        ("mlv/errors.py", "import mlv.domain.names", "errors is below domain"),
        ("mlv/domain/names.py", "from mlv.store import git", "domain is below store"),
        ("mlv/domain/names.py", "from mlv import store", "domain is below store"),
        ("mlv/domain/names.py", "from ..store.git import Git", "domain is below store"),
        ("mlv/domain/__init__.py", "from .. import registry", "domain is below registry"),
        ("mlv/store/git.py", "from mlv.registry import Registry", "store is below registry"),
        ("mlv/store/git.py", "if TYPE_CHECKING:\n    import mlv.cli", "store is below cli"),
        ("mlv/registry.py", "def f():\n    from mlv.serve import x", "registry is below serve"),
        ("mlv/registry.py", "from mlv import Registry", "registry is below the package's names"),
        ("mlv/bridges/hook.py", "import mlv.cli as c", "bridges is below cli"),
        ("mlv/bridges/hook.py", "LAZY = {'x': 'mlv.cli.serve'}", "bridges is below cli"),
        ("mlv/__init__.py", "from mlv import cli", "the package names only errors"),
        ("mlv/other.py", "", "belongs to no layer"),
        # doors
        ("mlv/registry.py", "import subprocess", "subprocess is only for mlv/store/process.py"),
        ("mlv/store/dvc/cache.py", "from subprocess import run", "subprocess is only for"),
        ("mlv/registry.py", "from git import Repo", "git is only for mlv/store/git.py"),
        ("mlv/cli/serve.py", "def f():\n    import dvc.api", "dvc is only for mlv/store/dvc/"),
        ("mlv/store/git.py", "import scmrepo", "scmrepo is only for nobody"),
        ("mlv/registry.py", "m = importlib.import_module('dvc.repo')", "dvc is only for"),
        ("mlv/registry.py", "m = __import__('dvc')", "dvc is only for"),
        # voice
        ("mlv/registry.py", "print('done')", "print is only for mlv/__main__.py and mlv/cli/"),
        ("mlv/registry.py", "show = print", "print is only for"),
        ("mlv/registry.py", "import sys\nsys.exit(1)", "sys.exit is only for"),
        ("mlv/registry.py", "import sys as s\ns.stdout.write('')", "sys.stdout is only for"),
        ("mlv/registry.py", "raise SystemExit(1)", "SystemExit is only for"),
        ("mlv/registry.py", "import os\nos.environ.get('X')", "os.environ is only for"),
        ("mlv/registry.py", "from os import environ", "os.environ is only for"),
        ("mlv/serve/__init__.py", "from rich import print", "rich is only for"),
        # purity
        ("mlv/domain/names.py", "import os", "the domain imports only what cannot act"),
        ("mlv/domain/names.py", "from pathlib import Path", "the domain imports only"),
        ("mlv/domain/names.py", "def f():\n    import time", "the domain imports only"),
        ("mlv/domain/names.py", "open('x')", "the domain neither reads nor looks at the clock"),
        (
            "mlv/domain/names.py",
            "from datetime import UTC, datetime as d\nd.now(UTC)",
            "the domain neither reads nor looks at the clock",
        ),
    ],
)
def test_a_breach_is_found(tmp_path: Path, path: str, source: str, wrong: str) -> None:
    [found] = violations(plant(tmp_path, {**CLEAN, path: source}))
    assert found.startswith(path)
    assert wrong in found
