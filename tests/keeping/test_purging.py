"""Purging: which bytes go, which stay, and in which order."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from mlv import (
    ChangedMeanwhile,
    ConfigError,
    InvalidInput,
    ModelRegistry,
    NotFound,
    ProgramError,
    RegistryError,
    StatusError,
    WorkspaceError,
)
from mlv.store import locks
from mlv.store.dvc.cache import Cache
from mlv.store.dvc.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Run = Callable[..., str]
    Write = Callable[..., Path]
    Mlv = Callable[..., Any]


def quiet(_: str) -> None:
    """Take a note and let it go."""


def opened(folder: Path, model: str | None = None) -> ModelRegistry:
    return ModelRegistry(folder, model, notify=quiet)


def objects(folder: Path) -> set[str]:
    """Name the objects of a cache or a DVC remote by their md5."""
    files = folder / "files" / "md5"
    return {f"{path.parent.name}{path.name}" for path in files.glob("??/*")}


def here(repo: Path) -> set[str]:
    return objects(repo / ".dvc" / "cache")


def there(repo: Path) -> set[str]:
    return objects(repo.parent / "storage")


def md5_of(registry: ModelRegistry, ref: str, role: str = "model") -> str:
    return str(registry.get_manifest(ref)["artifacts"][role]["md5"])


def statuses(registry: ModelRegistry) -> dict[str, str]:
    return {m["version"]: m["status"] for m in registry.list_versions()}


def note(path: Path, md5: str) -> None:
    """Write the `.dvc` file that `dvc add` would for an object."""
    path.write_text(f"outs:\n- md5: {md5}\n  size: 3\n  hash: md5\n  path: {path.stem}\n")


def register_live(registry: ModelRegistry, *models: Path) -> None:
    """Register models and put each live, one after the other."""
    for model in models:
        registry.promote(registry.register(model, None))


@pytest.fixture
def four(repo: Path, write_model: Write, tmp_path: Path) -> Path:
    """Return a registry without a Git remote: v4 is live, v3 the previous, v1 and v2 archived."""
    registry = opened(repo)
    for seed in range(1, 5):
        register_live(registry, write_model(tmp_path / "model.pkl", seed))
    push_all(repo)
    return repo


def push_all(repo: Path) -> None:
    """Have on the DVC remote all that the cache has, as `dvc push` would."""
    shutil.copytree(repo / ".dvc" / "cache" / "files", repo.parent / "storage" / "files")


@pytest.fixture
def shared(four: Path, git: Run, tmp_path: Path) -> Path:
    """Return the same registry, published on the bare repository ``origin.git`` beside it."""
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(four, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(four, "push", "--quiet", "origin", "main")
    opened(four).push()
    return four


def clone(git: Run, shared: Path, name: str, *options: str) -> Path:
    target = shared.parent / name
    origin = (shared.parent / "origin.git").as_uri()
    git(shared.parent, "clone", "--quiet", *options, origin, name)
    return target


# What goes ------------------------------------------------------------------------------------


def test_of_twelve_versions_the_newest_are_kept_by_number_and_not_by_the_alphabet(
    repo: Path, write_model: Write, tmp_path: Path
) -> None:
    registry = opened(repo)
    register_live(registry, *(write_model(tmp_path / f"{n}.pkl", n) for n in range(1, 13)))
    register_live(registry, write_model(tmp_path / "13.pkl", 13))
    md5s = {n: md5_of(registry, f"v{n}") for n in range(1, 14)}
    assert registry.purge_archived(keep_last_n=2) == [f"v{n}" for n in range(1, 11)]
    assert here(repo) == {md5s[11], md5s[12], md5s[13]}
    assert [n for n, status in statuses(registry).items() if status == "purged"] == [
        f"v{n}" for n in range(1, 11)
    ]
    assert registry.register(write_model(tmp_path / "14.pkl", 14), None) == "v14"


def test_bytes_go_from_the_cache_the_remote_and_what_was_handed_out(four: Path) -> None:
    registry = opened(four)
    files = registry.artifacts("v1")
    md5 = md5_of(registry, "v1")
    assert md5 in here(four)
    assert md5 in there(four)
    assert registry.purge_archived(keep_last_n=1) == ["v1", "v2"]
    assert md5 not in here(four)
    assert md5 not in there(four)
    assert not files["model"].parent.exists()
    assert here(four) == there(four) == {md5_of(registry, "v3"), md5_of(registry, "v4")}


def test_the_record_of_a_purged_version_stays_and_its_bytes_are_refused(
    four: Path, git: Run, mlv: Mlv
) -> None:
    registry = opened(four)
    before = git(four, "rev-parse", "model-v1")
    registry.purge_archived(keep_last_n=1)
    assert git(four, "rev-parse", "model-v1") == before
    assert registry.get_manifest("v1")["status"] == "purged"
    for attempt in (registry.load, registry.promote, registry.stage, registry.artifacts):
        with pytest.raises(StatusError, match=r"model-v1 is purged.* \(purged by Ada Love"):
            attempt("v1")
    assert registry.verify("v1") == {"model": "not here"}
    pulled = mlv(four, "pull", "v1")
    assert pulled.returncode == 1
    assert "model-v1 is purged" in pulled.stderr


def test_the_previous_version_is_kept_even_if_nothing_is_to_be_kept(four: Path) -> None:
    registry = opened(four)
    assert registry.purge_archived(keep_last_n=0) == ["v1", "v2"]
    assert registry.rollback() == "v3"
    assert registry.load()["model"]["seed"] == 3


def test_registered_staged_and_yanked_versions_are_kept(
    four: Path, write_model: Write, tmp_path: Path
) -> None:
    registry = opened(four)
    registry.register(write_model(tmp_path / "5.pkl", 5), None)
    registry.stage("v1")
    registry.yank("v2", reason="leaks")
    assert registry.purge_archived(keep_last_n=0) == []
    assert len(here(four)) == len(there(four)) + 1 == 5


def test_purging_twice_finds_nothing_more_to_do(four: Path, git: Run) -> None:
    registry = opened(four)
    registry.purge_archived(keep_last_n=1)
    head = git(four, "rev-parse", "main")
    assert registry.purge_archived(keep_last_n=1) == []
    assert git(four, "rev-parse", "main") == head


def test_one_commit_says_what_was_purged(four: Path, git: Run) -> None:
    opened(four).purge_archived(keep_last_n=1)
    assert git(four, "log", "-1", "--format=%B", "main") == (
        "Purge model-v1, model-v2\n\nMlv-Action: purge\nMlv-Model: model\nMlv-To: v1\n"
        "Mlv-Model: model\nMlv-To: v2"
    )
    assert git(four, "status", "--porcelain") == ""


def test_other_models_are_left_alone(four: Path, write_model: Write, tmp_path: Path) -> None:
    ranker = opened(four, "ranker")
    register_live(ranker, *(write_model(tmp_path / f"r{n}.pkl", 20 + n) for n in range(3)))
    with pytest.raises(InvalidInput, match="which model"):
        opened(four).purge_archived(keep_last_n=0)
    assert opened(four, "model").purge_archived(keep_last_n=0) == ["v1", "v2"]
    assert statuses(ranker)["v1"] == "archived"
    assert md5_of(ranker, "v1") in here(four)
    with pytest.raises(NotFound):
        opened(four, "nothing").purge_archived()


def test_a_dry_run_says_what_would_go_and_changes_nothing(shared: Path, git: Run) -> None:
    def everything() -> object:
        origin = shared.parent / "origin.git"
        return here(shared), there(shared), git(shared, "for-each-ref"), git(origin, "for-each-ref")

    before = everything()
    assert opened(shared).purge_archived(keep_last_n=1, dry_run=True) == ["v1", "v2"]
    assert everything() == before


# What stays -----------------------------------------------------------------------------------


def test_bytes_that_another_version_has_too_stay(
    four: Path, write_model: Write, tmp_path: Path
) -> None:
    registry = opened(four)
    registry.register(write_model(tmp_path / "again.pkl", 1), None)
    assert registry.purge_archived(keep_last_n=1) == ["v1", "v2"]
    assert md5_of(registry, "v1") == md5_of(registry, "v5")
    assert registry.load("v5")["model"]["seed"] == 1
    assert md5_of(registry, "v1") in there(four)
    assert md5_of(registry, "v2") not in there(four)


def test_bytes_shared_by_purged_versions_alone_go(
    repo: Path, write_model: Write, tmp_path: Path
) -> None:
    registry = opened(repo)
    models = [write_model(tmp_path / f"{n}.pkl", seed) for n, seed in enumerate((1, 1, 2, 3))]
    register_live(registry, *models)
    assert registry.purge_archived(keep_last_n=1) == ["v1", "v2"]
    assert here(repo) == {md5_of(registry, "v3"), md5_of(registry, "v4")}


def test_a_file_that_another_versions_directory_has_too_stays(
    repo: Path, write_model: Write, tmp_path: Path
) -> None:
    registry = opened(repo)
    nets = []
    for number in range(1, 5):
        net = tmp_path / f"net{number}"
        write_model(net / "base.pkl", 100)
        write_model(net / "head.pkl", number)
        nets.append(net)
    register_live(registry, *nets)
    push_all(repo)
    assert len(there(repo)) == 9  # four listings, four heads, one base
    shutil.rmtree(repo / ".dvc" / "cache")  # what the directories have is read on the remote
    assert registry.purge_archived(keep_last_n=1) == ["v1", "v2"]
    assert len(there(repo)) == 5
    for number in (3, 4):
        files = registry.artifacts(f"v{number}")["model"]
        assert sorted(path.name for path in files.iterdir()) == ["base.pkl", "head.pkl"]


def branch_tip(repo: Path, git: Run, md5: str) -> None:
    git(repo, "switch", "--quiet", "--create", "trial")
    note(repo / "old.pkl.dvc", md5)
    git(repo, "add", "old.pkl.dvc")
    git(repo, "commit", "--quiet", "--message", "Look at the old one")
    git(repo, "switch", "--quiet", "main")


def pipeline(repo: Path, git: Run, md5: str) -> None:
    git(repo, "switch", "--quiet", "--create", "trial")
    (repo / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  train:\n    cmd: true\n    outs:\n"
        f"    - path: model.pkl\n      hash: md5\n      md5: {md5}\n      size: 3\n"
    )
    (repo / "dvc.yaml").write_text("stages:\n  train:\n    cmd: true\n    outs: [model.pkl]\n")
    git(repo, "add", "dvc.lock", "dvc.yaml")
    git(repo, "commit", "--quiet", "--message", "Train")
    git(repo, "switch", "--quiet", "main")


def foreign_tag(repo: Path, git: Run, md5: str) -> None:
    branch_tip(repo, git, md5)
    git(repo, "tag", "api-v1", "trial")
    git(repo, "branch", "--quiet", "-D", "trial")


def stash(repo: Path, git: Run, md5: str) -> None:
    note(repo / "old.pkl.dvc", md5)
    git(repo, "stash", "--include-untracked")


def second_work_tree(repo: Path, git: Run, md5: str) -> None:
    other = repo.parent / "other"
    git(repo, "worktree", "add", "--quiet", "--detach", str(other))
    note(other / "old.pkl.dvc", md5)


def index(repo: Path, git: Run, md5: str) -> None:
    note(repo / "old.pkl.dvc", md5)
    git(repo, "add", "old.pkl.dvc")
    (repo / "old.pkl.dvc").unlink()


@pytest.mark.parametrize(
    "use",
    [branch_tip, pipeline, foreign_tag, stash, second_work_tree, index],
    ids=lambda use: use.__name__,
)
def test_what_somebody_else_names_stays(
    four: Path, git: Run, use: Callable[[Path, Run, str], None]
) -> None:
    registry = opened(four)
    used, unused = md5_of(registry, "v1"), md5_of(registry, "v2")
    use(four, git, used)
    assert registry.purge_archived(keep_last_n=1) == ["v1", "v2"]
    for place in (here(four), there(four)):
        assert used in place
        assert unused not in place


def test_what_only_an_ancestor_or_a_purged_version_named_goes(four: Path, git: Run) -> None:
    registry = opened(four)
    md5 = md5_of(registry, "v1")
    note(four / "old.pkl.dvc", md5)
    git(four, "add", "old.pkl.dvc")
    git(four, "commit", "--quiet", "--message", "Take it along")
    git(four, "rm", "--quiet", "old.pkl.dvc")
    git(four, "commit", "--quiet", "--message", "Leave it")
    registry.purge_archived(keep_last_n=1)
    assert md5 not in here(four)


def test_what_becomes_free_later_goes_with_a_later_purge(four: Path, git: Run) -> None:
    registry = opened(four)
    md5 = md5_of(registry, "v1")
    branch_tip(four, git, md5)
    registry.purge_archived(keep_last_n=1)
    assert md5 in there(four)
    git(four, "branch", "--quiet", "-D", "trial")
    assert registry.purge_archived(keep_last_n=1) == []
    assert md5 not in here(four) | there(four)


def test_a_branch_that_only_the_git_remote_has_counts(shared: Path, git: Run) -> None:
    other = clone(git, shared, "other")
    registry = opened(shared)
    used, unused = md5_of(registry, "v1"), md5_of(registry, "v2")
    branch_tip(other, git, used)
    git(other, "push", "--quiet", "origin", "trial")
    assert registry.purge_archived(keep_last_n=1) == ["v1", "v2"]
    assert used in there(shared)
    assert unused not in there(shared)


def test_every_other_version_and_the_branch_can_still_be_had_in_a_new_clone(
    shared: Path, git: Run, dvc: Run
) -> None:
    opened(shared).purge_archived(keep_last_n=1)
    new = clone(git, shared, "new")
    for ref in ("model-v3", "model-v4", "main"):
        git(new, "checkout", "--quiet", ref)
        dvc(new, "pull")
        assert (new / "registry" / "model" / "model.pkl").is_file()


# Refusals: nothing is published, nothing deleted ------------------------------------------------


def refused(folder: Path, kind: type[RegistryError], words: str) -> RegistryError:
    """Purge; see it refused before anything was done."""
    storage = there(folder)
    cached = here(folder)
    with pytest.raises(kind, match=words) as caught:
        opened(folder).purge_archived(keep_last_n=0)
    assert there(folder) == storage
    assert here(folder) == cached
    assert caught.value.hint
    return caught.value


def test_a_shallow_clone_is_refused(shared: Path, git: Run) -> None:
    error = refused(clone(git, shared, "shallow", "--depth", "1"), ConfigError, "shallow")
    assert "--unshallow" in error.hint


def test_a_clone_that_does_not_know_of_a_new_version_is_refused(
    shared: Path, git: Run, write_model: Write, tmp_path: Path
) -> None:
    stale = clone(git, shared, "stale")
    opened(shared).register(write_model(tmp_path / "5.pkl", 5), None, push=True)
    error = refused(stale, WorkspaceError, "this clone is stale: model-v5")
    assert "mlv fetch" in error.hint
    opened(stale).fetch()
    assert opened(stale).purge_archived(keep_last_n=1) == ["v1", "v2"]


def test_a_clone_that_does_not_know_of_a_rollback_is_refused(shared: Path, git: Run) -> None:
    stale = clone(git, shared, "stale")
    opened(shared).rollback(to="v1", push=True)
    for _ in range(2):  # looking does not make it fresh by the way
        refused(stale, WorkspaceError, "this clone is stale: origin/main")
    opened(stale).fetch()
    assert opened(stale).purge_archived(keep_last_n=0) == ["v2", "v3", "v4"]
    assert opened(stale).load()["model"]["seed"] == 1


def test_what_was_promoted_here_and_is_not_published_is_not_purged_elsewhere(shared: Path) -> None:
    opened(shared).rollback(to="v1")
    error = refused(shared, WorkspaceError, "main says something else of 'model' here")
    assert "mlv push" in error.hint


def test_a_git_remote_that_cannot_be_reached_is_refused(shared: Path) -> None:
    (shared.parent / "origin.git").rename(shared.parent / "gone.git")
    refused(shared, ProgramError, "'origin' cannot be used")


def test_a_dvc_remote_that_keeps_versions_its_own_way_is_refused(four: Path, dvc: Run) -> None:
    dvc(four, "remote", "modify", "--local", "storage", "version_aware", "true")
    refused(four, ConfigError, "version_aware")


# The order --------------------------------------------------------------------------------------


def test_that_it_is_purged_is_on_the_git_remote_before_a_byte_goes(
    shared: Path, git: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def look(_: Remote, md5s: Iterable[str]) -> None:
        assert list(md5s)
        seen.append(git(shared.parent / "origin.git", "show", "main:registry/model/pointer.json"))

    monkeypatch.setattr(Remote, "delete", look)
    opened(shared).purge_archived(keep_last_n=1)
    assert len(seen) == 1
    assert '"v1": "purged"' in seen[0]
    assert git(shared, "rev-parse", "main") == git(shared, "rev-parse", "origin/main")


def die(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", [Remote, Cache], ids=["remote", "cache"])
def test_a_purge_killed_before_it_deleted_is_finished_by_the_next(
    shared: Path, monkeypatch: pytest.MonkeyPatch, where: type
) -> None:
    registry = opened(shared)
    files = registry.artifacts("v1")["model"]
    with monkeypatch.context() as patch:
        patch.setattr(where, "delete", die)
        with pytest.raises(KeyboardInterrupt):
            registry.purge_archived(keep_last_n=1)
    assert statuses(registry)["v1"] == "purged"
    assert len(here(shared)) == 4
    assert registry.purge_archived(keep_last_n=1) == []
    assert here(shared) == there(shared) == {md5_of(registry, "v3"), md5_of(registry, "v4")}
    assert not files.exists()


def test_another_clone_finishes_what_is_left_on_the_remote(
    shared: Path, git: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Remote, "delete", die)
        with pytest.raises(KeyboardInterrupt):
            opened(shared).purge_archived(keep_last_n=1)
    assert len(there(shared)) == 4
    assert opened(clone(git, shared, "other")).purge_archived(keep_last_n=1) == []
    assert len(there(shared)) == 2


def test_a_directory_half_deleted_is_finished(
    repo: Path, write_model: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = opened(repo)
    for number in range(1, 4):
        write_model(tmp_path / f"net{number}" / "a.pkl", number)
        write_model(tmp_path / f"net{number}" / "b.pkl", number + 50)
    register_live(registry, *(tmp_path / f"net{number}" for number in range(1, 4)))
    push_all(repo)
    shutil.rmtree(repo / ".dvc" / "cache")
    whole = Remote.delete

    def half(remote: Remote, md5s: Iterable[str]) -> None:
        whole(remote, [min(md5 for md5 in md5s if not md5.endswith(".dir"))])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "delete", half)
        with pytest.raises(KeyboardInterrupt):
            registry.purge_archived(keep_last_n=1)
    assert len(there(repo)) == 8
    registry.purge_archived(keep_last_n=1)
    assert len(there(repo)) == 6


def test_a_remote_that_refuses_is_told_and_the_next_purge_finishes(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = opened(shared)

    def refuse(_: Remote, md5s: Iterable[str]) -> None:
        raise ProgramError(f"DVC could not delete {min(md5s)}: Forbidden", hint="")

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "delete", refuse)
        with pytest.raises(ProgramError, match="model-v1, model-v2: purged, but 2 of 2") as told:
            registry.purge_archived(keep_last_n=1)
    assert "Forbidden" in told.value.message
    assert "mlv purge" in told.value.hint
    assert statuses(registry)["v1"] == "purged"
    registry.purge_archived(keep_last_n=1)
    assert len(here(shared)) == len(there(shared)) == 2


def test_bytes_registered_anew_just_before_they_would_go_stay(
    shared: Path, git: Run, write_model: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlv.keeping import purging

    other = clone(git, shared, "other")
    registry = opened(shared)
    md5 = md5_of(registry, "v1")
    publish = purging._publish

    def publish_then_register(*how: Any) -> object:
        done = publish(*how)
        opened(other).register(write_model(tmp_path / "again.pkl", 1), None, push=True)
        return done

    monkeypatch.setattr(purging, "_publish", publish_then_register)
    registry.purge_archived(keep_last_n=1)
    assert md5 in here(shared) & there(shared)
    assert registry.load("v5")["model"]["seed"] == 1


def test_bytes_registered_anew_while_they_went_come_back(
    shared: Path, git: Run, write_model: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = clone(git, shared, "other")
    registry = opened(shared)
    md5 = md5_of(registry, "v1")
    delete = Remote.delete

    def register_and_delete(remote: Remote, md5s: Iterable[str]) -> None:
        monkeypatch.undo()
        opened(other).register(write_model(tmp_path / "again.pkl", 1), None, push=True)
        delete(remote, md5s)

    monkeypatch.setattr(Remote, "delete", register_and_delete)
    registry.purge_archived(keep_last_n=1)
    assert md5 in here(shared) & there(shared)
    assert md5_of(registry, "v2") not in here(shared) | there(shared)


def test_a_version_that_went_live_between_looking_and_publishing_stops_the_purge(
    shared: Path, git: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlv.keeping import purging

    other = clone(git, shared, "other")
    publish = purging._publish

    def promote_first(*how: Any) -> object:
        opened(other).rollback(to="v1", push=True)
        return publish(*how)

    monkeypatch.setattr(purging, "_publish", promote_first)
    with pytest.raises(StatusError, match="model-v1 is production"):
        opened(shared).purge_archived(keep_last_n=1)
    assert len(here(shared)) == len(there(shared)) == 4
    assert statuses(opened(other))["v2"] == "archived"


def test_a_plain_tag_of_a_version_as_pipelines_leave_it_is_neither_stale_nor_foreign(
    shared: Path, git: Run
) -> None:
    other = clone(git, shared, "other")
    commit = git(other, "rev-parse", "model-v1^{commit}")
    git(other, "tag", "--force", "model-v1", commit)
    md5 = md5_of(opened(other), "v1")
    assert opened(other).purge_archived(keep_last_n=1) == ["v1", "v2"]
    assert md5 not in there(shared)


def test_a_branch_at_a_purged_versions_own_commit_counts(shared: Path, git: Run) -> None:
    git(shared, "push", "--quiet", "origin", "model-v1^{commit}:refs/heads/look-back")
    registry = opened(shared)
    registry.purge_archived(keep_last_n=1)
    assert md5_of(registry, "v1") in there(shared)
    assert md5_of(registry, "v2") not in there(shared)


def test_while_somebody_registers_here_the_cache_is_left_alone(
    four: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_BYTES_PATIENCE", 0)
    registry = opened(four)
    with (
        locks.bytes_lock(four / ".git", shared=True),
        pytest.raises(ChangedMeanwhile, match="another mlv"),
    ):
        registry.purge_archived(keep_last_n=1)
    assert len(here(four)) == 4
    registry.purge_archived(keep_last_n=1)
    assert len(here(four)) == 2


def test_while_the_cache_is_cleared_nobody_registers(
    four: Path, monkeypatch: pytest.MonkeyPatch, write_model: Write, tmp_path: Path
) -> None:
    monkeypatch.setattr(locks, "_BYTES_PATIENCE", 0)
    model = write_model(tmp_path / "5.pkl", 5)
    with (
        locks.bytes_lock(four / ".git", shared=False),
        pytest.raises(ChangedMeanwhile, match="another mlv"),
    ):
        opened(four).register(model, None)
    assert opened(four).register(model, None) == "v5"


def test_a_purge_in_a_linked_work_tree_frees_the_main_ones_cache_too(four: Path, git: Run) -> None:
    linked = four.parent / "linked"
    git(four, "worktree", "add", "--quiet", "--detach", str(linked))
    opened(linked).artifacts("v1")
    registry = opened(linked)
    registry.purge_archived(keep_last_n=1)
    gone = {md5_of(registry, "v1"), md5_of(registry, "v2")}
    assert not gone & (here(four) | here(linked) | there(four))
