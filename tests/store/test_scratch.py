"""What a killed process left half-made is swept by the next; what is at work is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlv import InvalidInput, ModelRegistry
from mlv.store.scratch import scratch, temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

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


def test_a_directory_that_changes_while_it_is_registered_is_refused(
    repo: Path, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    tokenizer = tmp_path / "tok"
    for name in ("a", "b"):
        write_model(tokenizer / name, len(name))

    def meddle(what: str, _: int) -> AbstractContextManager[Callable[[int], None]]:
        from contextlib import contextmanager

        @contextmanager
        def bar() -> Iterator[Callable[[int], None]]:
            def step(_: int) -> None:
                if "tok" in what:
                    (tokenizer / "c").write_text("new")

            yield step

        return bar()

    registry = ModelRegistry(repo, progress=meddle)
    model = write_model(tmp_path / "m.pkl")
    with pytest.raises(InvalidInput, match="changed while it was being registered"):
        registry.register(model, None, artifacts={"tokenizer": tokenizer})
    assert registry.list_versions() == []


@pytest.mark.parametrize("name", [".dvc", ".git"])
def test_a_directory_that_dvc_would_take_for_a_repository_is_refused(
    repo: Path, tmp_path: Path, write_model: Callable[..., Path], name: str
) -> None:
    write_model(tmp_path / "tok" / name / "config")
    model = write_model(tmp_path / "m.pkl")
    with pytest.raises(InvalidInput, match="another repository"):
        ModelRegistry(repo).register(model, None, artifacts={"tokenizer": tmp_path / "tok"})
