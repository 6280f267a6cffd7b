"""Signatures of commits and tags, checked by git against the signers that the registry allows.

SSH signatures alone: an allowed signers file says nothing about OpenPGP keys, and whose keys lie
in a reader's own keyring is no statement of the registry.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlv.store.disk import on_disk
from mlv.store.objects import TAG

if TYPE_CHECKING:
    from mlv.store.git import Git
    from mlv.store.objects import Object

_SSH = b"-----BEGIN SSH SIGNATURE-----"
_OTHERS = (
    b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
)  # fmt: skip
_GOOD = 'Good "git" signature for '
# In the common directory: what was verified once, a line each.
_SEEN = "mlv/.signatures"


class Signers(NamedTuple):
    """An allowed signers file as the registry branch has it: its path, blob and contents."""

    path: str
    oid: str
    data: bytes


class Verdict(NamedTuple):
    """Who signed; or, where nobody did whom the registry allows, why not and what may help."""

    signer: str | None
    why: str = ""
    hint: str = ""


def verify(git: Git, oid: str, signers: Signers) -> Verdict:
    """Verify the signature of a commit or an annotated tag, given by its full object id.

    What verified once is remembered; object and signers are named by hash, so it stays true.
    """
    note = git.layout.common_dir / _SEEN
    known = _seen(note, oid, signers)
    if known is not None:
        return Verdict(known)
    verdict = _verify(git, oid, signers)
    if verdict.signer is not None:
        _remember(note, oid, signers, verdict.signer)
    return verdict


def _verify(git: Git, oid: str, signers: Signers) -> Verdict:
    found = git.objects.read(oid)
    if found is None:
        return Verdict(None, "is not here", "git fsck says what is missing")
    mark = _signature_mark(found)
    if mark is None:
        return Verdict(
            None, "is not signed", "git config gpg.format ssh, user.signingKey and "
            "commit.gpgSign and tag.gpgSign true: then it is made again, by one who may sign",
        )  # fmt: skip
    if mark != _SSH:
        return Verdict(
            None, "carries a signature that is not SSH's",
            "the registry allows signers by an SSH file: git config gpg.format ssh",
        )  # fmt: skip
    import tempfile  # slow to import, and most readers have verified before

    with on_disk(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="mlv-") as folder:
        allowed = Path(folder) / "allowed_signers"
        allowed.write_bytes(signers.data)
        kind = "verify-tag" if found.kind == TAG else "verify-commit"
        result = git.ask(*_settings(allowed), kind, "--raw", oid)
    said = [line for line in result.stderr.splitlines() if line.startswith(_GOOD)]
    if result.code == 0 and said:
        return Verdict(said[0].removeprefix(_GOOD).rpartition(" with ")[0])
    return _why_not(result.stderr, signers)


def _settings(allowed: Path) -> list[str]:
    """Overrule what the user's configuration may say of verifying; no program but one is run."""
    settings = {
        "gpg.ssh.allowedSignersFile": str(allowed),
        "gpg.ssh.program": "ssh-keygen",
        "gpg.minTrustLevel": "fully",
        **dict.fromkeys(("gpg.program", "gpg.openpgp.program", "gpg.x509.program"), "mlv-runs-no"),
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _signature_mark(found: Object) -> bytes | None:
    """Give the line that begins the signature, as git finds it.

    That of a commit is its first ``gpgsig`` header, that of a tag the last such line.
    """
    marks = (_SSH, *_OTHERS)
    if found.kind == TAG:
        lines = [m for line in found.data.split(b"\n") for m in marks if line.startswith(m)]
        return lines[-1] if lines else None
    for line in found.data.partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"gpgsig "):
            return next((m for m in marks if line[7:].startswith(m)), b"")
    return None


def _why_not(stderr: str, signers: Signers) -> Verdict:
    if "cannot run ssh-keygen" in stderr:
        return Verdict(
            None, "cannot be checked: ssh-keygen is not installed", "install OpenSSH's client"
        )
    if "No principal matched" in stderr:
        key = next((w for w in stderr.split() if w.startswith("SHA256:")), "an unknown key")
        return Verdict(
            None, f"is signed by {key}, which {signers.path} does not allow",
            f"one whom {signers.path} names adds that key on the registry branch, or signs anew",
        )  # fmt: skip
    return Verdict(
        None, "carries a signature that does not verify",
        "it was changed after it was signed, or the signer's time in the file is over",
    )  # fmt: skip


def _seen(note: Path, oid: str, signers: Signers) -> str | None:
    """Look a signature up; an audit asks thousands of times, so the note is not taken apart."""
    try:
        text = "\n" + note.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    _, _, rest = text.partition(f"\n{oid} {signers.oid} ")
    signer, end, _ = rest.partition("\n")
    return signer if end else None  # a line without its end was cut off


def _remember(note: Path, oid: str, signers: Signers, signer: str) -> None:
    try:
        note.parent.mkdir(exist_ok=True)
        with note.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{oid} {signers.oid} {signer}\n")
    except OSError:
        return  # a note that only saves time; a read-only repository does without
