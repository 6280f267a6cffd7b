"""A pickle that would run something is known by what it names, and an honest one is let pass."""

from __future__ import annotations

import lzma
import os
import pickle
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlv.review.case import Look
from mlv.review.pickles import Scan

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.review.report import Finding


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def scan(path: Path, name: str = "model.pkl") -> tuple[Finding, ...]:
    scanning = Scan(Look(deep=True))
    scanning.inspect("fraud-v3", name, path)
    return scanning.looked([None]).findings  # type: ignore[list-item] # of whichever version


def text(word: str) -> bytes:
    data = word.encode()
    return pickle.BINUNICODE + len(data).to_bytes(4, "little") + data


def calling(module: str, name: str) -> bytes:
    """Write a pickle that calls something with a word."""
    named = text(module) + text(name) + pickle.STACK_GLOBAL
    return b"\x80\x04" + named + text("true") + pickle.TUPLE1 + pickle.REDUCE + pickle.STOP


@pytest.mark.parametrize(
    "name",
    [
        "os system", "posix system", "subprocess Popen", "builtins eval", "builtins getattr",
        "marshal loads", "types FunctionType", "importlib import_module", "pickle loads",
        "joblib load", "numpy load", "pandas read_pickle", "yaml unsafe_load", "runpy run_path",
        "_posixsubprocess fork_exec", "ctypes CDLL", "operator attrgetter", "shutil rmtree",
        "mlv.store.process run", "urllib.request urlopen", "requests get", "pathlib Path.unlink",
        "psutil Popen", "pygments.lexers load_lexer_from_file", "hydra.utils instantiate",
        "cloudpickle loads", "kombu.serialization pickle_loads", "distutils.spawn spawn",
        "dulwich.hooks ShellHook", "pydot call_graphviz", "typing get_type_hints",
        "dataclasses _create_fn", "pandas DataFrame.query", "_xxsubinterpreters run_string",
    ],
)  # fmt: skip
def test_what_runs_something_is_known(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model"
    path.write_bytes(calling(*name.split(" ")))
    [finding] = scan(path)
    assert finding.blocks
    assert f"would call {name.replace(' ', '.')}" in finding.message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("glob", "os.system"), ("joblib.disk", "os.system"), ("random", "_os.system"),
        ("collections", "_sys.modules.get"), ("json", "codecs.open"),
        ("numpy", "f2py.crackfortran.myeval"), ("glob", "os.path.os.path.os.system"),
        ("glob", ".".join(["os.path"] * 50) + ".os.system"),
    ],
    ids=str,
)  # fmt: skip
def test_what_another_module_leads_to_is_known(tmp_path: Path, module: str, name: str) -> None:
    """Protocol 4 follows dots, and most modules import one that runs something."""
    path = tmp_path / "model"
    path.write_bytes(calling(module, name))
    [finding] = scan(path)
    assert finding.blocks


def nested(depth: int) -> Any:
    made: Any = Evil()
    for _ in range(depth):
        around = np.empty(1, dtype=object)
        around[0] = made
        made = around
    return made


@pytest.mark.parametrize("depth", [1, 5, 60])
def test_arrays_in_arrays_hide_nothing(tmp_path: Path, depth: int) -> None:
    joblib.dump(nested(depth), tmp_path / "model")
    [finding] = scan(tmp_path / "model", "model.joblib")
    assert finding.blocks


@pytest.mark.parametrize("how", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_no_compression_hides_it(tmp_path: Path, how: str) -> None:
    joblib.dump([np.arange(1000.0), Evil()], tmp_path / "model", compress=(how, 3))
    [finding] = scan(tmp_path / "model", "model.joblib")
    assert "would call posix.system" in finding.message


@pytest.mark.parametrize("protocol", range(6))
def test_no_protocol_hides_it(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "model").write_bytes(pickle.dumps([1, Evil()], protocol))
    assert "would call" in scan(tmp_path / "model")[0].message


HIDING = {
    "by the memo": text("os") + pickle.MEMOIZE + text("system") + pickle.MEMOIZE + pickle.POP_MARK,
    "by inst": b"(S'true'\niposix\nsystem\n.",
    "after the end": pickle.dumps({})[:-1] + b"0" + pickle.dumps(Evil())[2:],
    "before what breaks": pickle.dumps(Evil())[:-1] + b"\xff",
    "by an extension": b"\x80\x02\x82\x01)R.",
    "packed twice": zlib.compress(zlib.compress(pickle.dumps(Evil()))),
    "packed, and cut off": lzma.compress(pickle.dumps(Evil()))[:-20],
    "cut off": pickle.dumps([1, 2])[:-1],
}
HIDING["by the memo"] = (
    b"\x80\x04(" + HIDING["by the memo"] + b"h\x00h\x01\x93" + text("true") + b"\x85R."
)


@pytest.mark.parametrize("data", HIDING.values(), ids=HIDING)
def test_what_cannot_be_followed_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model").write_bytes(data)
    [finding] = scan(tmp_path / "model")
    assert finding.blocks


def test_what_mlv_would_not_load_is_worth_a_look(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(pickle.dumps([1, 2])[:-1])
    [finding] = scan(tmp_path / "model", "weights.pt")
    assert not finding.blocks


# What an array hides: after the first one, neither pickle nor a scanner of opcodes reads on.
RUNS = text("os") + text("system") + pickle.STACK_GLOBAL + text("true") + b"\x85R"
STOPS = b".\xff\xff"


def number(value: int) -> bytes:
    return pickle.BININT + value.to_bytes(4, "little", signed=True)


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + pickle.STACK_GLOBAL


def pairs(**parts: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in parts.items()) + b"u"


def kind(code: str, *state: int) -> bytes:
    """Write a type; ``state`` are its size, its alignment and its flags."""
    made = named("numpy", "dtype") + text(code) + b"\x89\x88\x87R"
    stated = b"(" + number(3) + text("|") + b"NNN" + b"".join(map(number, state)) + b"tb"
    return made + (stated if state else b"")


def said(of: bytes, length: int) -> bytes:
    shape = number(length) + pickle.TUPLE1
    plain = {"order": text("C"), "allow_mmap": b"\x89"}
    return pairs(subclass=named("numpy", "ndarray"), shape=shape, dtype=of, **plain)


def array(of: bytes, length: int, data: bytes, made: bytes | None = None) -> bytes:
    return (made or WRAPPER + b")\x81") + said(of, length) + b"b" + data


WRAPPER = named("joblib.numpy_pickle", "NumpyArrayWrapper")
FIRST = array(kind("u1"), len(STOPS), STOPS) + b"0"
INNER = b"\x80\x04" + RUNS + b"."
IN_ARRAYS = {
    "of a pickle that pickle reads": FIRST
    + array(kind("O8"), 1, b"\x80\x04" + array(kind("u1"), len(RUNS), RUNS) + b"."),
    "that is called by a longer name": array(
        kind("u1"), 3, STOPS + RUNS, named("joblib", "numpy_pickle.NumpyArrayWrapper") + b")\x81"
    ),
    "that a function makes": array(
        kind("u1"), 3, STOPS + RUNS, named("copyreg", "__newobj__") + WRAPPER + b"\x85R"
    ),
    "that is fetched from a list": array(
        kind("u1"), 3, STOPS + RUNS,
        named("builtins", "list.pop") + b"]" + WRAPPER + b")\x81a\x85R",
    ),
    "of a type without a size": array(kind("d"), 1, b"." + b"\xff" * 7 + RUNS),
    "of a type of two sizes": array(kind("V1", 8, 1, 0), 1, b"0." + b"\xff" * 6 + RUNS),
    "of a type that another function makes": array(
        named("numpy", "result_type") + text("u1") + text("u8") + b"\x86R", 1,
        b"0." + b"\xff" * 6 + RUNS,
    ),
    "of numbers that says it is of objects": FIRST
    + array(kind("u1", -1, -1, 1), len(INNER), INNER),
    "of parts that says it is of objects": FIRST + array(kind("V1", 1, 1, 1), len(INNER), INNER),
    "whose shape is said twice": WRAPPER + b")\x81" + said(kind("u1"), 1)[:-1]
    + named("builtins", "str") + text("dtype") + b"\x85R" + kind("u8") + b"ub"
    + b"0." + b"\xff" * 6 + RUNS,
    "that is changed meanwhile": said(kind("u1"), 1) + pickle.MEMOIZE
    + named("builtins", "dict.update") + b"h\x00" + pairs(dtype=kind("u8")) + b"\x86R00"
    + WRAPPER + b")\x81h\x00b0." + b"\xff" * 6 + RUNS,
    "that is none any more": FIRST + array(kind("O8"), 1, b"\x80\x04)." )
    + said(kind("u1"), len(RUNS)) + b"b" + RUNS,
    "of a class that is changed": WRAPPER + b"N" + pairs(read=named("builtins", "id")) + b"\x86b0",
}  # fmt: skip


@pytest.mark.parametrize("data", IN_ARRAYS.values(), ids=IN_ARRAYS)
def test_no_array_hides_it(tmp_path: Path, data: bytes) -> None:
    """What joblib takes for an array's bytes, and what it does not, is told as joblib tells it."""
    (tmp_path / "model").write_bytes(b"\x80\x04" + data + b"0N.")
    [finding] = scan(tmp_path / "model")
    assert finding.blocks


@pytest.mark.parametrize("protocol", range(6))
def test_honest_arrays_pass(tmp_path: Path, protocol: int) -> None:
    parts = np.array([(1, 2.0, None)], dtype=[("a", "i4"), ("b", "f8"), ("c", "O")])
    arrays = [
        parts, parts[["a", "b"]].copy(), np.zeros(3, dtype=[("a", "i4"), ("b", "f8", (2, 2))]),
        np.array(["2026-01-01"], dtype="M8[ns]"), np.array(["ab", "c"]), np.array([b"ab"]),
        np.array([True]), np.arange(4, dtype=">f8"), np.zeros((0, 3)), np.array([None, {"a": 1}]),
        np.random.default_rng(1), [parts] * 2,
    ]  # fmt: skip
    for each in arrays:
        joblib.dump([each, np.arange(3.0)], tmp_path / "model", protocol=protocol)
        assert scan(tmp_path / "model") == (), each


@pytest.mark.parametrize("how", [0, 3], ids=["plain", "packed"])
def test_honest_models_pass(tmp_path: Path, how: int) -> None:
    numbers, truth = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "when": pd.to_datetime(["2026-01-01"] * 2)})
    models = [
        make_pipeline(StandardScaler(), LogisticRegression()).fit(numbers, truth),
        FunctionTransformer(partial(np.clip, a_min=0, a_max=1)),
        RandomForestClassifier(n_estimators=3).fit(numbers, truth),
        {"table": table, "numbers": [numbers, np.float64(1), np.array(["a", None], dtype=object)]},
    ]
    for model in models:
        joblib.dump(model, tmp_path / "model", compress=how)
        assert scan(tmp_path / "model", "model.joblib") == ()
        (tmp_path / "model").write_bytes(pickle.dumps(model))
        assert scan(tmp_path / "model") == ()
