"""Whatever a clone holds, a reading command ends with an answer or with an error of ours.

No traceback, no path outside, no option taken from a name, no terminal sequence, no hang.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlv import ModelRegistry, RegistryError
from mlv.cli import main
from mlv.domain import manifest as manifests
from mlv.domain import pointer as pointers
from mlv.domain.names import Reference, Version
from mlv.store import config as configs
from mlv.store import dvcfiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Git = Callable[..., str]

TOO_LONG = 60  # seconds for one command
CODES = {0, 1, 2, 4, 5, 6}
HOSTILE: list[Any] = [
    "../../pwned", "/pwned", "--output=pwned", "-c", "\x1b]0;owned\x07\x1b[2J", "a\nb", "a\r",
    "\u202egpj.exe", "", " ", ".", "..", "x" * 5000, "con", "\0", "caf\u00e9", "\ud800", "v3",
    "model.pkl", "$(touch pwned)", "{} %s {0}", None, True, 0, -1, 10**400, 1e308, 0.1, [], {},
    [[[["deep"]]]], {"a": {"b": [1]}},
]  # fmt: skip
READING = [
    ("list",), ("list", "--json"), ("list", "-q"), ("show", "model-v3"), ("show", "@latest"),
    ("show", "@production", "--json"), ("status",), ("status", "--json"), ("current",),
    ("compare", "v1", "v3"), ("pull", "model-v3"), ("pull", "@production"), ("trust",),
    ("verify", "--all"), ("verify", "model-v3"),
]  # fmt: skip


def mlv(repo: Path, *argv: str) -> tuple[int, str]:
    """Run a command in this process, and give its exit code and all that it printed."""
    out = io.StringIO()
    saved = sys.argv
    sys.argv = ["mlv", "-C", str(repo), *argv]
    try:
        with hurry(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main()
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    finally:
        sys.argv = saved
    raise AssertionError  # pragma: no cover - main always exits


@contextlib.contextmanager
def hurry() -> Iterator[None]:
    """Fail instead of hanging."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, TOO_LONG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def survives(repo: Path, *commands: tuple[str, ...]) -> list[str]:
    """Run commands on a hostile clone; see that each ends well and nothing lies where it did not.

    Gives what each printed.
    """
    before = outside(repo)
    said = []
    for argv in commands:
        code, text = mlv(repo, *argv)
        assert code in CODES, (argv, code)
        assert "mlv broke" not in text, (argv, text)
        assert "Traceback" not in text, (argv, text)
        odd = {char for char in text if not (char.isprintable() or char == "\n")}
        assert not odd, (argv, odd)
        said.append(text)
    assert outside(repo) == before
    return said


def outside(repo: Path) -> set[str]:
    """Name every file but those in which mlv, git and DVC keep what is theirs."""
    own = (".git/mlv/model/", ".git/mlv/.", ".git/objects", ".dvc/tmp", ".dvc/cache")
    return {
        str(path)
        for path in repo.parent.rglob("*")
        if not path.is_relative_to(repo)
        or not path.relative_to(repo).as_posix().startswith((*own, ".git/mlv"))
    }


@pytest.fixture(scope="module")
def clone(
    _repo_mould: Path,
    tmp_path_factory: pytest.TempPathFactory,
    git: Git,
    write_model: Callable[..., Path],
) -> Path:
    """Return a registry in which v1 is live and v3 waits to be made hostile."""
    mould = tmp_path_factory.mktemp("hostile")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    repo = mould / "repo"
    registry = ModelRegistry(repo, notify=lambda _: None)
    for seed in (1, 2, 3):
        registry.register(
            write_model(mould / "model.pkl", seed),
            None,
            metrics={"auc": seed / 4},
            metadata={"k": 1},
        )
    registry.promote("v1")
    git(repo, "tag", "base-main", "main")
    git(repo, "tag", "base-v3", "model-v3^{commit}")
    return repo


@contextlib.contextmanager
def restored(repo: Path) -> Iterator[None]:
    """Put back what a test made hostile."""
    git_dir, kept = repo / ".git", repo.parent / "kept"
    config, packed = (repo / "mlv.yaml").read_bytes(), git_dir / "packed-refs"
    shutil.copytree(git_dir / "refs", kept)
    names = packed.read_bytes() if packed.exists() else b""
    try:
        yield
    finally:
        shutil.rmtree(git_dir / "refs")
        kept.rename(git_dir / "refs")
        packed.write_bytes(names)
        (repo / "mlv.yaml").write_bytes(config)
        shutil.rmtree(git_dir / "mlv", ignore_errors=True)


def commit(repo: Path, ref: str, base: str, files: dict[str, bytes]) -> None:
    """Commit files on top of ``base``, past all checks."""
    parts = [f"commit {ref}\ncommitter E <e@x> 1700000000 +0000\ndata 1\nx\nfrom {base}\n".encode()]
    for path, data in files.items():
        parts.append(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
    argv = ["git", "fast-import", "--quiet", "--force"]
    subprocess.run(argv, cwd=repo, input=b"".join(parts), check=True, capture_output=True)


def write(repo: Path, kind: str, data: bytes) -> str:
    """Write an object, past all checks, and give its id."""
    argv = ["git", "hash-object", "-t", kind, "-w", "--stdin", "--literally"]
    done = subprocess.run(argv, cwd=repo, input=data, check=True, capture_output=True)
    return done.stdout.decode().strip()


def point(repo: Path, ref: str, oid: str) -> None:
    """Have a ref name an object, whatever that is."""
    path = repo / ".git" / ref
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{oid}\n")


# Documents -----------------------------------------------------------------------------------


def spots(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List every place in a document, by the keys that lead there."""
    found = [at] if at else []
    if isinstance(document, dict):
        for key, value in document.items():
            found += spots(value, (*at, key))
    if isinstance(document, list):
        for index, value in enumerate(document):
            found += spots(value, (*at, index))
    return found


@st.composite
def spoiled(draw: st.DrawFn, document: Any) -> Any:
    """Change a document in one to three places: another value, a new key, nothing at all."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = spots(changed)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        inside = changed
        for key in way:
            inside = inside[key]
        how = draw(st.sampled_from(["value", "key", "none"]))
        value = copy.deepcopy(draw(st.sampled_from(HOSTILE)))
        if how == "value":
            inside[last] = value
        elif how == "none":
            del inside[last]
        elif isinstance(inside, dict):
            inside[str(draw(st.sampled_from(HOSTILE)))] = value
    return changed


def as_bytes(document: Any) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode(
        errors="surrogatepass"
    )


MANIFEST = {
    "schema": 1, "model": "model", "version": "v3", "registered_at": "2026-01-01T12:00:00Z",
    "registered_by": "Ada <ada@example.com>",
    "artifacts": {"model": {"path": "model.pkl", "size": 3, "md5": "a" * 32, "sha256": "b" * 64}},
    "metrics": {"auc": 0.5}, "metadata": {"team": "payments"},
    "lineage": {"commit": "c" * 40, "branch": "main", "dirty": ["train.py"], "remote": None,
                "python": "3.11", "platform": "Linux",
                "stage": {"name": "train", "cmd": "python", "deps": {"a": "b"}, "params": {}}},
}  # fmt: skip
POINTER = {"model": "model", "current": "v1", "previous": "v2",
           "status": {"v3": "staging", "v2": "archived", "v1": "production"}}  # fmt: skip
CONFIG = {
    "branch": "main", "remote": "origin", "push": False, "require_clean": False,
    "require_metadata": ["team"], "require_signed": "all", "allowed_signers": "signers",
    "models": {"model": {"model": "m.pkl", "preprocessor": None, "metrics": "m.json",
                         "artifacts": {"tok": "tok"}, "metadata": {"a": 1}}},
}  # fmt: skip
DVC = {"outs": [{"md5": "a" * 32, "size": 3, "hash": "md5", "path": "model.pkl"}]}
LISTING = [{"md5": "a" * 32, "relpath": "a/b"}, {"md5": "b" * 32, "relpath": "c"}]


def may_refuse(act: Callable[[], object]) -> Any:
    """Read something; an error of ours is as good as an answer."""
    with contextlib.suppress(RegistryError):
        return act()


@pytest.mark.parametrize(
    ("document", "read"),
    [
        (MANIFEST, lambda data: manifests.parse(data, Version("model", 3))),
        (POINTER, lambda data: pointers.parse(data, "model")),
        (CONFIG, configs.parse),
        (DVC, dvcfiles.named_md5),
        (DVC, dvcfiles.credential_in),
        (LISTING, lambda data: dvcfiles.read_listing(data, "model")),
    ],
    ids=["manifest", "pointer", "mlv.yaml", ".dvc", ".dvc/config", "listing"],
)
def test_a_document_is_read_or_refused(document: Any, read: Callable[[bytes], Any]) -> None:
    @given(
        st.one_of(
            spoiled(document).map(as_bytes),
            st.binary(max_size=200),
            st.builds(
                lambda at, data: as_bytes(document)[:at] + data + as_bytes(document)[at:],
                st.integers(0, 400),
                st.binary(max_size=8),
            ),
        )
    )
    @settings(max_examples=100)
    def read_or_refuse(data: bytes) -> None:
        may_refuse(lambda: read(data))

    read_or_refuse()


@given(spoiled(LISTING).map(as_bytes))
def test_a_listing_never_leads_outside(data: bytes) -> None:
    for member in may_refuse(lambda: dvcfiles.read_listing(data, "model")) or []:
        inside = os.path.normpath(Path("/folder") / member.path)
        assert inside.startswith("/folder/")
        assert "\n" not in member.path


@given(spoiled(MANIFEST).map(as_bytes))
def test_a_manifest_never_leads_outside(data: bytes) -> None:
    read = may_refuse(lambda: manifests.parse(data, Version("model", 3)))
    for artifact in read.artifacts.values() if read else ():
        assert Path(artifact.path).name == artifact.path
        assert artifact.path not in ("..", ".")


@given(st.one_of(st.text(), st.sampled_from([str(h) for h in HOSTILE])))
def test_no_option_and_no_path_comes_out_of_a_reference(text: str) -> None:
    for read in (Reference.parse, Version.from_tag):
        found = may_refuse(lambda read=read: read(text))  # type: ignore[misc] # bound in the loop
        model = found.model if found else None
        assert model is None or (not model.startswith("-") and "/" not in model and model.isascii())


# Clones --------------------------------------------------------------------------------------

FILES = {
    "registry/model/manifest.json": MANIFEST,
    "registry/model/pointer.json": POINTER,
    "registry/model/model.pkl.dvc": DVC,
    "mlv.yaml": CONFIG,
}


def test_a_hostile_file_on_the_branch_or_at_a_tag(clone: Path, git: Git) -> None:
    valid = {
        path: git(clone, "show", f"model-v3:{path}") for path in FILES if "pointer" not in path
    }
    known = {
        **{path: yaml.safe_load(text) for path, text in valid.items()},
        "registry/model/pointer.json": POINTER,
        "mlv.yaml": CONFIG,
    }

    @given(
        st.sampled_from(sorted(FILES)).flatmap(
            lambda path: st.tuples(
                st.just(path),
                st.one_of(spoiled(known[path]).map(as_bytes), st.binary(max_size=100)),
            )
        ),
        st.lists(st.sampled_from(READING), min_size=2, max_size=3, unique=True),
        st.booleans(),
    )
    @settings(
        max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    def plant(file: tuple[str, bytes], commands: list[tuple[str, ...]], on_branch: bool) -> None:
        path, data = file
        with restored(clone):
            if on_branch:
                commit(clone, "refs/heads/main", "refs/tags/base-main", {path: data})
                if path == "mlv.yaml":
                    (clone / path).write_bytes(data)
            else:
                commit(clone, "refs/heads/scratch", "refs/tags/base-v3", {path: data})
                oid = git(clone, "rev-parse", "refs/heads/scratch")
                shown = (
                    data if "manifest" in path else valid["registry/model/manifest.json"].encode()
                )
                head = (
                    f"object {oid}\ntype commit\ntag model-v3\ntagger E <e@x> 1 +0000\n\n".encode()
                )
                point(
                    clone, "refs/tags/model-v3", write(clone, "tag", head + b"Register\n\n" + shown)
                )
            survives(clone, *commands)

    plant()


WORDS = [word for word in HOSTILE if isinstance(word, str) and word != "\ud800"]


@pytest.mark.parametrize("word", WORDS, ids=[ascii(word)[:20] for word in WORDS])
def test_hostile_words_in_a_manifest_that_is_read(clone: Path, git: Git, word: str) -> None:
    """What people may write freely is shown, and moves no cursor."""
    manifest = json.loads(git(clone, "show", "base-v3:registry/model/manifest.json"))
    manifest["registered_by"] = f"{word} <e@x>"
    manifest["metadata"] = {"note": word, f"k{word}": 1}
    manifest["lineage"].update(branch=word, dirty=[word], platform=word)
    manifest["lineage"]["stage"] = {"name": word, "cmd": word, "deps": {word: word}}
    data = as_bytes(manifest)
    with restored(clone):
        files = {"registry/model/manifest.json": data}
        commit(clone, "refs/heads/scratch", "refs/tags/base-v3", files)
        oid = git(clone, "rev-parse", "refs/heads/scratch")
        head = f"object {oid}\ntype commit\ntag model-v3\ntagger E <e@x> 1 +0000\n\nx\n\n"
        point(clone, "refs/tags/model-v3", write(clone, "tag", head.encode() + data))
        shown, *_ = survives(clone, ("show", "model-v3"), *READING[:8])
        assert "deps" in shown or "dep " in shown, shown


TAGS: dict[str, bytes] = {
    "empty": b"",
    "no headers": b"\n\n{}\n",
    "of nothing": b"object " + b"0" * 40 + b"\ntype commit\ntag model-v3\n\nx\n",
    "of itself, it says": b"object %(v3)s\ntype tag\ntag model-v3\n\nx\n",
    "a blob, it says": b"object %(v3)s\ntype blob\ntag model-v3\n\nx\n",
    "two objects": b"object %(v3)s\nobject %(main)s\ntype commit\ntag model-v3\n\nx\n\n{}\n",
    "another name": b"object %(v3)s\ntype commit\ntag --output=pwned\n\nx\n\n{}\n",
    "a name that clears the screen": b"object %(v3)s\ntype commit\ntag \x1b[2Jx\n\nx\n\n{}\n",
    "not text": b"object %(v3)s\ntype commit\ntag model-v3\ntagger \xff\xfe\n\n\xff\n\n{\xff}\n",
    "signed, it says": b"object %(v3)s\ntype commit\ntag model-v3\n\nx\n\n{}\n"
    b"-----BEGIN SSH SIGNATURE-----\n\x1b[2J\n-----END SSH SIGNATURE-----\n",
    "object is an option": b"object --all\ntype commit\ntag model-v3\n\nx\n\n{}\n",
    "object is a path": b"object main:mlv.yaml\ntype commit\ntag model-v3\n\nx\n\n{}\n",
    "a long line": b"object %(v3)s\ntype commit\ntag model-v3\n" + b"x" * 200_000 + b"\n\ny\n",
}


@pytest.mark.parametrize("data", TAGS.values(), ids=TAGS.keys())
def test_a_hostile_tag_object(clone: Path, git: Git, data: bytes) -> None:
    oids = {name: git(clone, "rev-parse", ref) for name, ref in
            {"v3": "base-v3", "main": "base-main"}.items()}  # fmt: skip
    for name, oid in oids.items():
        data = data.replace(f"%({name})s".encode(), oid.encode())
    with restored(clone):
        point(clone, "refs/tags/model-v3", write(clone, "tag", data))
        survives(clone, *READING)


REFS = [
    "refs/tags/--help-v1", "refs/tags/-c-v2", "refs/tags/--upload-pack=pwned-v3",
    "refs/tags/\u202emodel-v4", "refs/tags/caf\u00e9-v1", "refs/tags/MODEL-v1",
    "refs/tags/model-v0", "refs/tags/model-v007", "refs/tags/model-v99999999999999999999",
    "refs/tags/model-v\u0661", "refs/tags/con-v1", "refs/tags/a/b-v1", "refs/tags/x-v1/y-v2",
    "refs/mlv/--exec/v1", "refs/mlv/fraud/v1/v2", "refs/mlv/model/latest", "refs/mlv/-x/-v1",
    "refs/mlv/model/v9", "refs/heads/model-v1", "refs/heads/--force", "refs/heads/-",
    "refs/heads/HEAD", "refs/tags/main", "refs/tags/HEAD", "refs/tags/refs/heads/main",
]  # fmt: skip


@pytest.mark.parametrize("what", ["base-v3", "main^{tree}", "main:mlv.yaml", "refs/tags/model-v1"])
def test_hostile_names_of_refs(clone: Path, git: Git, what: str) -> None:
    oid = git(clone, "rev-parse", what)
    with restored(clone):
        for ref in REFS:
            if "heads" not in ref or what == "base-v3":
                point(clone, ref, oid)
        said = survives(clone, *READING)
        assert "model-v1" in said[0]


def test_names_that_git_itself_would_not_make(clone: Path, git: Git) -> None:
    """A packed-refs file that somebody wrote by hand."""
    oid = git(clone, "rev-parse", "base-v3")
    names = ["refs/tags/../../pwned-v1", "refs/tags/a\x1b[2J-v1", "refs/mlv/../../pwned/v1", "-v1"]
    with restored(clone):
        packed = clone / ".git" / "packed-refs"
        packed.write_text("".join(f"{oid} {name}\n" for name in sorted(names)))
        survives(clone, *READING)


def tree(entries: list[tuple[bytes, bytes, str]]) -> bytes:
    return b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)


ENTRIES: dict[str, tuple[bytes, bytes]] = {
    "up": (b"100644", b".."), "git": (b"40000", b".git"),
    "an option": (b"100644", b"--output=pwned"),
    "an escape": (b"100644", b"\x1b[2J.dvc"), "two lines": (b"100644", b"a\nb.dvc"),
    "not text": (b"100644", b"\xff\xfe.dvc"), "a slash": (b"100644", b"../../pwned"),
    "a symlink": (b"120000", b"model.pkl"), "a symlinked manifest": (b"120000", b"manifest.json"),
    "a submodule": (b"160000", b"model.pkl.dvc"), "an odd mode": (b"7", b"model.pkl.dvc"),
    "twice": (b"100644", b"manifest.json"),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "name"), ENTRIES.values(), ids=ENTRIES.keys())
@pytest.mark.parametrize("where", ["tag", "branch"])
def test_a_hostile_entry_of_a_tree(
    clone: Path, git: Git, mode: bytes, name: bytes, where: str
) -> None:
    base = "base-v3" if where == "tag" else "base-main"

    def entries(of: str) -> list[tuple[bytes, bytes, str]]:
        lines = git(clone, "ls-tree", "-z", of).split("\0")[:-1]
        parts = [(line.split("\t")[0].split(), line.split("\t")[1]) for line in lines]
        return [(p[0].lstrip("0").encode(), path.encode(), p[2]) for p, path in parts]

    blob = write(clone, "blob", b"../../../../pwned")
    model = write(clone, "tree", tree([(mode, name, blob), *entries(f"{base}:registry/model")]))
    registry = write(clone, "tree", tree([(b"40000", b"model", model)]))
    root = [e for e in entries(base) if e[1] != b"registry"]
    top = write(clone, "tree", tree([*root, (b"40000", b"registry", registry)]))
    oid = git(clone, "commit-tree", top, "-p", base, "-m", "x")
    with restored(clone):
        git(
            clone,
            "update-ref",
            "refs/heads/main" if where == "branch" else "refs/tags/model-v3",
            oid,
        )
        survives(clone, *READING)


@pytest.mark.parametrize("relpath", ["../../pwned", "/pwned", "a\nb", "..", "a/../../b", ""])
def test_a_listing_in_the_cache_that_leads_outside(clone: Path, git: Git, relpath: str) -> None:
    listing = json.dumps([{"md5": "a" * 32, "relpath": relpath}]).encode()
    md5 = hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
    path = clone / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(listing)
    manifest = json.loads(git(clone, "show", "base-v3:registry/model/manifest.json"))
    manifest["artifacts"] = {
        "model": {"path": "model", "size": 1, "md5": md5, "sha256": "b" * 64, "nfiles": 1}
    }
    data = as_bytes(manifest)
    with restored(clone):
        commit(clone, "refs/heads/scratch", "refs/tags/base-v3",
               {"registry/model/manifest.json": data})  # fmt: skip
        git(clone, "update-ref", "refs/tags/model-v3", "refs/heads/scratch")
        said = survives(clone, ("pull", "model-v3"), ("verify", "model-v3"), ("verify", "--all"))
        assert all("model-v3" in text or "listing" in text for text in said)


SIGNERS = [
    b"", b"\x00\xff\xfe", b"* ssh-ed25519 AAAA\n", b"-Oprint-all\n", b"#" * 100_000, b"\n" * 1000,
    b"a\x1b[2J b c\n", b'* cert-authority,namespaces="git" ssh-ed25519 AAAA\n',
]  # fmt: skip


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
@pytest.mark.parametrize("signers", SIGNERS, ids=[str(n) for n in range(len(SIGNERS))])
def test_a_hostile_file_of_signers_allows_nobody(clone: Path, signers: bytes) -> None:
    signature = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
    tag_object = subprocess.run(
        ["git", "cat-file", "tag", "model-v3"], cwd=clone, check=True, capture_output=True
    ).stdout
    with restored(clone):
        commit(clone, "refs/heads/main", "refs/tags/base-main", {
            "mlv.yaml": b"require_signed: versions\nallowed_signers: signers\n", "signers": signers,
        })  # fmt: skip
        point(clone, "refs/tags/model-v3", write(clone, "tag", tag_object + signature))
        code, text = mlv(clone, "pull", "model-v3")
        assert code == 4, text
        survives(clone, *READING)
