"""Any sequence of steps leaves the repository as an independent model of the rules says."""

from __future__ import annotations

import json
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mlv import ModelRegistry, NoPreviousVersion, NotFound, RegistryError, StatusError

if TYPE_CHECKING:
    from collections.abc import Callable

    Git = Callable[..., str]


class Rules:
    """The design's sentences on statuses, written down a second time.

    A step is judged first: an error's class, False where nothing changes, or True.
    """

    def __init__(self) -> None:
        self.versions = 0
        self.listed: dict[int, str] = {}
        self.previous: int | None = None

    def find(self, status: str) -> int | None:
        return next((n for n, each in self.listed.items() if each == status), None)

    @property
    def live(self) -> int | None:
        return self.find("production")

    def status(self, number: int) -> str:
        return self.listed.get(number, "registered")

    def meant(self, ref: str) -> int | None:
        """Give the version that a reference means; None if there is none."""
        if ref == "@latest":
            return self.versions or None
        if ref.startswith("@"):
            return self.find(ref[1:])
        number = int(ref.rpartition("v")[2])
        return number if number <= self.versions else None

    def stage(self, number: int) -> bool | type[RegistryError]:
        match self.status(number):
            case "staging":
                return False
            case "production":
                return StatusError
        staged = self.find("staging")
        if staged is not None and staged == self.previous:
            self.listed[staged] = "archived"  # it was live: a rollback may want it
        elif staged is not None:
            del self.listed[staged]
        self.listed[number] = "staging"
        return True

    def promote(self, number: int) -> bool | type[RegistryError]:
        if number == self.live:
            return False
        self.previous = self.live
        self.go_live(number)
        return True

    def rollback(self, number: int | None) -> bool | type[RegistryError]:
        number = number or self.previous
        if self.live is None or number is None:
            return NoPreviousVersion
        is_staged_previous = number == self.previous and self.status(number) == "staging"
        if self.status(number) != "archived" and not is_staged_previous:
            return StatusError
        self.previous = None
        self.go_live(number)
        return True

    def go_live(self, number: int) -> None:
        if self.live is not None:
            self.listed[self.live] = "archived"
        self.listed[number] = "production"

    def document(self) -> dict[str, Any] | None:
        """Give what pointer.json must say; None where there must be none."""
        if not self.listed:
            return None
        name = {None: None} | {n: f"v{n}" for n in range(1, self.versions + 1)}
        return {
            "model": "model",
            "current": name[self.live],
            "previous": name[self.previous],
            "status": {f"v{n}": self.listed[n] for n in sorted(self.listed, reverse=True)},
        }


# Mostly one of the three versions that are there from the start; v5 may come to be.
refs = st.builds(
    lambda form, number: form.format(number),
    st.sampled_from(["v{}", "model-v{}"]),
    st.sampled_from([1, 2, 3, 1, 2, 3, 5]),
)
aliases = st.sampled_from(["@production", "@staging", "@latest"])


class Repository(RuleBasedStateMachine):
    """A real repository beside the `Rules`, driven through the same steps."""

    mould: ClassVar[Path]
    run_git: ClassVar[Git]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.mould.parent))
        shutil.copytree(self.mould, self.folder, symlinks=True, dirs_exist_ok=True)
        self.repo = self.folder / "repo"
        self.law = Rules()
        self.notes: list[str] = []
        self.registry = ModelRegistry(self.repo, notify=self.notes.append)

    @initialize()
    def begin(self) -> None:
        self.git("update-index", "--refresh")
        self.git("branch", "feature")
        self.history = self.git("rev-list", "main").splitlines()
        self.tags = {ref: oid for ref, oid in self.refs().items() if ref.startswith("refs/tags/")}
        self.law.versions = len(self.tags)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def git(self, *args: str) -> str:
        return type(self).run_git(self.repo, *args)

    # Steps --------------------------------------------------------------------------------

    @rule(seed=st.integers(1, 3))
    @precondition(lambda self: self.law.versions < 5)
    def register(self, seed: int) -> None:
        before = self.refs()
        name = self.registry.register(
            self.folder / "trained" / f"{seed}.pkl", None, metadata={"seed": seed}
        )
        self.law.versions += 1
        assert name == f"v{self.law.versions}"
        tag = f"refs/tags/model-{name}"
        after = self.refs()
        self.tags[tag] = after.pop(tag)
        assert after.pop(f"refs/mlv/model/{name}") == self.tags[tag]
        assert after == before
        assert self.git("rev-parse", f"{tag}^") == self.git("rev-parse", "HEAD")

    @rule(ref=refs | refs | refs | aliases)
    def stage(self, ref: str) -> None:
        self.step(self.registry.stage, ref, self.law.stage)

    @rule(ref=refs | refs | refs | aliases)
    def promote(self, ref: str) -> None:
        self.step(self.registry.promote, ref, self.law.promote)

    @rule(ref=refs | refs | aliases)
    def roll_back_to(self, ref: str) -> None:
        self.step(lambda to: self.registry.rollback(to=to), ref, self.law.rollback)

    @rule()
    def roll_back(self) -> None:
        self.judge(self.registry.rollback, self.law.rollback(None), lambda: self.law.live)

    def step(
        self,
        act: Callable[[str], str],
        ref: str,
        expect: Callable[[int], bool | type[RegistryError]],
    ) -> None:
        number = self.law.meant(ref)
        expected = NotFound if number is None else expect(number)
        self.judge(lambda: act(ref), expected, lambda: number)

    def judge(
        self,
        act: Callable[[], str],
        expected: bool | type[RegistryError],
        number: Callable[[], int | None],
    ) -> None:
        before, notes = self.refs(), len(self.notes)
        if not isinstance(expected, bool):
            with pytest.raises(RegistryError) as refused:
                act()
            assert type(refused.value) is expected
            assert refused.value.message
            assert refused.value.hint
        else:
            assert act() == f"v{number()}"
        if expected is True:
            self.history.insert(0, self.git("rev-parse", "main"))
            before["refs/heads/main"] = self.history[0]
        assert self.refs() == before
        said = self.notes[notes:]
        assert [note.endswith("already: nothing was changed") for note in said] == (
            [True] if expected is False else []
        )

    # What else goes on --------------------------------------------------------------------

    @rule()
    def somebody_commits_code(self) -> None:
        """Commit on whatever branch is checked out."""
        code = self.repo / "train.py"
        code.write_text(code.read_text() + "#\n" if code.exists() else "#\n")
        self.git("add", "--all")  # nothing of the registry lies about
        self.git("commit", "--quiet", "--message", "Code")
        if self.git("rev-parse", "--abbrev-ref", "HEAD") == "main":
            self.history.insert(0, self.git("rev-parse", "HEAD"))

    @rule()
    def somebody_switches_branches(self) -> None:
        """Work goes on where the registry branch is checked out, and where it is not."""
        now = self.git("rev-parse", "--abbrev-ref", "HEAD")
        self.git("switch", "--quiet", "feature" if now == "main" else "main")

    @rule()
    def a_new_process_starts(self) -> None:
        self.registry = ModelRegistry(self.repo, notify=self.notes.append)

    # What holds after each ----------------------------------------------------------------

    def refs(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    @invariant()
    def the_branch_holds_the_live_version_and_what_the_rules_say(self) -> None:
        on_branch = self.git("ls-tree", "-r", "main", "registry/model").splitlines()
        live, expected = self.law.live, self.law.document()
        at_tag = self.git("ls-tree", "-r", f"model-v{live}", "registry/model") if live else ""
        rest = [entry for entry in on_branch if not entry.endswith("/pointer.json")]
        assert rest == at_tag.splitlines()
        assert (len(on_branch) > len(rest)) == (expected is not None)
        if expected is not None:
            text = self.git("show", "main:registry/model/pointer.json")
            assert text == json.dumps(expected, indent=2)

    @invariant()
    def history_is_a_chain_of_one_commit_a_step(self) -> None:
        chain = [f"{a} {b}" for a, b in pairwise(self.history)] + self.history[-1:]
        assert self.git("rev-list", "--parents", "main").splitlines() == chain

    @invariant()
    def no_tag_ever_moves(self) -> None:
        found = {ref: oid for ref, oid in self.refs().items() if ref.startswith("refs/tags/")}
        assert found == self.tags

    @invariant()
    def the_work_tree_is_clean(self) -> None:
        assert self.git("status", "--porcelain", "--untracked-files=all") == ""

    @invariant()
    def the_api_tells_the_same(self) -> None:
        law = self.law
        live = None if law.live is None else f"v{law.live}"
        assert self.registry.current_version() == live
        assert {each["version"]: each["status"] for each in self.registry.list_versions()} == {
            f"v{n}": law.status(n) for n in range(1, law.versions + 1)
        }


@pytest.fixture
def mould(_repo_mould: Path, tmp_path: Path, write_model: Callable[..., Path]) -> Path:
    """Return a folder with three models, each of which is a version in the registry."""
    folder = tmp_path / "mould"
    shutil.copytree(_repo_mould, folder, symlinks=True)
    registry = ModelRegistry(folder / "repo")
    for seed in (1, 2, 3):
        registry.register(write_model(folder / "trained" / f"{seed}.pkl", seed), None)
    return folder


@pytest.mark.slow
def test_any_sequence_of_steps_follows_the_rules(mould: Path, git: Git) -> None:
    here = type("Here", (Repository,), {"mould": mould, "run_git": staticmethod(git)})
    run_state_machine_as_test(
        here,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
