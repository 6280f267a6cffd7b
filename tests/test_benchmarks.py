"""The benchmarks run, and write down what they measured: that it is right, not how fast it is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="they measure with a POSIX shell")


def bench(module: str, *args: str, code: int = 0) -> str:
    """Run a benchmark; give what it says, on both streams."""
    argv = [sys.executable, "-m", module, *args]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    return said


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One round of some rows, as JSON."""
    top = tmp_path_factory.mktemp("bench")
    told = bench(
        "benchmarks", "--peers", "folder,floor", "--groups", "start,register,promote,live,list",
        "--payloads", "1 MB", "--versions", "10", "--rounds", "1", "--json", str(top / "out.json"),
        "--keep", str(top),
    )  # fmt: skip
    found: dict[str, Any] = json.loads((top / "out.json").read_text())
    assert len(told.splitlines()) == len(found["rows"]) + 2
    return {**found, "said": told}


def test_each_row_has_what_each_peer_took(measured: dict[str, Any]) -> None:
    by_work = {row["work"]: row["peers"] for row in measured["rows"]}
    assert set(by_work["promote among 10, cold"]) == {"mlv", "folder", "floor"}
    assert set(by_work["filter and sort 10, cold"]) == {"mlv", "floor"}
    assert len(by_work) == len(measured["rows"]) == 14
    for row in measured["rows"]:
        assert row["failures"] == {}
        for took in row["peers"].values():
            assert took["seconds"] == [took["median"]]
            assert took["median"] > 0
            assert took["memory"] > 1_000_000


def test_the_documents_get_the_table_and_a_chart(measured: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/performance.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    script = (
        "import json, sys, pathlib; from benchmarks import report; "
        "report.write_docs(json.load(sys.stdin), pathlib.Path(sys.argv[1]))"
    )
    for _ in range(2):  # the second time in place of the first
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=True,
                       input=json.dumps(measured), text=True)  # fmt: skip
    performance = (tmp_path / "docs" / "performance.md").read_text()
    assert performance.count("| promote among 10, cold |") == 1
    readme = (tmp_path / "README.md").read_text()
    assert (readme.count("| register 1 MB, cold |"), readme.count("| promote among 10")) == (1, 0)
    assert readme.count("benchmarks.svg") == 1
    drawing = (tmp_path / "docs" / "benchmarks.svg").read_text()
    is_all = True
    expat.ParserCreate().Parse(drawing, is_all)  # it is well-formed
    dots = re.findall(r"<circle [^>]*><title>(.*?)</title></circle>", drawing)
    told = [title for title in dots if title.startswith("register 1 MB, cold: ")]
    assert [title.split()[4] for title in told] == ["mlv", "folder", "floor"]


def test_a_peer_that_fails_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    told = bench(
        "benchmarks", "--peers", "folder", "--groups", "list", "--versions", "10",
        "--rounds", "1", "--patience", "0.0001", "--keep", str(tmp_path),
    )  # fmt: skip
    assert "list 10, cold: folder: not done after" in told
    assert "| list 10, cold | - | failed |" in told


def test_what_is_not_there_to_measure_is_refused() -> None:
    assert "there is no 'conda': known are mlv" in bench("benchmarks", "--peers", "conda", code=1)
    assert "no result that --json wrote" in bench("benchmarks", "--from", "README.md", code=1)
    for wrong in (
        "--rounds 0", "--versions 1", "--versions ten", "--json no/out.json", "--keep no",
    ):  # fmt: skip
        assert "error: " in bench("benchmarks", "--peers", "floor", *wrong.split(), code=2)


def test_what_was_interrupted_goes_on_no_longer(tmp_path: Path) -> None:
    script = "echo $$ > pid && exec sleep 600"
    code = (
        "import os, pathlib, signal, sys; from benchmarks.measuring import cost_of; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell may ignore it
        "cost_of(sys.argv[1], pathlib.Path(sys.argv[2]), os.environ)"
    )
    argv = [sys.executable, "-c", code, script, str(tmp_path)]
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL) as bench:
        pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        bench.send_signal(signal.SIGINT)
    until(lambda: not is_running(int(pid)))


def until(ask: Callable[[], Any]) -> Any:
    """Give the first true answer; there is one within seconds."""
    end = time.monotonic() + 30
    while not (answer := ask()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_command_is_held_against_a_bare_script_of_its_imports_and_gits() -> None:
    lines = bench("benchmarks.bare", "--versions", "10", "--rounds", "1").splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| mlv current", "| mlv promote v1", "| mlv rollback",
    ]  # fmt: skip
