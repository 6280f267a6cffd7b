"""Killed at any step, whatever shares a registry leaves all sides of it as before or as after."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mlv import ChangedMeanwhile, ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Killer
    from tests.sharing.conftest import Hub

    Git = Callable[..., str]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its victims"),
    pytest.mark.slow,
]

MODELS = ("fraud", "ranker")


class Facts(NamedTuple):
    """What one repository says: its versions' models by tag, what is live, and the branch."""

    tags: dict[str, str]
    pointers: dict[str, str]
    log: list[str]


class World:
    """A hub, a DVC remote, and the clone of Ada, who will be killed; always at the same place."""

    def __init__(self, hub: Hub, git: Git) -> None:
        self.hub, self.git = hub, git
        self.top, self.bare, self.folder = hub.folder / "ada", hub.bare, hub.folder
        self._looked_at: dict[str, tuple[str, list[str]]] = {}

    def save(self, name: str) -> Path:
        """Keep the world as it is now."""
        aside = self.folder.with_name(name)
        shutil.rmtree(aside, ignore_errors=True)
        copy(self.folder, aside)
        return aside

    def load(self, aside: Path) -> None:
        """Go back to what was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)
        copy(aside, self.folder)

    def registry(self, model: str | None = None) -> ModelRegistry:
        return ModelRegistry(self.top, model, notify=lambda _: None)

    def bob(self) -> Path:
        """Clone the hub as somebody else."""
        top = self.folder / "bob"
        self.git(self.folder, "clone", "--quiet", "--template=", str(self.bare), str(top))
        return top

    def arm(self, at: int) -> Path:
        """Have both sides kill everybody at the transaction with that number; give their list."""
        count = self.folder / "count"
        count.touch()
        for git_dir in (self.top / ".git", self.bare):
            (git_dir / "hooks").mkdir(exist_ok=True)
            hook = git_dir / "hooks" / "reference-transaction"
            hook.write_text(
                "#!/bin/sh\n"
                f'test -e "{count}" || exit 0\n'
                'test "$1" = aborted && exit 0\n'
                f'echo "$1 in $PWD" >> "{count}"\n'
                f'test $(wc -l < "{count}") -ne {at} || kill -9 0\n'
            )
            hook.chmod(0o755)
        return count

    def remove_locks(self) -> None:
        """Remove what a git that died holds on to, as `mlv doctor --fix` would.

        On the hub that is for whoever keeps it; a client that dies kills no git there, but here
        the two are processes of one machine.
        """
        self.registry()  # what is mlv's own work goes first
        for git_dir in (self.top / ".git", self.bare):
            for lock in git_dir.rglob("*.lock"):
                if git_dir / "mlv" not in lock.parents:
                    lock.unlink()

    # What git alone says ------------------------------------------------------------------

    def facts(self, top: Path) -> Facts:
        listing = "%(refname:strip=2) %(objectname)"
        lines = self.git(top, "for-each-ref", f"--format={listing}", "refs/tags").splitlines()
        tags = {tag: self.look_at(top, oid)[0] for tag, oid in (line.split() for line in lines)}
        return Facts(tags, pointers(self.git, top, "main"), subjects(self.git, top, "main"))

    def look_at(self, top: Path, tag: str) -> tuple[str, list[str]]:
        """Give the SHA-256 of a tag's model, and the md5s of all that its tree has DVC keep."""
        if tag not in self._looked_at:
            model = self.git(top, "for-each-ref", "--points-at", f"{tag}^{{}}", "refs/tags")
            name = model.rpartition("/")[2].rpartition("-v")[0]
            manifest = json.loads(self.git(top, "show", f"{tag}:registry/{name}/manifest.json"))
            found = self.git(top, "grep", "-h", "md5: ", f"{tag}^{{}}", "--", "*.dvc", "dvc.lock")
            md5s = re.findall(r"md5: (\w{32}(?:\.dir)?)", found)
            assert md5s
            self._looked_at[tag] = manifest["artifacts"]["model"]["sha256"], md5s
        return self._looked_at[tag]

    def check_bytes(self) -> None:
        """See that no tag on the hub lacks a byte on the DVC remote."""
        tags = self.git(self.bare, "for-each-ref", "--format=%(objectname)", "refs/tags").split()
        for md5 in {md5 for tag in tags for md5 in self.look_at(self.bare, tag)[1]}:
            path = self.hub.storage / "files" / "md5" / md5[:2] / md5[2:]
            data = path.read_bytes()
            assert hashlib.md5(data, usedforsecurity=False).hexdigest() == md5.partition(".")[0]

    def fsck(self) -> None:
        for top in (self.top, self.bare):
            self.git(top, "fsck", "--strict", "--no-dangling")


def copy(source: Path, target: Path) -> None:
    """Copy a world; git's lock stays the very file, by which mlv knows its own."""
    shutil.copytree(source, target, symlinks=True)
    lock = "ada/.git/index.lock"
    if (source / lock).exists():
        (target / lock).unlink()
        os.link(source / lock, target / lock)


def pointers(git: Git, top: Path, commit: str) -> dict[str, str]:
    return {m: git(top, "show", f"{commit}:registry/{m}/pointer.json") for m in MODELS}


def subjects(git: Git, top: Path, commit: str) -> list[str]:
    return git(top, "log", "--format=%s", commit).splitlines()


class Scene(NamedTuple):
    """A command, and what was done on both sides before; ``call`` is method and arguments."""

    call: tuple[Any, ...]
    options: dict[str, Any]
    prepare: Callable[[World], None] = lambda _: None
    model: str | None = None


def register_more(world: World) -> None:
    world.registry("fraud").register(world.hub.model(4), None)


def two_to_push(world: World) -> None:
    for seed in (4, 5):
        world.registry("fraud").register(world.hub.model(seed), None)
    world.registry("fraud").promote("v4")


def number_taken(world: World) -> None:
    """Somebody else published the number of Ada's version; she signs what she registers."""
    key = world.folder / "key"
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
    subprocess.run(keygen, check=True)
    for name, value in {"gpg.format": "ssh", "user.signingKey": f"{key}.pub"}.items():
        world.git(world.top, "config", name, value)
    world.git(world.top, "config", "tag.gpgSign", "true")
    register_more(world)
    bob = ModelRegistry(world.bob(), "fraud", notify=lambda _: None)
    bob.register(world.hub.model(9), None, push=True)


def pulled_and_behind(world: World) -> None:
    """Ada has the live model's bytes in her work tree, and lacks what Bob pushed since."""
    pulled(world)
    bob = world.bob()
    (bob / "train.py").write_text("newer\n")
    world.git(bob, "add", "train.py")
    world.git(bob, "commit", "--quiet", "--message", "Train better")
    world.git(bob, "push", "--quiet")
    ModelRegistry(bob, "ranker", notify=lambda _: None).promote("v2", push=True)


def pulled(world: World) -> None:
    for model in MODELS:
        bytes_ = world.registry(model).artifacts("@production")["model"]
        shutil.copyfile(bytes_, world.top / "registry" / model / "model.pkl")


def bob_was_busy(world: World) -> None:
    """Bob published and promoted; Ada pushed a tag by hand, which mlv has not seen yet."""
    register_more(world)
    world.registry().push("fraud-v4")
    oid = world.git(world.top, "rev-parse", "fraud-v4")
    world.git(world.top, "update-ref", "refs/mlv/fraud/v4", oid)
    bob = ModelRegistry(world.bob(), "fraud", notify=lambda _: None)
    bob.register(world.hub.model(5), None, push=True)
    bob.promote("v3", push=True)


PUSH = {"push": True}
NEW = "{folder}/7.pkl"
MODEL_AND_NO_MORE = (NEW, None)
SCENES = {
    "register": Scene(("register", *MODEL_AND_NO_MORE), {}, model="fraud"),
    "register --push": Scene(("register", *MODEL_AND_NO_MORE), PUSH, model="fraud"),
    "push": Scene(("push",), {}, two_to_push),
    "push, renumbering": Scene(("push",), {}, number_taken),
    "promote --push": Scene(("promote", "fraud-v3"), PUSH),
    "promote --push, behind": Scene(("promote", "fraud-v3"), PUSH, pulled_and_behind),
    "promote --push, unpublished": Scene(("promote", "fraud-v4"), PUSH, register_more),
    "rollback --push": Scene(("rollback",), {**PUSH, "from_": "fraud-v2"}, pulled, "fraud"),
    "stage": Scene(("stage", "fraud-v3"), {}),
    "fetch": Scene(("fetch",), {}, bob_was_busy),
    "promote several": Scene(("move", "promote", ["fraud-v3", "ranker-v2"]), {}),
}


@pytest.fixture(scope="module")
def world(
    new_hub: Callable[[Path], Hub], git: Git, tmp_path_factory: pytest.TempPathFactory
) -> World:
    """Return a world in which fraud-v2 is live, v1 was, and v3 is registered; ranker-v1 is live."""
    folder = tmp_path_factory.mktemp("kills") / "world"
    folder.mkdir()
    hub = new_hub(folder)
    hub.model(7)
    hub.machine("ada")
    world = World(hub, git)
    for model, seeds in (("fraud", (1, 2, 3)), ("ranker", (11, 12))):
        for seed in seeds:
            world.registry(model).register(hub.model(seed), None)
    world.registry().move("promote", ["fraud-v1", "ranker-v1"])
    world.registry().promote("fraud-v2")
    world.registry().push()
    for top in (world.top, world.bare):
        git(top, "gc", "--quiet")  # it is copied often
    world.save("mould")
    return world


class Play:
    """A scene in a world: the same command done whole, or killed, or after a kill."""

    def __init__(self, scene: Scene, world: World, killer: Killer) -> None:
        self.scene, self.world, self._killer = scene, world, killer
        world.load(world.folder.with_name("mould"))
        scene.prepare(world)
        shutil.rmtree(world.folder / "bob", ignore_errors=True)
        self.start = world.save("scene")
        self.before = self.sides()
        self.do()
        self.after = self.sides()
        self.outcomes = (self.before, self.after)

    def sides(self) -> tuple[Facts, Facts]:
        """Tell what the hub and Ada's clone say."""
        return self.world.facts(self.world.bare), self.world.facts(self.world.top)

    def do(self, **how: Any) -> str:
        """Do it in a child; to be killed on its way, as is said."""
        scene, folder = self.scene, self.world.folder
        arguments = [
            word.format(folder=folder) if isinstance(word, str) else word for word in scene.call[1:]
        ]
        return self._killer(
            self.world.top, scene.call[0], *arguments, options=scene.options, model=scene.model,
            world=str(folder), **how,
        )  # fmt: skip

    def deaths_of_git(self) -> Iterator[str]:
        """Kill it and every git that runs, before and after each transaction of refs; give it."""
        for at in itertools.count(1):
            self.world.load(self.start)
            count = self.world.arm(at)
            step = self.do()
            said = count.read_text().splitlines()
            count.unlink()
            if not step:
                break
            with noting(f"git had died when a transaction was {at}. {said[-1]}"):
                yield step
        assert at > 2

    def deaths(self) -> Iterator[str]:
        """Kill it before each step, in a world as it was; give the step."""
        for at in itertools.count(1):
            self.world.load(self.start)
            step = self.do(at=at)
            if not step:
                break
            with noting(f"it had died before: {at}. {step}"):
                yield step
        assert at > 1


@contextlib.contextmanager
def noting(what: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(what)
        raise


def check_dead(play: Play, *, is_whole: bool = True) -> set[str]:
    """See that all is as before or as after, by git's words and by mlv's; name the tags here.

    Not whole: git itself died while it renamed the locks of several refs over them.
    """
    world = play.world
    hub, here = play.sides()
    for field in Facts._fields:
        assert getattr(hub, field) in [getattr(sides[0], field) for sides in play.outcomes]
    assert not is_whole or hub in (play.before[0], play.after[0])
    world.check_bytes()
    world.fsck()
    sides = (*play.before, *play.after)
    registry = world.registry()
    for model in MODELS:
        current = world.registry(model).current_version()
        assert current in {json.loads(side.pointers[model])["current"] for side in sides}
    assert len(registry.list_versions()) in {len(side.tags) for side in sides}
    check_tidy(world)
    return set(here.tags)


def check_tidy(world: World) -> None:
    """See that the work tree bears no trace, and holds no model but that of its commit."""
    top = world.top
    assert world.git(top, "status", "--porcelain", "--untracked-files=all") == ""
    git_dir = top / ".git"
    for name in ("index.lock", "mlv/.journal.json"):
        assert not (git_dir / name).exists()
    for path in top.glob("registry/*/model.pkl"):
        note = path.with_name("model.pkl.dvc").read_text()
        assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() in note


def do_again(play: Play) -> bool:
    """Do the same once more. A rollback that is done says so, and goes no further."""
    if play.scene.call[0] == "rollback" and play.sides()[0] == play.after[0]:
        with pytest.raises(ChangedMeanwhile, match="already rolled back to fraud-v1 by Ada"):
            play.world.registry("fraud").rollback(**play.scene.options)
        return False
    assert play.do() == ""
    return True


def check_done(play: Play, had: set[str]) -> None:
    """See that all is as after a command that was not killed.

    A registration that is done again makes another version, where its tag was there already.
    """
    hub, here = play.sides()
    if play.scene.call[0] == "register":
        assert here.pointers == play.after[1].pointers
        new = {tag: sha for tag, sha in here.tags.items() if tag not in play.before[1].tags}
        assert len(set(new.values())) == 1
        assert set(new) == ({"fraud-v4"} if "fraud-v4" not in had else {"fraud-v4", "fraud-v5"})
        assert max(new) in hub.tags or not play.scene.options
    else:
        assert (hub, here) == play.after
    play.world.check_bytes()
    check_tidy(play.world)


def commit(world: World) -> bool:
    """Commit as the user would; say whether git let them."""
    (world.top / "mine.py").write_text("mine\n")
    message = ("commit", "--quiet", "--message", "Mine")
    codes = [
        subprocess.run(["git", *args], cwd=world.top, capture_output=True, check=False).returncode
        for args in (("add", "mine.py"), message)
    ]
    return codes == [0, 0]


def check_commit(play: Play) -> None:
    """See that what the user commits next undoes nothing, here or on the hub."""
    world, git = play.world, play.world.git
    registry = git(world.top, "rev-parse", "main:registry")
    is_committed = commit(world)
    assert git(world.top, "rev-parse", "main:registry") == registry
    if not is_committed:
        world.registry().current()
        assert commit(world)
        assert git(world.top, "rev-parse", "main:registry") == registry
    do_again(play)
    if play.after[0].pointers == play.after[1].pointers:
        git(world.top, "pull", "--quiet", "--rebase", "origin", "main")
        git(world.top, "push", "--quiet", "origin", "main")
        assert pointers(git, world.bare, "main") == play.after[0].pointers
    assert pointers(git, world.top, "main") == play.after[1].pointers
    world.check_bytes()


@pytest.fixture(params=SCENES)
def play(request: pytest.FixtureRequest, world: World, killer: Killer) -> Play:
    return Play(SCENES[request.param], world, killer)


def test_killed_before_any_step(play: Play) -> None:
    for _ in play.deaths():
        dead = play.world.save("dead")
        had = check_dead(play)
        if do_again(play):
            check_done(play, had)
        play.world.load(dead)
        check_commit(play)


GIT_DIES = ["register --push", "push, renumbering", "promote --push", "promote --push, behind"]


@pytest.mark.parametrize("play", GIT_DIES, indirect=True)
def test_git_dies_as_well_in_the_middle_of_a_transaction(play: Play) -> None:
    for _ in play.deaths_of_git():
        play.world.remove_locks()
        dead = play.world.save("dead")
        had = check_dead(play)
        if do_again(play):
            check_done(play, had)
        play.world.load(dead)
        check_commit(play)


def dies_while_it_writes_files(world: World, at: int) -> Path:
    """Have a git of Ada's kill everybody when it is about to write its file with that number."""
    count = world.folder / "count"
    count.touch()
    filter_ = world.folder / "filter"
    filter_.write_text(
        f'#!/bin/sh\necho >> "{count}"\ntest $(wc -l < "{count}") -ne {at} || kill -9 0\nexec cat\n'
    )
    filter_.chmod(0o755)
    world.git(world.top, "config", "filter.die.smudge", str(filter_))
    (world.top / ".git" / "info").mkdir(exist_ok=True)
    (world.top / ".git" / "info" / "attributes").write_text("* filter=die\n")
    return count


@pytest.mark.parametrize("play", ["promote --push, behind"], indirect=True)
def test_git_dies_while_it_fast_forwards_the_files(play: Play) -> None:
    world = play.world
    for at in itertools.count(1):
        world.load(play.start)
        count = dies_while_it_writes_files(world, at)
        step = play.do()
        world.git(world.top, "config", "--remove-section", "filter.die")
        if not step:
            break
        with noting(f"git had died before it wrote its file {at}"):
            world.remove_locks()
            count.unlink()
            check_dead(play)
            assert do_again(play)
            check_done(play, set())
    assert at > 4


RANDOM = ["register --push", "push", "promote --push, behind", "promote --push, unpublished"]


@pytest.mark.parametrize("play", RANDOM, indirect=True)
def test_all_are_killed_at_some_moment(play: Play) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    start = time.monotonic()
    play.world.load(play.start)
    assert play.do() == ""
    longest = time.monotonic() - start
    for _ in range(4):
        seconds = chance.uniform(0, longest)
        with noting(f"killed after {seconds:.4f} of {longest:.4f} s (seed {seed})"):
            play.world.load(play.start)
            play.do(seconds=seconds)
            play.world.remove_locks()
            dead = play.world.save("dead")
            check_dead(play, is_whole=False)
            assert play.do() == ""
            play.world.check_bytes()
            play.world.load(dead)
            check_commit(play)
