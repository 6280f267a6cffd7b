"""The repository itself: mlv.yaml, the registry branch, and what would hide or shadow versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.doctor.checks import fixed, note, ok, problem
from mlv.domain.names import Version
from mlv.errors import RegistryError
from mlv.store import config as configs
from mlv.store.gitremote import GitRemote
from mlv.store.naming import FOLDER, folder_of
from mlv.store.vanished import check_not_merged
from mlv.store.versions import AHEAD, BEHIND, DIVERGED, SAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.doctor.checks import Check
    from mlv.store.git import Git
    from mlv.store.versions import Tip, Versions


def check(versions: Versions, *, fix: bool) -> Iterator[Check]:
    """Check what Git holds of the registry, here."""
    git = versions.git
    if git.is_shallow():
        yield note(
            "history", "this clone is shallow: an audit is refused", "git fetch --unshallow --tags"
        )
    yield _configuration(git)
    tip = versions.tip()
    yield from _branch(versions, tip)
    yield from _unpublished(versions)
    yield from _shadowed(versions)
    yield from _hidden(versions, tip)
    yield from _fetches_tags(versions, fix=fix)


def _configuration(git: Git) -> Check:
    path, committed = git.layout.folder / configs.FILE, git.objects.read(f"HEAD:{configs.FILE}")
    if committed is None:
        return problem(
            configs.FILE,
            f"{configs.FILE} is not committed here",
            f"git add {configs.FILE} && git commit",
        )
    if path.is_file() and path.read_bytes().replace(b"\r\n", b"\n") != committed.data:
        return note(
            configs.FILE,
            f"{configs.FILE} has changes that are not committed",
            f"git commit {configs.FILE}, or git restore {configs.FILE}",
        )
    return ok(configs.FILE, f"{configs.FILE} is committed")


def _branch(versions: Versions, tip: Tip | None) -> Iterator[Check]:
    branch, remote = versions.config.branch, versions.config.remote
    name = "registry branch"
    if tip is None:
        yield problem(
            name,
            f"{branch}, which mlv.yaml names as the registry branch, is not here",
            f"git fetch {remote} {branch}, or name another in mlv.yaml",
        )
        return
    try:
        check_not_merged(versions, tip)
    except RegistryError as error:
        yield problem(name, error.message, error.hint)
    theirs = f"{remote}/{branch}"
    if tip.relation == DIVERGED:
        yield problem(
            name,
            f"{branch} and {theirs} have diverged; the local one counts",
            f"git log --oneline --left-right {branch}...{theirs}; then "
            f"git pull --rebase {remote} {branch} on {branch}",
        )
    elif tip.relation == AHEAD:
        yield note(name, f"{branch} has commits that {theirs} lacks", "mlv push publishes them")
    elif tip.relation == BEHIND:
        yield note(
            name,
            f"{branch} is behind {theirs}, which is read",
            f"git pull --ff-only {remote} {branch} on {branch}",
        )
    else:
        where = f"the same as {theirs}" if tip.relation == SAME else tip.relation
        yield ok(name, f"{branch} at {tip.commit[:10]}, {where}")


def _unpublished(versions: Versions) -> Iterator[Check]:
    kept = sorted(versions.kept_ids())
    if kept:
        yield note(
            "unpublished",
            f"{len(kept)} version(s) are on this machine only, the newest {kept[-1].tag}",
            "mlv push publishes them",
        )


def _shadowed(versions: Versions) -> Iterator[Check]:
    """Find branches that ``git checkout`` of a version's name would take instead of its tag."""
    tags = versions.tag_ids()
    for ref in versions.git.refs("refs/heads/"):
        name = ref.removeprefix("refs/heads/")
        version = Version.from_tag(name)
        if version and (version in tags or version.model in {v.model for v in tags}):
            yield problem(
                "names",
                f"the branch {name} is called like a version: git checkout {name} takes the branch",
                f"git branch --move {name} another-name",
            )


def _hidden(versions: Versions, tip: Tip | None) -> Iterator[Check]:
    """Find rules by which Git would hide, or change, what mlv writes."""
    git = versions.git
    if git.layout.top is None:
        return
    models = (versions.models_on(tip) if tip else []) or ["model"]
    names = ("manifest.json", "pointer.json", "model.pkl.dvc", "requirements.txt", ".gitignore")
    paths = [f"{folder_of(model)}/{name}" for model in models for name in names]
    ignored = git.ask("check-ignore", "-v", "--no-index", "--", *paths)
    rules = [
        rule
        for rule in ignored.stdout.decode(errors="replace").splitlines()
        if not rule.partition("\t")[0].rpartition(":")[2].startswith("!")
    ]
    if rules:
        rule, _, path = rules[0].partition("\t")
        yield problem(
            "ignored",
            f"{path} is ignored by {rule}",
            f"take that rule out: {FOLDER}/ belongs to mlv",
        )
    said = git.run("check-attr", "-z", "filter", "working-tree-encoding", "--", *paths)
    words = said.decode(errors="replace").split("\0")
    for path, attribute, value in zip(words[0::3], words[1::3], words[2::3], strict=False):
        if value not in ("unspecified", "unset"):
            yield problem(
                "attributes",
                f".gitattributes gives {path} {attribute}={value}: what "
                "lies in the work tree is not what was committed",
                f"add the line: {FOLDER}/** -{attribute}",
            )
            return
    if not rules:
        yield ok("rules", f"no rule hides or changes what is in {FOLDER}/")


def _fetches_tags(versions: Versions, *, fix: bool) -> Iterator[Check]:
    git, remote = versions.git, versions.config.remote
    if not GitRemote(git, remote).exists:
        return
    key = f"remote.{remote}.tagOpt"
    if git.config(f"remote.{remote}.tagopt") == "--tags":
        yield ok("tags", "git fetch brings every version's tag")
    elif fix:
        git.run("config", key, "--tags")
        git.forget_config()
        yield fixed("tags", f"git fetch now brings every version's tag ({key})")
    else:
        yield problem(
            "tags",
            "git fetch does not bring every version's tag",
            f"git config {key} --tags, or mlv doctor --fix",
        )
