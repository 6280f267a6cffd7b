"""docs/serving.md, typed on a machine that has Python, Git and mlv, and no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.fresh.root import ADA, ENV, Root
from tests.test_docs import ADA as HOME
from tests.test_docs import SERVING, Document, Shell

if TYPE_CHECKING:
    import pytest


def test_there_is_a_loopback_interface_and_no_way_out(root: Root) -> None:
    said = root.run("python3", "-c", "import socket; print(socket.if_nameindex())")
    assert said == "[(1, 'lo')]\n"


def test_every_example_works_from_its_own_words(
    root: Root, monkeypatch: pytest.MonkeyPatch, caller_env: dict[str, str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", HOME)  # there, home is what the document says
    update = bool(caller_env.get("UPDATE_DOCS"))
    scripts = root.folder / "srv"
    scripts.chmod(0o777)
    bash = ("bash", "--noprofile", "--norc", "-c", "cd; exec bash --noprofile --norc")
    argv = root.argv(*bash, user=ADA)
    text = SERVING.read_text(encoding="utf-8")
    env = {**ENV, "HOME": HOME}
    with Shell(tmp_path, scripts, argv, seen_as=Path("/srv"), env=env) as shell:
        real = Document(shell, SERVING.name, update=update).run(text)
    if update and real != text:
        SERVING.write_text(real, encoding="utf-8")
