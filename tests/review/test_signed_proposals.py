"""Where signatures are asked for, they are those that main asks for."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.review.mould import SIGNED_YAML, sign

if TYPE_CHECKING:
    from tests.review.proposals import Desk, Seen

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")

UNSIGNED = ("-c", "commit.gpgSign=false")
UNSIGNED_TAG, STRANGER_S_TAG = 4, 5


def refused(seen: Seen, *rules: str, words: str) -> None:
    assert (seen.code, seen.rules) == (3, set(rules)), seen.words
    assert re.search(words, seen.words), seen.words


def versions_only(desk: Desk) -> None:
    with desk.on_main():
        desk.write(
            "mlv.yaml", SIGNED_YAML.replace("require_signed: all", "require_signed: versions")
        )
        desk.commit("Want versions signed")
    desk.restart()


@pytest.mark.parametrize("policy", ["all", "versions"])
def test_what_is_signed_passes(signed: Desk, policy: str) -> None:
    if policy == "versions":
        versions_only(signed)
    signed.promote(3)
    seen = signed.review()
    assert (seen.code, seen.report["findings"]) == (0, []), seen.words
    assert {
        "name": "signatures",
        "outcome": "passed",
        "detail": "by the signers in keys/signers",
    } in (seen.report["checks"])


@pytest.mark.parametrize("how", [(), ("-X", "theirs")], ids=["rebased", "merged"])
def test_a_signed_proposal_on_a_main_that_moved_passes(signed: Desk, how: tuple[str, ...]) -> None:
    signed.promote(3)
    with signed.on_main():
        signed.write("train.py", "print('faster')\n")
        signed.commit("Train faster", *UNSIGNED)
    signed.git(*(("merge", "-q", "--no-edit", *how) if how else ("rebase", "-q")), "main")
    seen = signed.review()
    assert (seen.code, seen.rules) == (0, set()), seen.words


def test_an_unsigned_commit_of_code_passes(signed: Desk) -> None:
    signed.write("train.py", "print('faster')\n")
    signed.commit("Train faster", *UNSIGNED)
    assert signed.review().code == 0


def test_versions_alone_let_an_unsigned_commit_pass(signed: Desk) -> None:
    versions_only(signed)
    signed.promote(3, "fraud", *UNSIGNED)
    assert signed.review().code == 0


@pytest.mark.parametrize("policy", ["all", "versions"])
def test_an_unsigned_version_is_refused(signed: Desk, policy: str) -> None:
    if policy == "versions":
        versions_only(signed)
    signed.promote(UNSIGNED_TAG)
    refused(signed.review(), "signature", words="the tag fraud-v4 is not signed")


def test_a_version_signed_by_a_stranger_is_refused(signed: Desk) -> None:
    signed.promote(STRANGER_S_TAG)
    words = "the tag fraud-v5 is signed by SHA256:.*, which keys/signers does not allow"
    refused(signed.review(), "signature", words=words)


def test_an_unsigned_commit_is_refused(signed: Desk) -> None:
    signed.promote(3, "fraud", *UNSIGNED)
    refused(signed.review(), "signature", words="the commit .* is not signed")


def test_a_commit_signed_by_a_stranger_is_refused(signed: Desk) -> None:
    sign(signed, "eve")
    signed.promote(3)
    refused(signed.review(), "signature", words="the commit .* is signed by SHA256:")


def test_an_unsigned_commit_below_a_signed_one_is_refused(signed: Desk) -> None:
    signed.promote(3, "fraud", *UNSIGNED)
    signed.commit("Look, it is signed")
    refused(signed.review(), "signature", words="the commit .* is not signed")


def test_a_stranger_who_allows_himself_is_refused(signed: Desk) -> None:
    key = (signed.folder / "keys" / "eve.pub").read_text()
    sign(signed, "eve")
    signed.write("keys/signers", f"{(signed.author / 'keys/signers').read_text()}eve@x {key}")
    signed.promote(STRANGER_S_TAG)
    refused(signed.review(), "signature", "alongside", words="keys/signers, .* adds eve@x")


def test_signatures_switched_off_along_are_still_asked_for(signed: Desk) -> None:
    signed.edit("mlv.yaml", "require_signed: all\n", "")
    signed.promote(UNSIGNED_TAG, "fraud", *UNSIGNED)
    refused(signed.review(), "signature", "alongside", words="require_signed all -> none")


def test_another_list_of_signers_is_worth_a_look(signed: Desk) -> None:
    key = (signed.folder / "keys" / "eve.pub").read_text()
    signed.write("keys/signers", f"eve@x {key}")
    signed.commit("Let eve sign alone")
    seen = signed.review()
    assert (seen.code, {each["rule"] for each in seen.report["findings"]}) == (0, {"alongside"})


def test_an_unsigned_list_of_signers_is_refused(signed: Desk) -> None:
    signed.write("keys/signers", "")
    signed.commit("Let nobody sign", *UNSIGNED)
    refused(signed.review(), "signature", words="the commit .* is not signed")


def test_the_signers_of_the_user_s_own_git_do_not_count(signed: Desk) -> None:
    own = signed.folder / "own"
    own.write_text(f"eve@x {(signed.folder / 'keys' / 'eve.pub').read_text()}")
    for clone in (signed.author, signed.reviewer):
        signed._git(clone, "config", "gpg.ssh.allowedSignersFile", str(own))
    signed.promote(STRANGER_S_TAG)
    refused(signed.review(), "signature", words="which keys/signers does not allow")
