"""What GTO's own code registers comes in with every version, stage and byte; its tags stay."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from mlv import IntegrityError, InvalidInput, ModelRegistry, NotFound
from mlv.bridges import gto
from mlv.bridges.gtotags import Tag, read_all

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what GTO itself imports
    from gto import api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., str]

ALL = gto.Wanted((), {}, {}, ())
GRACE: dict[str, Any] = {"author": "Grace Hopper", "author_email": "grace@example.com"}


class Artifacts:
    """A repository in which somebody registers with GTO: one commit for each version."""

    def __init__(self, repo: Path, git: Run, dvc: Run) -> None:
        self.repo, self.git, self.dvc = repo, git, dvc
        self.bytes: dict[str, bytes] = {}

    def version(self, semver: str, name: str = "fraud", *, keep: bool = True) -> None:
        """Write a model that DVC keeps (or Git itself), commit and register it."""
        path = self.repo / "models" / "model.pkl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"the model {name} {semver}".encode())
        self.bytes[semver] = path.read_bytes()
        if keep:
            self.dvc(self.repo, "add", "--quiet", "models/model.pkl")
        (self.repo / "dvc.yaml").write_text(
            f"artifacts:\n  {name}:\n    path: models/model.pkl\n    type: model\n"
        )
        self.git(self.repo, "add", "--all")
        self.git(self.repo, "commit", "--quiet", "--message", f"Train {semver}")
        api.register(str(self.repo), name, "HEAD", version=semver, **GRACE)

    def assign(self, semver: str, stage: str) -> None:
        api.assign(str(self.repo), "fraud", stage, version=semver)


@pytest.fixture
def artifacts(repo: Path, git: Run, dvc: Run) -> Artifacts:
    """Return a repository with four versions of `fraud`; v1.2.0 is in production."""
    made = Artifacts(repo, git, dvc)
    for semver in ("v1.0.0", "v1.2.0", "v1.10.0-rc.1", "v1.10.0"):
        made.version(semver)
    made.assign("v1.0.0", "prod")
    made.assign("v1.2.0", "prod")
    made.assign("v1.10.0-rc.1", "staging")
    made.assign("v1.10.0", "canary")
    api.deregister(str(repo), "fraud", version="v1.10.0-rc.1")
    return made


@contextlib.contextmanager
def found(repo: Path, wanted: gto.Wanted = ALL) -> Iterator[dict[str, gto.Found]]:
    with gto.reading(repo, wanted) as all_of_them:
        yield {each.name: each for each in all_of_them}


def opened(repo: Path, notes: list[str] | None = None) -> ModelRegistry:
    return ModelRegistry(repo, "fraud", notify=(notes if notes is not None else []).append)


def test_what_gto_registered_comes_in_and_its_tags_stay(
    artifacts: Artifacts, git: Run, dvc: Run
) -> None:
    repo = artifacts.repo
    # Bytes come from the cache where they are, and else from the remote.
    dvc(repo, "push", "--quiet", "--all-tags")
    cache = repo / ".dvc" / "cache" / "files" / "md5"
    md5 = hashlib.md5(artifacts.bytes["v1.0.0"]).hexdigest()  # noqa: S324 - DVC's address of it
    (cache / md5[:2] / md5[2:]).unlink()
    tags = git(repo, "for-each-ref", "refs/tags")
    notes: list[str] = []
    registry = opened(repo, notes)
    with found(repo) as all_of_them:
        registry.bring_in(all_of_them["fraud"].incoming)
    facts = registry.list_versions()
    order = ["v1.0.0", "v1.2.0", "v1.10.0-rc.1", "v1.10.0"]  # as registered, and not as text
    assert [each["metadata"]["semver"] for each in facts] == order
    statuses = ["archived", "production", "yanked", "registered"]
    assert [each["status"] for each in facts] == statuses
    for semver, each in zip(order, facts, strict=True):
        assert each["model_sha256"] == hashlib.sha256(artifacts.bytes[semver]).hexdigest()
        assert each["registered_by"] == "Grace Hopper <grace@example.com>"
        commit = git(repo, "rev-parse", f"fraud@{semver}^{{commit}}")
        assert git(repo, "rev-parse", f"fraud-{each['version']}^") == commit
        date = "--format=%(taggerdate:format-local:%Y-%m-%dT%H:%M:%SZ)"
        assert each["registered_at"] == git(repo, "tag", "--list", f"fraud@{semver}", date)
        assert each["metadata"]["imported"]["version"] == f"fraud@{semver}"
    assert facts[3]["metadata"]["imported"]["stages"] == ["canary"]
    assert "canary: a stage that has no status here, and is kept in the metadata" in notes
    assert "fraud@v1.10.0-rc.1: its registration was taken back: yanked" in notes
    assert git(repo, "for-each-ref", "refs/tags/fraud@*", "refs/tags/fraud#*") == tags
    assert registry.rollback() == "v1"


def test_what_is_registered_later_comes_in_later(artifacts: Artifacts) -> None:
    registry = opened(artifacts.repo)
    with found(artifacts.repo) as all_of_them:
        incoming = all_of_them["fraud"].incoming
        assert len(registry.bring_in(incoming).plan.new) == 4
        assert registry.bring_in(incoming).plan.new == ()
    artifacts.version("v1.2.1")
    with found(artifacts.repo) as all_of_them:
        registry.bring_in(all_of_them["fraud"].incoming)
    assert registry.get_manifest("v5")["metadata"]["semver"] == "v1.2.1"
    assert registry.current_version() == "v2"


def test_a_stage_of_another_name_can_be_said_to_be_production(artifacts: Artifacts) -> None:
    wanted = ALL._replace(stages={"canary": "production", "prod": "registered"})
    with found(artifacts.repo, wanted) as all_of_them:
        incoming = all_of_them["fraud"].incoming
    assert (incoming.current, incoming.previous) == (4, None)


def test_bytes_that_git_itself_keeps_come_from_git(repo: Path, git: Run, dvc: Run) -> None:
    made = Artifacts(repo, git, dvc)
    made.version("v0.1.0", keep=False)
    registry = opened(repo)
    with found(repo) as all_of_them:
        registry.bring_in(all_of_them["fraud"].incoming)
    sha256 = hashlib.sha256(made.bytes["v0.1.0"]).hexdigest()
    assert registry.get_manifest("v1")["model_sha256"] == sha256


def test_bytes_that_an_older_dvc_keeps_come_from_its_cache(repo: Path, git: Run, dvc: Run) -> None:
    made = Artifacts(repo, git, dvc)
    made.version("v1.0.0")
    data = b"line\r\nline\n"  # whose line ends it made the same before it hashed them
    md5 = hashlib.md5(data.replace(b"\r\n", b"\n")).hexdigest()  # noqa: S324 - DVC's address
    place = repo / ".dvc" / "cache" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    note = f"outs:\n- md5: {md5}\n  path: model.pkl\n"
    (repo / "models" / "model.pkl.dvc").write_text(note)
    git(repo, "commit", "--quiet", "--all", "--message", "As DVC 2 wrote it")
    api.register(str(repo), "fraud", "HEAD", version="v1.1.0")
    registry = opened(repo)
    with found(repo) as all_of_them:
        registry.bring_in(all_of_them["fraud"].incoming)
    assert registry.get_manifest("v2")["model_sha256"] == hashlib.sha256(data).hexdigest()


def test_a_folder_comes_in_whole_and_a_link_not_at_all(repo: Path, git: Run, dvc: Run) -> None:
    made = Artifacts(repo, git, dvc)
    folder = repo / "net"
    (folder / "layers").mkdir(parents=True)
    (folder / "net.json").write_text("{}")
    (folder / "layers" / "one.bin").write_bytes(b"1")
    made.version("v1.0.0", keep=False)
    (repo / "away").symlink_to("/etc/hostname")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "A link")
    registry = opened(repo)
    with found(repo, ALL._replace(paths={"fraud": "net"})) as all_of_them:
        registry.bring_in(all_of_them["fraud"].incoming)
    assert registry.get_manifest("v1")["artifacts"]["model"]["nfiles"] == 2
    api.register(str(repo), "fraud", "HEAD", version="v1.1.0")
    with (
        found(repo, ALL._replace(paths={"fraud": "away"})) as all_of_them,
        pytest.raises(InvalidInput, match=r"v2 cannot come in: away at .* is a link"),
    ):
        registry.bring_in(all_of_them["fraud"].incoming)


def test_a_damaged_object_is_not_taken_for_the_model(artifacts: Artifacts, git: Run) -> None:
    md5 = hashlib.md5(artifacts.bytes["v1.0.0"]).hexdigest()  # noqa: S324 - DVC's address of it
    path = artifacts.repo / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(b"something else")
    with found(artifacts.repo) as all_of_them, pytest.raises(IntegrityError, match="is damaged"):
        opened(artifacts.repo).bring_in(all_of_them["fraud"].incoming)
    assert git(artifacts.repo, "tag", "--list", "fraud-v*") == ""


def test_an_artifact_without_a_place_is_given_one_or_left_out(
    repo: Path, git: Run, dvc: Run
) -> None:
    made = Artifacts(repo, git, dvc)
    made.version("v1.0.0")
    (repo / "dvc.yaml").write_text("artifacts:\n  fraud:\n    path: ../../outside.pkl\n")
    git(repo, "commit", "--quiet", "--all", "--message", "Lead out")
    api.register(str(repo), "fraud", "HEAD", version="v1.1.0")
    with (
        pytest.raises(InvalidInput, match=r"fraud@v1.1.0 is said to lie at '../../outside.pkl'"),
        found(repo),
    ):
        pass
    with found(repo, ALL._replace(paths={"fraud": "models/model.pkl"})) as all_of_them:
        assert len(all_of_them["fraud"].incoming.versions) == 2
    with (
        pytest.raises(NotFound, match="no tag of GTO's speaks of 'ranker'"),
        found(repo, ALL._replace(names=["ranker"])),
    ):
        pass


def test_an_artifact_without_versions_does_not_keep_the_others_out(
    repo: Path, git: Run, dvc: Run, mlv: Callable[..., Any]
) -> None:
    made = Artifacts(repo, git, dvc)
    made.version("v1.0.0")
    for name in ("early@created", "gone@v1.0.0!", "out#prod!#1", "ranker@v1.0.0"):
        git(repo, "tag", "-m", "By hand", name)
    done = mlv(repo, "import", "gto", "--dry-run", "--skip", "ranker@v1.0.0")
    assert (done.returncode, "fraud-v1" in done.stdout) == (0, True), done.stderr
    for name in ("early", "gone", "out", "ranker"):
        assert f"note: GTO has no version of {name} that comes in" in done.stderr
    done = mlv(repo, "import", "gto", "--dry-run", "--model", "gone")
    assert (done.returncode, "gone has no version" in done.stderr) == (6, True), done.stderr


@pytest.mark.parametrize(
    ("wanted", "wrong", "hint"),
    [
        ({"skip": ["fraud@v1.2"]}, "no version 'fraud@v1.2'", "there are fraud@v1.0.0, fraud@v1.1"),
        ({"skip": ["ranker@v1.0.0"]}, "no version 'ranker@v1.0.0'", "there are fraud@v1.0.0"),
        ({"paths": {"fruad": "model.pkl"}}, "speaks of 'fruad'", "there are fraud"),
    ],
)
def test_what_is_mistyped_is_not_passed_over(
    repo: Path, git: Run, wanted: dict[str, Any], wrong: str, hint: str
) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        git(repo, "tag", "-m", "By hand", f"fraud@{version}")
    with pytest.raises(NotFound, match=wrong) as caught, found(repo, ALL._replace(**wanted)):
        pass
    assert caught.value.hint.startswith(hint)


def test_a_date_that_is_none_is_told_with_its_tag(artifacts: Artifacts, git: Run) -> None:
    repo = artifacts.repo
    made = git(repo, "rev-parse", "HEAD")
    text = (
        f"object {made}\ntype commit\ntag fraud@v9.0.0\n"
        "tagger Ada <ada@example.com> 999999999999 +0000\n\nLate\n"
    )
    (repo / "tag.txt").write_text(text)
    oid = git(repo, "hash-object", "-t", "tag", "-w", "--literally", "tag.txt")
    git(repo, "update-ref", "refs/tags/fraud@v9.0.0", oid)
    with (
        pytest.raises(InvalidInput, match=r"the tag fraud@v9\.0\.0 is dated 999") as caught,
        found(repo),
    ):
        pass
    assert caught.value.hint == "--skip fraud@v9.0.0 leaves the version out"
    with found(repo, ALL._replace(skip=["fraud@v9.0.0"])) as all_of_them:
        assert len(all_of_them["fraud"].incoming.versions) == 4


def test_labels_whose_aliases_fill_the_memory_are_not_read(repo: Path, git: Run, dvc: Run) -> None:
    made = Artifacts(repo, git, dvc)
    made.version("v1.0.0")
    labels = ["&a0 [x, x, x, x, x, x, x, x, x]"]
    labels += [f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    lines = ["artifacts:", "  fraud:", "    path: models/model.pkl", "    labels:"]
    (repo / "dvc.yaml").write_text("\n".join([*lines, *(f"    - {each}" for each in labels), ""]))
    git(repo, "commit", "--quiet", "--all", "--message", "Label it")
    git(repo, "tag", "-m", "Without GTO, which would hang", "fraud@v1.1.0")
    with pytest.raises(NotFound, match=r"at the commit of fraud@v1.1.0 says where"), found(repo):
        pass


# Tags alone ----------------------------------------------------------------------------------


def tag(name: str, commit: str = "a", at: int = 0) -> Tag:
    return Tag(name, commit, at, "Grace <grace@example.com>", "")


def stages(*tags: Tag) -> list[tuple[str, str, bool]]:
    return [(a.stage, a.commit, a.is_now) for a in read_all(tags)["fraud"].assigned]


def test_what_is_put_in_a_stage_and_taken_out_again() -> None:
    made = (tag("fraud@v1.0.0", "a", 1), tag("fraud@v2.0.0", "b", 2))
    put = (tag("fraud#prod#1", "a", 3), tag("fraud#prod#2", "b", 4))
    assert stages(*made, *put) == [("prod", "a", True), ("prod", "b", True)]
    assert stages(*made, *put, tag("fraud#prod!#3", "b", 5)) == [
        ("prod", "a", True), ("prod", "b", False)
    ]  # fmt: skip
    again = tag("fraud#prod#3", "a", 5)
    assert stages(*made, *put, again) == [("prod", "b", True), ("prod", "a", True)]


@pytest.mark.parametrize(
    "name",
    ["v1.0.0", "fraud-v3", "fraud@1.0.0", "fraud@v1.0", "fraud@v01.0.0", "@v1.0.0", "fraud#",
     "-fraud@v1.0.0", "fraud@v1.0.0!deprecated", "fraud@v1.0.0\n"],
)  # fmt: skip
def test_a_tag_that_is_none_of_gtos_is_passed_over(name: str) -> None:
    assert read_all([tag(name)]) == {}


def test_names_versions_and_order_are_read_as_gto_reads_them() -> None:
    names = ["models=a/b@v1.0.0-rc.2#1", "models=a/b@v1.0.0-rc.10", "models=a/b@v1.0.0+x"]
    [(name, artifact)] = read_all([tag(each, str(n)) for n, each in enumerate(names)]).items()
    assert name == "models:a/b"
    order = ["v1.0.0-rc.2", "v1.0.0-rc.10", "v1.0.0+x"]
    assert [each.semver for each in artifact.versions] == order
    assert read_all([tag("f@v1.0.0"), tag("f@deprecated", at=1)])["f"].is_deprecated


def test_a_commit_that_was_only_put_in_a_stage_is_a_version() -> None:
    [only] = read_all([tag("fraud#prod", "c")])["fraud"].versions
    assert (only.semver, only.tag.commit, only.stages) == (None, "c", ("prod",))


def test_names_become_names_of_models() -> None:
    empty: Any = None
    assert gto.Found("models:Fraud/EU", empty).model == "models-fraud-eu"
