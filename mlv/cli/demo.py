"""demo: a model's life in one go, by the commands that a person would type."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mlv.cli import show
from mlv.cli.options import Session, command
from mlv.errors import ConfigError, GateFailed, IntegrityError, InvalidInput, ProgramError
from mlv.registry import ModelRegistry
from mlv.store import process, templates

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_PACKAGES = {"pandas": "pandas", "sklearn": "scikit-learn"}
# How programs are found, whatever is activated; `-P`: no file of the project shadows a module.
_PYTHON = (sys.executable, "-P")
_PROGRAMS = {"python": _PYTHON, "mlv": (*_PYTHON, "-m", "mlv"), "dvc": (*_PYTHON, "-m", "dvc")}
# What git and DVC tell a beginner each time.
_CHATTER = re.compile(
    r"\s*$| create mode |\tgit add|\tdvc config|(Generating|Updating) lock file|To track the|"
    r"To enable auto|Use `dvc push`|Initialized DVC|You can now commit|Previous HEAD|Setting '"
)
_TICK = click.style("✓", fg="green")
# The user's own settings neither spoil the demo (hooks, signing) nor get a share of its bytes.
_SETTINGS = {
    "gitconfig": "[advice]\n\tdetachedHead = false\n",
    "dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
}
# Of the two repositories alone, so that whoever keeps them can go on in them.
_IDENTITY = (
    "[user]\n\tname = demo\n\temail = demo@example.com\n"
    "[commit]\n\tgpgsign = false\n[tag]\n\tgpgsign = false\n"
)

_REGISTER = """mlv register artifacts/model.pkl \\
  --preprocessor artifacts/preprocessor.pkl \\
  --metrics metrics.json --meta data_window=last_90_days"""
_PREDICT = """
rows = pandas.read_csv("data/test.csv").drop(columns="target")
chances = model.predict_proba(scaler.transform(rows))[:, 1]
print(len(rows), "chances of benign:", *chances[:5].round(4), "...")
print("hash of them all:", joblib.hash(chances))
'"""
_WITH_MLV = f"""python -c '
import joblib, pandas
from mlv import ModelRegistry
live = ModelRegistry(".").load()
model, scaler = live["model"], live["preprocessor"]{_PREDICT}"""
_WITHOUT_MLV = f"""python -c '
import joblib, pandas
model = joblib.load("registry/model/model.pkl")
scaler = joblib.load("registry/model/preprocessor.pkl"){_PREDICT}"""
_DIGESTS = """python -c '
import hashlib, json
manifest = json.load(open("registry/model/manifest.json"))
model = open("registry/model/model.pkl", "rb").read()
print(manifest["artifacts"]["model"]["sha256"], "manifest")
print(hashlib.sha256(model).hexdigest(), "model.pkl")
'"""


@command(
    click.option("--keep", is_flag=True, help="Keep the folder, to look around in it."),
    click.option("--dir", "directory", metavar="DIR", help="Play in DIR, and keep it."),
    model=False,
)
def demo_command(session: Session, keep: bool, directory: str | None) -> None:
    """Train, register, promote, roll back and reproduce in a throw-away repository."""
    started = time.monotonic()
    _check_packages()
    folder, kept = _folder(session, directory), keep or directory is not None
    try:
        report = _play(_Stage(folder, session.as_json or session.quiet))
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, BrokenPipeError)) and not kept:
            _remove(folder)
        else:
            show.note(f"the demo stopped half-way; look around in {folder}")
        raise
    if not kept:
        _remove(folder)
    seconds = round(time.monotonic() - started, 1)
    if session.as_json:
        show.as_json({"folder": str(folder), "kept": kept, "seconds": seconds, **report})
    elif session.quiet:
        show.line("ok")
    else:
        _sum_up(folder, seconds, kept=kept)


def _check_packages() -> None:
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise ConfigError(
            f"the demo trains models, which takes {' and '.join(missing)}",
            hint="pip install 'mlv[demo]'",
        )


def _folder(session: Session, directory: str | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="mlv-demo-")).resolve()
    folder = session.path(directory).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidInput(f"{folder} is not empty", hint="name a folder that is new or empty")
    return folder


def _remove(folder: Path) -> None:
    """Remove the folder, with what git, DVC and mlv made read-only (Windows minds that)."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


class _Stage(NamedTuple):
    """The demo's folder, and whether nobody watches."""

    folder: Path
    is_silent: bool

    def say(self, text: str = "") -> None:
        if not self.is_silent:
            show.line(text)

    def section(self, title: str, sentence: str) -> None:
        self.say(f"\n{click.style(title, fg='cyan', bold=True)}\n{sentence}")

    def type(self, *commands: str, at: str = "project", refusal: int = 0) -> str:
        """Show commands as they would be typed, run them, and give what the last one printed.

        ``refusal`` is an exit code besides 0 with which they may end.
        """
        stdout, prompt = "", click.style(f"{at} $".removeprefix(". "), fg="bright_black")
        self.say()
        for typed in commands:
            first, *more = map(show.heading, typed.splitlines())
            self.say("\n    ".join((f"  {prompt} {first}", *more)))
            with self._spinner():
                stdout, stderr = self.run(typed, at, refusal)
            for text in (stdout + stderr).splitlines():
                if not _CHATTER.match(text):
                    self.say(f"    {re.sub('^✓', _TICK, text)}")
        return stdout

    def run(self, typed: str, at: str = "project", refusal: int = 0) -> tuple[str, str]:
        """Run what would be typed; `ProgramError` with all that was said if it fails."""
        program, *arguments = shlex.split(typed.replace("\\\n", " "))
        argv = (*_PROGRAMS.get(program, (program,)), *arguments)
        code, out, stderr = process.run(argv, cwd=self.folder / at, env=self._environment(program))
        stdout = out.decode(errors="replace")
        if code not in (0, refusal):
            said = click.unstyle(stdout + stderr).strip()
            message = f"exit code {code} from: {typed}\n{said}"
            raise ProgramError(message, argv=argv, code=code, stderr=stderr)
        return stdout, stderr

    def check(self, what: str, *values: str) -> None:
        """Stop unless all values are the same."""
        if len(set(values)) > 1:
            raise IntegrityError(f"these are not {what}: {' '.join(values)}")
        self.say(f"    {_TICK} {what}")

    def _environment(self, program: str) -> dict[str, str]:
        settings = self.folder / ".settings"
        folders = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
        return {
            "PATH": os.pathsep.join(folders),  # the stages of the pipeline run `python`
            "PYTHONUTF8": "1",
            "COLUMNS": str(shutil.get_terminal_size((100, 24)).columns - 4),
            "GIT_CONFIG_GLOBAL": str(settings / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_GLOBAL_CONFIG_DIR": str(settings / "dvc"),
            "DVC_SYSTEM_CONFIG_DIR": str(settings / "dvc"),
            "DVC_SITE_CACHE_DIR": str(settings / "cache"),
            "DVC_NO_ANALYTICS": "1",
            **({"FORCE_COLOR": "1"} if program == "mlv" and self._is_lively() else {}),
        }

    def _is_lively(self) -> bool:
        return not self.is_silent and sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def _spinner(self) -> AbstractContextManager[object]:
        if not self._is_lively():
            return contextlib.nullcontext()
        from rich.console import Console

        return Console().status("")


def _play(stage: _Stage) -> dict[str, Any]:
    """Play it all, and give what was made."""
    stage.say(f"{show.heading('mlv demo')}: a model's life, in {stage.folder}")
    _set_up(stage)
    _train(stage)
    predicted = _decide(stage)
    stage.section("Publish", "The bytes first, then branch and tags in one push.")
    stage.type("mlv push")
    registry = ModelRegistry(stage.folder / "project", notify=lambda _: None)
    versions = [manifest for manifest, _ in registry.versions()]
    _reproduce(stage, predicted, versions[0].artifacts["model"].sha256)
    return {
        "versions": [{"tag": v.version.tag, "metrics": dict(v.metrics)} for v in versions],
        "live": registry.resolve("@production").tag,
        "reproduced": True,
    }


def _set_up(stage: _Stage) -> None:
    stage.section(
        "A repository becomes a registry",
        "A project with a DVC pipeline, a Git remote, a folder as DVC remote. No server.",
    )
    for name, text in _SETTINGS.items():
        path = stage.folder / ".settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    template = templates.folder(templates.PIPELINE)
    left_behind = shutil.ignore_patterns(*templates.LEFT_BEHIND)
    shutil.copytree(template, stage.folder / "project", ignore=left_behind)
    stage.run("git init --quiet --bare -b main origin.git", at=".")
    stage.type("git init --quiet -b main")
    _identify(stage, "project")
    stage.type("git remote add origin ../origin.git", "mlv init")
    # Absolute: DVC takes a relative one that it reads from a tag to start at the disk's root.
    stage.type(f"dvc remote add -d storage {shlex.quote(str(stage.folder / 'storage'))}")


def _identify(stage: _Stage, at: str) -> None:
    with (stage.folder / at / ".git" / "config").open("a", encoding="utf-8") as file:
        file.write(_IDENTITY)


def _train(stage: _Stage) -> None:
    stage.section(
        "Train, commit, register",
        "A version is a tag on one commit beside main: code, data, metrics and model.",
    )
    _train_one(stage, "random forest")
    stage.say("\n  Now the other kind of model that the pipeline knows. In params.yaml,")
    stage.say("  model: random_forest becomes model: gradient_boosting.")
    path = stage.folder / "project" / "params.yaml"
    text = path.read_text(encoding="utf-8")
    text = text.replace("model: random_forest", "model: gradient_boosting")
    path.write_text(text, encoding="utf-8")
    _train_one(stage, "gradient boosting")
    stage.type("mlv list")


def _train_one(stage: _Stage, kind: str) -> None:
    stage.type("dvc repro")
    stage.type("git add .", f'git commit -m "Train a {kind} model"')
    stage.type(_REGISTER)


def _decide(stage: _Stage) -> str:
    """Move the pointer there and back; give what the live model predicts."""
    stage.section(
        "Decide what is live",
        "One commit on main says what is in production, who put it there and why.",
    )
    stage.type("mlv promote model-v1")
    stage.type("mlv compare v1 v2")
    stage.say("\n  The gate lets nothing live that is more than 5 % worse:")
    stage.type("mlv promote v2", refusal=GateFailed.exit_code)
    stage.say("\n  Somebody promotes v2 all the same, and is sorry:")
    stage.type('mlv promote v2 --force --reason "Gradient boosting always wins"')
    stage.type('mlv rollback --reason "It scores lower than v1"')
    stage.type("git log --oneline registry/model/pointer.json")
    stage.say("\n  What is live predicts; no byte is loaded before it is verified:")
    return stage.type(_WITH_MLV)


def _reproduce(stage: _Stage, predicted: str, sha256: str) -> None:
    stage.section(
        "On a new machine", "Git and DVC alone bring back what a version means, without mlv."
    )
    new = "new-machine"
    stage.type(f"git clone origin.git {new}", at=".")
    _identify(stage, new)
    stage.type("git checkout model-v1", "dvc pull", at=new)
    digests = [text.split()[0] for text in stage.type(_DIGESTS, at=new).splitlines()]
    stage.check("the bytes that were registered", sha256, *digests)
    again = stage.type(_WITHOUT_MLV, at=new)
    stage.check("the predictions of before, to the last bit", predicted, again)
    stage.say("\n  And main is what is live:")
    stage.type("git checkout main", "dvc pull", "git show main:registry/model/pointer.json", at=new)
    model = (stage.folder / new / "registry" / "model" / "model.pkl").read_bytes()
    stage.check("the bytes of what is live", sha256, hashlib.sha256(model).hexdigest())


def _sum_up(folder: Path, seconds: float, *, kept: bool) -> None:
    done = click.style("Done", fg="green", bold=True)
    where = f"The registry is {folder / 'project'}." if kept else "The folder was removed."
    look = "git log --all --graph --oneline; mlv show v2" if kept else "mlv demo --keep"
    show.line(f"""
{done} in {seconds:.0f} s
Two models were trained, registered and compared. One went live, was replaced by
the other and came back. A new machine got the same bytes by git and dvc alone.

{where}
  look around in it      {look}
  set up your own        mlv init; mlv register MODEL --preprocessor FILE
  see every command      mlv --help""")
