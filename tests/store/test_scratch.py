"""What a killed process left half-made is swept by the next; what is at work is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlv import InvalidInput, ModelRegistry
from mlv.store.scratch import scratch, temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlv.store.hashing import ProgressBar

HOLD = """
import sys, time
from pathlib import Path
from mlv.store.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("made")
    print(folder, flush=True)
    time.sleep(60)
"""


def age(folder: Path) -> None:
    for path in folder.glob("*.lock"):
        os.utime(path, (0, 0))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills its victims")
def test_what_a_killed_process_left_is_swept_and_what_is_at_work_is_not(tmp_path: Path) -> None:
    argv = [sys.executable, "-P", "-c", HOLD, str(tmp_path)]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as dead,
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as alive,
    ):
        assert dead.stdout
        assert alive.stdout
        left, held = dead.stdout.readline().strip(), alive.stdout.readline().strip()
        dead.kill()
        dead.wait()
        age(tmp_path)
        with scratch(tmp_path) as mine:
            assert not os.path.lexists(left)
            assert os.path.lexists(held)
        assert not mine.exists()
        alive.kill()


TEMPORARY = """
import time
from mlv.store.scratch import temporary
with temporary("mlv-test-") as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills its victims")
def test_temporary_folders_of_killed_processes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "else").mkdir()
    (tmp_path / "mlv-test-link").symlink_to(tmp_path / "else")
    argv = [sys.executable, "-P", "-c", TEMPORARY]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as dead,
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as alive,
    ):
        assert dead.stdout
        assert alive.stdout
        left, held = Path(dead.stdout.readline().strip()), Path(alive.stdout.readline().strip())
        dead.kill()
        dead.wait()
        for folder in (left, held, tmp_path / "else"):
            os.utime(folder, (0, 0))
        with temporary("mlv-test-") as mine:
            assert (left.exists(), held.exists(), mine.parent) == (False, True, tmp_path)
        assert not mine.exists()
        assert (tmp_path / "else").is_dir()
        alive.kill()


def meddling(act: Callable[[], object]) -> ProgressBar:
    """Do something once the bytes of the tokenizer are being copied."""

    @contextmanager
    def bar(what: str, _: int) -> Iterator[Callable[[int], None]]:
        def step(_: int) -> None:
            if "tok" in what:
                act()

        yield step

    return bar


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "c").write_text("new"),
        lambda folder: (folder / "a").write_text("edited"),
        lambda folder: (folder / "b").unlink(missing_ok=True),
    ],
    ids=["new", "edited", "gone"],
)
def test_a_directory_that_changes_while_it_is_registered_is_refused(
    repo: Path,
    tmp_path: Path,
    write_model: Callable[..., Path],
    change: Callable[[Path], object],
) -> None:
    tokenizer = tmp_path / "tok"
    for name in ("a", "b"):
        write_model(tokenizer / name, len(name))
    registry = ModelRegistry(repo, progress=meddling(lambda: change(tokenizer)))
    model = write_model(tmp_path / "m.pkl")
    with pytest.raises(InvalidInput, match="changed while it was being registered"):
        registry.register(model, None, artifacts={"tokenizer": tokenizer})
    assert registry.list_versions() == []


def test_what_dvcignore_hides_in_a_directory_may_change_meanwhile(
    repo: Path, tmp_path: Path, write_model: Callable[..., Path], git: Callable[..., str]
) -> None:
    (repo / ".dvcignore").write_text("*.log\n")
    git(repo, "commit", "--quiet", "--all", "--message", "Hide logs")
    tokenizer, said = tmp_path / "tok", list[str]()
    for name in ("a", "old.log"):
        write_model(tokenizer / name)

    def write_logs() -> None:
        for name in ("old.log", "new.log"):
            (tokenizer / name).write_text("more")

    registry = ModelRegistry(repo, progress=meddling(write_logs), notify=said.append)
    registry.register(write_model(tmp_path / "m.pkl"), None, artifacts={"tokenizer": tokenizer})
    [kept] = registry.list_versions()
    assert kept["artifacts"]["tokenizer"]["nfiles"] == 1
    assert "1 file(s) of tok left out: .dvcignore hides them" in said


@pytest.mark.parametrize("name", [".dvc", ".git"])
def test_a_directory_that_dvc_would_take_for_a_repository_is_refused(
    repo: Path, tmp_path: Path, write_model: Callable[..., Path], name: str
) -> None:
    write_model(tmp_path / "tok" / name / "config")
    model = write_model(tmp_path / "m.pkl")
    with pytest.raises(InvalidInput, match="another repository"):
        ModelRegistry(repo).register(model, None, artifacts={"tokenizer": tmp_path / "tok"})
