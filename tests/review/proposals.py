"""What proposals are made of, good and bad: a registry on its remotes, and plain git.

A case is a function that is given a `Desk` and leaves its proposal on the branch `proposal` of the
author's clone. Whatever it does, it does as a colleague or an attacker would, past mlv.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv import ModelRegistry
from mlv.cli import main
from mlv.domain import manifest as manifests
from mlv.domain import pointer as pointers
from mlv.domain.card import NOTHING
from mlv.domain.description import describe
from mlv.domain.names import Version
from mlv.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlv.domain.pointer import Pointer

    Git = Callable[..., str]
    Make = Callable[["Desk"], object]

RAN = "MLV_TEST_RAN"  # names the file that a payload writes if anybody runs it
COMMAND = f'echo ran >> "${RAN}"'
CLONE = ("clone", "-q", "--template=", "-c", "remote.origin.tagOpt=--tags")


class Seen(NamedTuple):
    """What a review said: its exit code, its report, and what it printed."""

    code: int
    report: dict[str, Any]
    out: str
    err: str

    @property
    def rules(self) -> set[str]:
        """The rules that refuse."""
        return {each["rule"] for each in self.report["findings"] if each["blocks"]}

    @property
    def words(self) -> str:
        """What the findings say, those too that do not refuse."""
        found = self.report["findings"]
        return "\n".join(f"{each['rule']}: {each['subject']}: {each['message']}" for each in found)


class Desk:
    """The clones of an author and of a reviewer, and their remotes ``hub.git`` and ``storage``."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.folder, self._git = folder, git
        self.author, self.reviewer = folder / "author", folder / "reviewer"
        self.hub, self.storage = folder / "hub.git", folder / "storage"
        self.ran = folder / "ran"

    def git(self, *argv: str, **how: Any) -> str:
        """Run git in the author's clone."""
        return self._git(self.author, *argv, **how)

    def registry(self, model: str | None = None) -> ModelRegistry:
        """Open the author's clone."""
        return ModelRegistry(self.author, model, notify=lambda _: None)

    # Writing ----------------------------------------------------------------------------------

    def write(self, path: str, data: str | bytes) -> None:
        """Write a file, and stage it, ignored or not."""
        file = self.author / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        self.git("add", "--force", "--", path)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace some text of a file, which must hold it, and stage it."""
        text = (self.author / path).read_text()
        assert old in text, (path, old)
        self.write(path, text.replace(old, new))

    def commit(self, message: str = "Improve things", *how: str) -> str:
        """Commit what is staged."""
        self.git(*how, "commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def pointer(self, model: str = "fraud", commit: str = "HEAD") -> Pointer:
        """Read a pointer."""
        data = self.git("show", f"{commit}:registry/{model}/pointer.json")
        return pointers.parse(data.encode(), model)

    def point(self, pointer: Pointer) -> None:
        """Write a pointer, and stage it."""
        self.write(f"registry/{pointer.model}/pointer.json", pointer.to_bytes())

    def take(self, model: str, number: int) -> None:
        """Make a model's folder that of a version's tag, but for the pointer, and stage it."""
        folder = f"registry/{model}"
        pointer = self.author / folder / "pointer.json"
        kept = pointer.read_bytes() if pointer.exists() else None
        self.git("rm", "-rqf", "--ignore-unmatch", "--", folder)
        self.git("checkout", "-q", f"{model}-v{number}", "--", folder)
        if kept is not None:
            self.write(f"{folder}/pointer.json", kept)

    def promote(self, number: int, model: str = "fraud", *how: str) -> str:
        """Promote by hand, just as mlv would; give the commit."""
        before = self.pointer(model) if self._has(model) else pointers.empty(model)
        self.take(model, number)
        self.point(pointers.promote(before, number))
        return self.commit(f"Promote {model}-v{number} to production", *how)

    def _has(self, model: str) -> bool:
        return (self.author / "registry" / model / "pointer.json").exists()

    @contextlib.contextmanager
    def on_main(self) -> Iterator[None]:
        """Be somebody whose commits on main land meanwhile."""
        self.git("switch", "-q", "main")
        yield
        self.git("push", "-q", "origin", "main")
        self.git("switch", "-q", "proposal")

    def restart(self) -> None:
        """Have the proposal start from main as it is now."""
        self.git("reset", "-q", "--hard", "main")

    # Versions ---------------------------------------------------------------------------------

    def bytes_of(self, tag: str, path: str = "model.pkl") -> Path:
        """Find what the DVC remote has of an artifact."""
        md5 = re.search("md5: ([0-9a-f]{32})", self.git("show", f"{tag}:{self._dvc(tag, path)}"))
        assert md5
        return self.storage / "files" / "md5" / md5[1][:2] / md5[1][2:]

    @staticmethod
    def _dvc(tag: str, path: str) -> str:
        return f"registry/{tag.rpartition('-v')[0]}/{path}.dvc"

    def retag(self, tag: str, edit: Callable[[], None], *, publish: bool = True) -> str:
        """Make a registration anew, with edited files, and move its tag there; give the commit.

        The tag's message is the manifest that is committed, as mlv has it.
        """
        model = tag.rpartition("-v")[0]
        self.git("switch", "-q", "--detach", tag)
        edit()
        self._describe_anew(model)
        self.git("commit", "-q", "--amend", "--no-edit", "--allow-empty")
        manifest = self.git("show", f"HEAD:registry/{model}/manifest.json")
        message = f"Register {tag}\n\n{manifest}\n"
        self.git("tag", "--force", "-a", "--cleanup=verbatim", "-F", "-", tag, input=message)
        commit = self.git("rev-parse", "HEAD")
        self.git("switch", "-q", "proposal")
        if publish:
            self.git("push", "-q", "--force", "origin", f"refs/tags/{tag}")
        return commit

    def _describe_anew(self, model: str) -> None:
        """Let all that follows from the manifest follow from it, as a forger would."""
        folder = self.author / "registry" / model
        data = (folder / "manifest.json").read_bytes()
        try:
            facts = json.loads(data)
            number = int(facts["version"].removeprefix("v"))
            manifest = manifests.parse(data, Version(model, number))
        except (ValueError, LookupError, RegistryError):
            return  # a manifest that cannot be read is the forgery
        for name, text in describe(manifest, NOTHING).items():
            (folder / name).write_bytes(text)
            self.git("add", "--force", f"registry/{model}/{name}")

    # Reviewing --------------------------------------------------------------------------------

    def clone(self, name: str = "fresh") -> Path:
        """Clone the remote as somebody new would."""
        self._git(self.folder, *CLONE, "hub.git", name)
        # So that a copy of all this fetches from its own remote.
        self._git(self.folder / name, "remote", "set-url", "origin", "../hub.git")
        return self.folder / name

    def publish(self, name: str = "proposal") -> str:
        """Push the proposal; give the commit."""
        self.git("push", "-q", "--force", "origin", f"HEAD:refs/heads/{name}")
        return self.git("rev-parse", "HEAD")

    def bring(self, clone: Path, head: str) -> None:
        """Fetch as CI does, and check the proposal out there, whatever it holds."""
        git = ("git", "-c", "advice.detachedHead=false")
        for argv in (("fetch", "-q", "origin"), ("checkout", "-q", "--force", "--detach", head)):
            # A tag that was moved is not taken over, and git says so by its exit code.
            subprocess.run((*git, *argv), cwd=clone, capture_output=True, check=False)
        assert self._git(clone, "rev-parse", "HEAD") == head

    def review(
        self, *options: str, clone: Path | None = None, span: str = "origin/main..HEAD"
    ) -> Seen:
        """Publish the proposal, and review it where it is checked out, as in CI."""
        head = self.publish()
        where = clone or self.reviewer
        self.bring(where, head)
        code, out, err = mlv(
            where, "review", *([span] if span else []), *options, "--format", "json"
        )
        assert "Traceback" not in err, err
        assert code in (0, 3), (code, out, err)
        report = json.loads(out)
        assert report["passed"] == (code == 0)
        return Seen(code, report, out, err)

    def shown(self, *options: str, clone: Path | None = None) -> str:
        """Give what a review shows, of what was reviewed before."""
        argv = ("review", "origin/main..HEAD", "--no-remote", *options)
        code, out, err = mlv(clone or self.reviewer, *argv)
        assert code in (0, 3), (code, out, err)
        return out


def mlv(folder: Path, *argv: str) -> tuple[int, str, str]:
    """Run the command line in this process; give its exit code, stdout and stderr."""
    out, err, saved = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["mlv", "-C", str(folder), *argv]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    finally:
        sys.argv = saved
    raise AssertionError  # pragma: no cover - main always exits
