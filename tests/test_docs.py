"""The documentation is tested: its commands run, its output is real, and it leaves nothing out.

A fenced block says by its language what happens to it, document by document, from top to bottom:

    console       `$ command` lines run, and what they print is compared; a line `...` stands for
                  any lines. A command may fail only where its output shows an `error:` or the
                  next command is `echo $?`
    sh            runs as a script, and must succeed
    python        runs as Python
    pycon         runs as a doctest
    json, yaml    must be JSON, must be a valid mlv.yaml
    text          is for reading

An HTML comment that starts with `docs-test` is a `sh` block which readers do not see. A document
starts in an empty home folder; `docs-test: registry` puts a registry there first (`furnish`).
Hashes, times, sizes and the machine are normalised; `/home/ada` stands for the home folder.

    UPDATE_DOCS=1 .venv/bin/pytest tests/test_docs.py      # rewrite the output that differs
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import json
import os
import pickle
import random
import re
import shutil
import subprocess
import threading
from pathlib import Path
from statistics import NormalDist, linear_regression
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import click
import pytest

import mlv as package
from mlv import ModelRegistry
from mlv.cli import cli
from mlv.domain.manifest import METADATA
from mlv.domain.pointer import STATUSES
from mlv.errors import ConfigError, RegistryError
from mlv.store import config as configs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# These need more than is here: tests/fresh runs the one, on a machine of its own, tests/servers the
# other.
SERVING, MLFLOW = (ROOT / "docs" / name for name in ("serving.md", "mlflow.md"))
ADA = "/home/ada"
TIMEOUT = 300.0  # seconds for one document; a command that waits for input must not hang the suite

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="the examples are for a shell")


def document_named(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# Reading documents -------------------------------------------------------------------------


class Block(NamedTuple):
    """A fenced block, or a comment for the test, and where in the document its text stands."""

    language: str
    text: str
    line: int
    span: tuple[int, int]


LANGUAGES = {"console", "sh", "python", "pycon", "json", "yaml", "text"}
_FENCE = re.compile(
    r"^```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^```[ ]*$"
    r"|^<!-- docs-test(?P<what>[^\n]*)\n(?P<hidden>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)


def blocks(document: str) -> list[Block]:
    found = []
    for match in _FENCE.finditer(document):
        part = "hidden" if match["text"] is None else "text"
        hidden = "registry" if match["what"] == ": registry" else "sh"
        language = hidden if match["text"] is None else match["language"]
        line = document.count("\n", 0, match.start(part)) + 1
        found.append(Block(language, match[part], line, match.span(part)))
    return found


class Typed(NamedTuple):
    """A command of a console block and the output that is shown for it."""

    command: str
    output: str


def typed(text: str) -> list[Typed]:
    """Split a console block: `$ ` starts a command, `> ` continues it, the rest is output."""
    found: list[Typed] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Typed(line[2:], ""))
        elif line.startswith("> ") and found and not found[-1].output:
            found[-1] = Typed(f"{found[-1].command}\n{line[2:]}", "")
        else:
            assert found, f"a console block starts with a command, not {line!r}"
            found[-1] = found[-1]._replace(output=f"{found[-1].output}{line}\n")
    return found


# Comparing ---------------------------------------------------------------------------------

_VARIES = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "<sha256>"),
    (re.compile(r"\b[0-9a-f]{16}…"), "<sha256>…"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "<commit>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<md5>"),
    (re.compile(r"\b[0-9a-f]{2}/[0-9a-f]{30}\b"), "<md5>"),
    (re.compile(r"\b[0-9a-f]{7,12}\b"), "<commit>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "<date>"),
    (re.compile(r"\b\d{8}_\d{6}\b"), "<time>"),
    (re.compile(r"\b\d+ (second|minute|hour)s? ago\b"), "<time> ago"),
    (re.compile(r"\b\d+ (s|min|h) old\b"), "<time> old"),
    (re.compile(r"\b\d+(\.\d)? (B|kB|MB|GB)\b"), "<size>"),
    (re.compile(r'("size": )\d+'), r"\1<size>"),
    (re.compile(r" *\b\d+\.\d+ s\b"), " <seconds>"),
    (re.compile(r'("seconds": )\d+(\.\d+)?'), r"\1<seconds>"),
    (re.compile(r"\b(Linux|macOS|Windows)-[\w.+-]+"), "<platform>"),
    (re.compile(r'((?:^|\W)python\W+)3\.\d+\.\d+\S*?(?="|$)', re.MULTILINE), r"\1<python>"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


def normalised(text: str) -> str:
    for pattern, stands_for in _VARIES:
        text = pattern.sub(stands_for, text)
    return text.strip("\n")


def is_as_shown(shown: str, found: str) -> bool:
    """Whether output is what a document shows; a line `...` stands for any lines."""
    parts = re.split(r"^\.\.\.$", normalised(shown), flags=re.MULTILINE)
    pattern = r"[\s\S]*?".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, normalised(found)) is not None


class Checker(doctest.OutputChecker):
    """Compares a doctest's output as that of a console block."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        want, got = normalised(told(want)), normalised(told(got))
        return super().check_output(f"{want}\n", f"{got}\n", optionflags)


def told(output: str) -> str:
    """Tell output as on the computer of Ada, whose home folder this is."""
    for home in (os.path.realpath(os.environ["HOME"]), os.environ["HOME"]):
        output = output.replace(home, ADA)
    return output


def meant(command: str) -> str:
    """Give what is typed with this home folder in place of Ada's."""
    return command.replace(ADA, os.environ["HOME"])


# Running -----------------------------------------------------------------------------------


class Shell:
    """One bash for one document, so that `cd` and variables last; a context manager.

    ``argv`` starts it elsewhere than here; ``seen_as`` is what the folder of scripts is called
    there.
    """

    def __init__(
        self,
        folder: Path,
        scripts: Path,
        argv: Sequence[str] = ("bash", "--noprofile", "--norc"),
        seen_as: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._script = scripts / "command.sh"
        self._seen_as = seen_as or scripts
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._timer = threading.Timer(TIMEOUT, self._process.kill)
        self._code = 0

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._process.communicate()

    def run(self, command: str) -> tuple[int, str]:
        """Run what would be typed; give its exit code and all that it printed."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        self._script.write_text(f"{command}\n", encoding="utf-8")
        end = "--- the end, with "
        # From a file, so that a broken command does not break this shell.
        stdin.write(f"(exit {self._code}); . '{self._seen_as / 'command.sh'}' </dev/null 2>&1\n")
        stdin.write(f'printf "\\n%s%d\\n" "{end}" $?\n')
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            if line.startswith(end):
                self._code = int(line.removeprefix(end))
                return self._code, "".join(lines).removesuffix("\n")
            lines.append(line)
        raise AssertionError(f"{command!r} ended the shell, or took too long: {''.join(lines)}")

    def run_script(self, script: str) -> tuple[int, str]:
        """Run a script up to its first failure; of what it sets only the folder lasts."""
        folder = self._seen_as / "folder"
        code, output = self.run(f"(\nset -e\n{script}\npwd > '{folder}'\n)")
        if not code:
            self.run(f"cd \"$(cat '{folder}')\"")
        return code, output


class Wrong(AssertionError):
    """A document says what is not so."""


class Document:
    """Runs the blocks of a document from top to bottom."""

    def __init__(self, shell: Shell, name: str, *, update: bool = False) -> None:
        self.shell = shell
        self.name = name
        self.update = update
        self.globals: dict[str, Any] = {"__name__": "__main__"}

    def run(self, text: str) -> str:
        """Run it all; give the text back with the output that was really printed."""
        real, done = [], 0
        for block in blocks(text):
            where = f"{self.name}:{block.line}"
            if block.language == "console":
                start, end = block.span
                real += [text[done:start], self._console(block, where)]
                done = end
            elif block.language == "sh":
                code, output = self.shell.run_script(meant(block.text))
                self._expect(not code, where, f"exit code {code}\n{output}")
            elif block.language in ("python", "pycon"):
                self._python(block, where)
            elif block.language == "registry":
                furnish(Path.home())
                self.shell.run("cd payments")
        return "".join(real) + text[done:]

    def _console(self, block: Block, where: str) -> str:
        steps = typed(block.text)
        real = []
        for at, step in enumerate(steps):
            code, output = self.shell.run(meant(step.command))
            output = told(output)
            asked = at + 1 < len(steps) and steps[at + 1].command == "echo $?"
            said = f"$ {step.command}\n{output}\n(exit code {code})"
            if not self.update:
                if not is_as_shown(step.output, output):
                    raise Wrong(f"{where}: shown is\n{step.output}\nbut really it is\n{said}")
                shows_error = re.search(r"^(error|ERROR|fatal):|^✗|^problem:", output, re.MULTILINE)
                self._expect(asked or bool(code) == bool(shows_error), where, said)
            as_shown = is_as_shown(step.output, output)
            shown = step.output if as_shown else output.strip("\n") + "\n" * bool(output.strip())
            command = step.command.replace("\n", "\n> ")
            real.append(f"$ {command}\n{shown}")
        return "".join(real)

    def _python(self, block: Block, where: str) -> None:
        _, folder = self.shell.run("pwd")
        with contextlib.chdir(folder.strip()):
            if block.language == "python":
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(meant(block.text), where, "exec"), self.globals)  # noqa: S102
                return
            parsed = doctest.DocTestParser().get_doctest(
                meant(block.text), self.globals, where, where, block.line - 1
            )
            said: list[str] = []
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            runner = doctest.DocTestRunner(Checker(), verbose=False, optionflags=flags)
            runner.run(parsed, out=said.append, clear_globs=False)
            self.globals = parsed.globs
            self._expect(not runner.failures, where, "".join(said))

    def _expect(self, is_so: bool, where: str, said: str) -> None:
        if not is_so:
            raise Wrong(f"{where}: {said}")


def furnish(home: Path) -> None:
    """Put a registry in ``home``: fraud-v1 archived, fraud-v2 live, fraud-v3 registered.

    `payments` is a clone of `payments.git`; the DVC remote is `storage`. All is published.
    """
    folder = home / "payments"

    def call(*argv: str) -> None:
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)

    folder.mkdir()
    (home / "storage").mkdir()
    subprocess.run(["git", "init", "--quiet", "--bare", str(home / "payments.git")], check=True)
    call("git", "init", "--quiet")
    call("git", "remote", "add", "origin", "../payments.git")
    registry = ModelRegistry.init(folder, "fraud")
    # Absolute: `dvc push --all-tags` does not find one that is relative (docs/how-it-works.md).
    config = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {home / 'storage'}\n"
    (folder / ".dvc" / "config").write_text(config)
    (folder / "train.py").write_text("# as in the tutorial\n")
    (folder / ".gitignore").write_text("/model.pkl\n/scaler.pkl\n/metrics.json\n")
    call("git", "add", ".dvc/config", "train.py", ".gitignore")
    call("git", "commit", "--quiet", "--message", "Train the fraud model")
    for days in (30, 60, 90):
        metrics = train(folder, days)
        (folder / "metrics.json").write_text(json.dumps(metrics))
        metadata = {"data_window": f"last_{days}_days", "training_samples": 20 * days}
        registry.register(folder / "model.pkl", folder / "scaler.pkl", metrics, metadata)
    call("dvc", "push", "--quiet", "--all-tags")
    registry.promote("v1", reason="The first model")
    registry.promote("v2", reason="Trained on twice the data")
    call("git", "push", "--quiet", "--set-upstream", "origin", "main", "--tags")


def train(folder: Path, days: int) -> dict[str, float]:
    """Train as `train.py` of the tutorial does, without starting Python."""
    chance = random.Random(days)
    frauds = [chance.random() < 0.2 for _ in range(20 * days)]
    amounts = [chance.gauss(90 if fraud else 40, 25) for fraud in frauds]
    scaler = NormalDist.from_samples(amounts)
    model = linear_regression([scaler.zscore(a) for a in amounts], [float(f) for f in frauds])
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    (folder / "scaler.pkl").write_bytes(pickle.dumps(scaler))
    fraud = [amount for amount, is_fraud in zip(amounts, frauds, strict=True) if is_fraud]
    fair = [amount for amount, is_fraud in zip(amounts, frauds, strict=True) if not is_fraud]
    better = sum(a > b for a in fraud for b in fair)
    return {"roc_auc": round(better / (len(fraud) * len(fair)), 4)}


@pytest.fixture
def shell(home: Path, tmp_path: Path) -> Iterator[Shell]:
    with Shell(home, tmp_path) as running:
        yield running


@needs_bash
@pytest.mark.parametrize(
    "path",
    [path for path in DOCUMENTS if path not in (SERVING, MLFLOW)],
    ids=lambda path: path.stem,
)
def test_every_example_does_what_the_document_shows(
    path: Path, shell: Shell, caller_env: dict[str, str]
) -> None:
    update = bool(caller_env.get("UPDATE_DOCS"))
    text = path.read_text(encoding="utf-8")
    real = Document(shell, path.name, update=update).run(text)
    if update and real != text:
        path.write_text(real, encoding="utf-8")


WRONG = {
    "other output": "```console\n$ echo one\ntwo\n```\n",
    "output that is not shown": "```console\n$ echo one\n```\n",
    "more than is shown": "```console\n$ echo one; echo two\none\n```\n",
    "less than is shown": "```console\n$ echo one\none\n...\ntwo\n```\n",
    "a failure that nothing shows": "```console\n$ false\n```\n",
    "an error that was none": '```console\n$ echo "error: no"\nerror: no\n```\n',
    "another exit code": "```console\n$ (exit 4)\n$ echo $?\n0\n```\n",
    "no hash where one is shown": "```console\n$ echo 12\n1234567\n```\n",
    "a script that fails half-way": "```sh\nfalse\ntrue\n```\n",
    "a hidden script that fails": "<!-- docs-test\nfalse\n-->\n",
    "a syntax error": "```sh\nif\n```\n",
    "Python that raises": "```python\nassert not 1\n```\n",
    "another result": "```pycon\n>>> 1 + 1\n3\n```\n",
    "an error that is not shown": "```pycon\n>>> 1 / 0\n3\n```\n",
    "an exit": "```console\n$ exit\n```\n",
}


@needs_bash
@pytest.mark.parametrize("document", WRONG.values(), ids=WRONG)
def test_a_document_fails_by(document: str, shell: Shell) -> None:
    with pytest.raises(AssertionError):
        Document(shell, "document").run(document)


@needs_bash
def test_a_document_passes(shell: Shell) -> None:
    text = """\
```console
$ echo "commit $(printf 1%.0s {1..40})"
commit 2222222222222222222222222222222222222222
$ seq 9
1
...
9
$ cat <<END
> a
> END
a
$ (exit 4)
$ echo $?
4
$ mkdir inside && cd inside
```
<!-- docs-test
printf 'error: no\\n' > said
-->
```pycon
>>> __import__("pathlib").Path("said").read_text()
'error: no\\n'
```
```console
$ cat said; (exit 1)
error: no
```
"""
    assert Document(shell, "text").run(text) == text


# What is documented ------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_block_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n```") == 2 * len(re.findall(r"^```\S", text, re.MULTILINE))
    for block in blocks(text):
        assert block.language in LANGUAGES | {"registry"}, f"{path.name}:{block.line}"
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            configs.parse(block.text.encode())
        elif block.language == "text":
            assert not re.search(r"^\$ ", block.text, re.MULTILINE), f"{path.name}:{block.line}"


def slug(heading: str) -> str:
    """Give the anchor that GitHub makes of a heading."""
    text = re.sub(r"[^\w\- ]", "", heading.lower())
    return text.replace(" ", "-")


def prose(text: str) -> str:
    return _FENCE.sub("", text)


@pytest.mark.parametrize(
    "path",
    [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"],
    ids=lambda path: path.stem,
)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file) if file else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), target


def test_the_map_leads_to_every_document() -> None:
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", document_named("docs/index.md")))
    assert linked >= {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert "docs/index.md" in document_named("README.md")


def section(document: str, heading: str) -> str:
    """Give what stands under a heading, up to the next of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n", document, re.MULTILINE)
    assert found, f"there is no heading {heading!r}"
    rest = document[found.end() :]
    level = len(found[1])
    end = re.search(rf"^#{{1,{level}}} ", _FENCE.sub(blanked, rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def blanked(match: re.Match[str]) -> str:
    """Blank a block out: a comment in a shell looks like a heading."""
    return re.sub(r"[^\n]", " ", match[0])


def first_cells(text: str) -> list[str]:
    """Give the code in the first cell of each row of the tables in ``text``."""
    cells = re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


def commands(group: click.Command = cli, before: str = "") -> dict[str, click.Command]:
    """Give every command by its words; those of a group stand in its place."""
    if not isinstance(group, click.Group):
        return {before.strip(): group}
    found: dict[str, click.Command] = {}
    with click.Context(group) as context:
        for name in group.list_commands(context):
            inner = group.get_command(context, name)
            assert inner
            found |= commands(inner, f"{before}{name} ")
    return found


COMMANDS = commands()


def options(command: click.Command) -> set[str]:
    found = {text for p in command.params for text in (*p.opts, *p.secondary_opts)}
    return {text for text in found if text.startswith("-")} | {"-h", "--help"}


def options_in(text: str) -> set[str]:
    """Give the options that the tables of a document list."""
    return {
        o for cell in first_cells(text) for o in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", cell)
    }


def test_the_command_line_reference_has_every_command_and_nothing_else() -> None:
    text = document_named("docs/cli.md")
    headings = re.findall(r"^## `mlv ([^`]*)`$", text, re.MULTILINE)
    assert headings == list(COMMANDS)
    for name in headings:
        part = section(text, f"`mlv {name}`")
        # That the help is the real one is for the examples to show.
        assert f"$ mlv {name} --help\n" in part
        assert "Exit codes:" in part


def test_the_reference_names_every_option_and_no_other() -> None:
    text = document_named("docs/cli.md")
    common = options_in(section(text, "Options that every command has"))
    for name, command in COMMANDS.items():
        part = section(text, f"`mlv {name}`")
        said = options_in(part)
        known = options(command)
        assert said | (common & known) >= known, f"mlv {name}"
        assert said <= known, f"mlv {name}"
    assert common <= {text for command in COMMANDS.values() for text in options(command)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_no_command_and_no_option_is_made_up(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    spoken = re.findall(r"`(mlv [^`]+)`", prose(text))
    spoken += [
        step.command for b in blocks(text) if b.language == "console" for step in typed(b.text)
    ]
    words = "|".join(sorted(COMMANDS, key=len, reverse=True))
    groups = {name.partition(" ")[0] for name in COMMANDS if " " in name}
    for line in spoken:
        for call in re.findall(r"\bmlv (?:-C \S+ )?([a-z][^`&|;]*)", line):
            named = re.match(rf"({words})(?![\w-])", call)
            assert named or call.strip() in groups, f"{path.name}: {line}"
            used = set(re.findall(r"(?<=\s)(--?[a-zA-Z][\w-]*)", call))
            assert used <= (options(COMMANDS[named[1]]) if named else set()), f"{path.name}: {line}"


def test_every_command_with_json_has_its_shape_documented() -> None:
    text = document_named("docs/json.md")
    known = [name for name, command in COMMANDS.items() if "--json" in options(command)]
    assert re.findall(r"^## `mlv ([a-z -]+) --json`$", text, re.MULTILINE) == known


# Under these keys stand names that the user has chosen.
CHOSEN = {
    "artifacts": "<role>",
    "files": "<role>",
    "metrics": "<name>",
    "metadata": "<key>",
    "deps": "<path>",
    "status": "<version>",
    "params": "<path>",
    "delta (b - a)": "<name>",
    "<version>": "<name>",
}
_OPAQUE = re.compile(r"metadata\.<key>|params\.<path>")


def keys_of(value: Any, at: str = "") -> set[str]:
    """Give the path of every key in a JSON document, as the tables write them."""
    if isinstance(value, list):
        return {key for each in value for key in keys_of(each, f"{at}[]" if at else "")}
    found: set[str] = set()
    for name, inner in value.items() if isinstance(value, dict) else ():
        shown = re.sub(r"^([a-z]+-)?v\d+$", "<version>", name)
        path = f"{at}.{CHOSEN.get(at.rpartition('.')[2], shown)}".removeprefix(".")
        found.add(path)
        if not _OPAQUE.search(path):
            found |= keys_of(inner, path)
    return found


def documented_keys(name: str) -> tuple[set[str], set[str]]:
    """Give the keys that docs/json.md lists for a command, and which of them may be absent."""
    part = section(document_named("docs/json.md"), f"`mlv {name} --json`")
    same = re.search(r"\b[Aa]s `mlv ([a-z -]+) --json`", part.strip().partition("\n\n")[0])
    if same:
        return documented_keys(same[1])
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \|", part, re.MULTILINE)
    # An artifact's folder goes without saying where its parts are listed.
    listed = {key for key, _ in rows}
    listed |= {key.rpartition(".")[0] for key in listed if key.count("<role>.")}
    return listed, {key for key, kind in rows if "optional" in kind}


def json_examples(part: str) -> Iterator[Any]:
    """Give the JSON documents that the examples of a section show."""
    for block in blocks(part):
        if block.language == "json":
            yield json.loads(block.text)
        for step in typed(block.text) if block.language == "console" else ():
            output = re.sub(r"^note:.*\n", "", step.output)
            if "--json" in step.command and output.startswith(("{", "[")):
                yield json.loads(output)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "list"])
def test_the_tables_of_json_have_the_keys_that_are_printed(name: str) -> None:
    """The examples are real output, so what they hold is what the tables must list."""
    listed, optional = documented_keys(name)
    examples = list(json_examples(section(document_named("docs/json.md"), f"`mlv {name} --json`")))
    assert examples
    found = {key for example in examples for key in keys_of(example)}
    assert found <= listed
    assert listed - found <= optional


def test_the_demo_prints_the_keys_that_are_documented() -> None:
    """It takes half a minute, so that it is read and not run here."""
    part = section(document_named("docs/json.md"), "`mlv demo --json`")
    [example] = [json.loads(b.text) for b in blocks(part) if b.language == "json"]
    source = (ROOT / "mlv" / "cli" / "demo.py").read_text(encoding="utf-8")
    for key in (*example, *example["versions"][0]):
        assert f'"{key}": ' in source, key


def test_every_key_of_the_configuration_is_documented() -> None:
    text = document_named("docs/configuration.md")

    def known(document: str) -> set[str]:
        with pytest.raises(ConfigError) as caught:
            configs.parse(document.encode())
        return set(caught.value.message.rpartition("known are ")[2].split(", "))

    assert set(first_cells(section(text, "Keys of the file"))) == known("nonsense: 1")
    of_a_model = known("models: {fraud: {nonsense: 1}}")
    assert set(first_cells(section(text, "Keys of a model"))) == of_a_model
    assert of_a_model == set(configs.ModelConfig._fields)
    assert set(first_cells(section(text, "Metadata"))) == set(METADATA)


def test_the_template_of_the_configuration_states_real_keys() -> None:
    text = configs.TEMPLATE.format(branch="main")
    lines = [line for line in text.splitlines() if not re.match(r"# [A-Z]", line)]
    uncommented = "\n".join(line.removeprefix("# ") for line in lines)
    assert set(configs.parse(uncommented.encode()).models) == {"fraud"}


def test_every_status_and_exit_code_is_in_the_readme() -> None:
    text = document_named("README.md")
    assert first_cells(section(text, "Statuses")) == list(STATUSES)
    codes = {error.exit_code for error in errors()} | {0}
    assert {int(code) for code in first_cells(section(text, "Exit codes"))} == codes


def errors() -> list[type[RegistryError]]:
    named = [getattr(package, name) for name in package.__all__]
    return [e for e in named if isinstance(e, type) and issubclass(e, RegistryError)]


def test_the_readme_starts_with_what_the_makefile_can_do() -> None:
    makefile = document_named("Makefile")
    first_screen = "\n".join(document_named("README.md").splitlines()[:50])
    for target in ("demo", "test"):
        assert f"make {target}" in first_screen
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_what_is_public() -> None:
    assert package.__all__ == [
        "ChangedMeanwhile",
        "ConfigError",
        "GateFailed",
        "IntegrityError",
        "InvalidInput",
        "LiveModel",
        "ModelRegistry",
        "NoPreviousVersion",
        "NotFound",
        "PredictionDiffers",
        "ProgramError",
        "RefusedByRemote",
        "RegistryError",
        "StatusError",
        "StorageError",
        "WorkspaceError",
        "load",
    ]


def test_every_error_is_documented_with_its_exit_code() -> None:
    part = section(document_named("docs/python.md"), "Errors")
    rows = re.findall(r"^\| `(\w+)` \| (\d) \|", part, re.MULTILINE)
    assert {name: int(code) for name, code in rows} == {
        error.__name__: error.exit_code for error in errors()
    }


def public_members() -> Iterator[tuple[str, Callable[..., Any] | None]]:
    for name, member in inspect.getmembers(ModelRegistry):
        if not name.startswith("_"):
            yield name, None if isinstance(member, property) else member


def test_every_method_is_documented_with_every_argument() -> None:
    text = document_named("docs/python.md")
    headings = re.findall(r"^### `([^`]+)`$", text, re.MULTILINE)
    documented = {heading.partition("(")[0]: heading for heading in headings}
    members = {"ModelRegistry": ModelRegistry, **dict(public_members())}
    assert set(documented) == set(members)
    for name, member in members.items():
        arguments = re.findall(r"[(,] ?\*?(\w+)", documented[name])
        real = inspect.signature(member).parameters if member else {}
        assert arguments == [each for each in real if each != "self"], name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_documents_are_of_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/tmp/|/root/|PyPI", text)  # noqa: S108 - not used
