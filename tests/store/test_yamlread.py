"""YAML of anybody's: what it costs to read, and that nothing but `yaml.YAMLError` comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlv.errors import ConfigError
from mlv.store import config, dvcfiles, yamlread


def repeating(start: str, line: str, times: int = 12) -> str:
    """Write a few lines that say nine times as much each: `a0` is the first's anchor."""
    lines = [f"p0: &a0 {start}"]
    lines += [line.format(n, ", ".join([f"*a{n - 1}"] * 9)) for n in range(1, times)]
    return "\n".join(lines)


BOMBS = {
    "lists": repeating("[x, x]", "p{0}: &a{0} [{1}]"),
    "merges": repeating("{k: 1}", "p{0}: &a{0} {{<<: [{1}]}}"),
    "itself": "p0: &a0 [*a0]",
    "nested": "[" * 3000,
}
BROKEN = (
    "!!int ''",
    "!!float ''",
    "!!bool x",
    "!!timestamp x",
    "2026-99-99",
    "\x00",
    "[",
    "a: 1\n---",
)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@pytest.mark.parametrize("text", [*BOMBS.values(), *BROKEN], ids=[*BOMBS, *BROKEN])
def test_what_cannot_be_read_is_told_as_one_error(text: str, loader: type) -> None:
    with pytest.raises(yaml.YAMLError):
        yamlread.load(text, loader)


@pytest.mark.parametrize("name", BOMBS)
def test_no_file_of_a_repository_fills_the_memory(name: str) -> None:
    text = BOMBS[name]
    with pytest.raises(ConfigError):
        config.parse(text.encode())
    lock = (
        f"stages:\n  train:\n    outs: [{{path: m}}]\n    params: {{{text.splitlines()[0]}".encode()
    )
    for data in (text.encode(), lock):
        assert dvcfiles.stage_of(Path("/r/m"), Path("/r"), {Path("/r/dvc.lock"): data}.get) is None
        assert dvcfiles.named_md5(data) is None


LONG = repeating("[x, x]", "p{0}: &a{0} [{1}]", 4)


def test_aliases_in_measure_are_read() -> None:
    document = yamlread.load(LONG)
    assert document == yaml.safe_load(LONG)
    assert len(document["p3"]) == 9
    assert yamlread.load("") is None
    assert yamlread.load("a: &b {x: 1}\nc: {<<: *b, y: 2}")["c"] == {"x": 1, "y": 2}


def test_a_long_file_without_aliases_is_no_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlread, "_MORE", 1)
    assert len(yamlread.load("[" + "1," * 1000 + "]")) == 1000
    with pytest.raises(yaml.YAMLError, match="aliases"):
        yamlread.load(LONG)


# A lock file of any shape -----------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.dates()
anything = st.recursive(
    scalars | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["path", "md5", "outs", "deps", "params", "x"]), inner)
    ),
    max_leaves=6,
)
outs = st.just([{"path": "m", "md5": "d"}]) | anything
stages = st.fixed_dictionaries(
    {}, optional={"outs": outs, "deps": anything, "params": anything, "cmd": anything}
)


@given(stages | anything)
def test_of_a_lock_file_of_any_shape_comes_what_json_can_say(stage: object) -> None:
    data = yaml.safe_dump({"stages": {"train": stage}}).encode()
    found = dvcfiles.stage_of(Path("/r/m"), Path("/r"), {Path("/r/dvc.lock"): data}.get)
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()


def test_half_a_character_is_told_as_it_was_written() -> None:
    data = b'stages: {train: {outs: [{path: m}], params: {p.yaml: {"\\ud800": "x\\udc00"}}}}'
    found = dvcfiles.stage_of(Path("/r/m"), Path("/r"), {Path("/r/dvc.lock"): data}.get)
    assert found
    assert found[0]["params"] == {"p.yaml": {"\\ud800": "x\\udc00"}}


def test_an_output_lies_where_its_own_stage_works_and_many_cost_no_more() -> None:
    stages = [f"  s{n}: {{cmd: x, wdir: w{n}, outs: [o{n}]}}" for n in range(5000)]
    data = "\n".join(["stages:", *stages, "  odd: {wdir: ../registry, outs: [m: {cache: false}]}"])
    assert dvcfiles.outputs_in("src/dvc.yaml", data.encode(), "registry") == ["registry/m"]
    assert dvcfiles.outputs_in("dvc.yaml", b"stages: {a: {wdir: x, outs: [../..]}}", "x") == []
    assert dvcfiles.outputs_in("a/b.dvc", b"outs: [{path: ..}]", "registry") == ["."]
