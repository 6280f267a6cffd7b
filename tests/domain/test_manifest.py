"""The manifest: strict on reading, and plain JSON on writing."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlv.domain.manifest import (
    Artifact,
    check_metadata,
    check_metrics,
    create,
    missing_metadata,
    parse,
)
from mlv.domain.names import Version
from mlv.errors import IntegrityError, InvalidInput

VERSION = Version("fraud", 3)
MODEL = {"path": "model.pkl", "size": 5, "md5": "0" * 32, "sha256": "1" * 64}
TOKENIZER = {
    "path": "tokenizer", "size": 0, "md5": "2" * 32 + ".dir", "sha256": "3" * 64, "nfiles": 2,
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "model": "fraud",
    "version": "v3",
    "registered_at": "2026-01-01T12:00:00Z",
    "registered_by": "Ada Lovelace <ada@example.com>",
    "artifacts": {"model": MODEL, "tokenizer": TOKENIZER},
    "metrics": {"roc_auc": 0.9, "rows": 12},
    "metadata": {"data_window": "last_90_days", "tags": ["a", 1, None, True]},
    "lineage": {"commit": "4" * 40, "dirty": []},
}
HUGE = 10**400  # an integer that no float can hold


def spoil(**changes: object) -> bytes:
    return json.dumps({**DOCUMENT, **changes}).encode()


def spoil_model(**changes: object) -> bytes:
    return spoil(artifacts={"model": {**MODEL, **changes}})


# Reading ------------------------------------------------------------------------------------


def test_a_manifest_is_read_and_written_back_to_the_byte() -> None:
    data = (json.dumps(DOCUMENT, indent=2) + "\n").encode()
    manifest = parse(data, VERSION)
    assert manifest.to_bytes() == data
    assert manifest.metrics == {"roc_auc": 0.9, "rows": 12}
    assert manifest.artifacts == {
        "model": Artifact("model", "model.pkl", 5, "0" * 32, "1" * 64),
        "tokenizer": Artifact("tokenizer", "tokenizer", 0, "2" * 32 + ".dir", "3" * 64, 2),
    }
    assert [a.is_directory for a in manifest.artifacts.values()] == [False, True]


def test_a_reader_is_given_status_and_checksums_at_hand() -> None:
    shown = parse(spoil(), VERSION).to_dict("staging")
    assert shown == {
        **DOCUMENT,
        "status": "staging",
        "model_sha256": "1" * 64,
        "preprocessor_sha256": None,
    }
    both = {"model": MODEL, "preprocessor": {**MODEL, "path": "preprocessor.pkl"}}
    assert parse(spoil(artifacts=both), VERSION).to_dict("")["preprocessor_sha256"] == "1" * 64


SPOILED = {
    "empty": b"",
    "not JSON": b"schema: 1\n",
    "not UTF-8": b'{"schema": "\xff"}',
    "a list": b"[1]",
    "null": b"null",
    "too deep": b"[" * 100_000,
    "another schema": spoil(schema=2),
    "schema as text": spoil(schema="1"),
    "schema true": spoil(schema=True),
    "a key more": spoil(note="urgent"),
    "a key less": json.dumps({k: v for k, v in DOCUMENT.items() if k != "lineage"}).encode(),
    "another model": spoil(model="churn"),
    "another version": spoil(version="v4"),
    "version as number": spoil(version=3),
    "version padded": spoil(version="v03"),
    "local time": spoil(registered_at="2026-01-01T12:00:00+01:00"),
    "no time": spoil(registered_at=None),
    "somebody unnamed": spoil(registered_by=None),
    "artifacts a list": spoil(artifacts=[MODEL]),
    "no model": spoil(artifacts={"tokenizer": TOKENIZER}),
    "no artifacts": spoil(artifacts={}),
    "metrics a list": spoil(metrics=[1]),
    "metadata null": spoil(metadata=None),
    "lineage a text": spoil(lineage=""),
    "metric NaN": spoil(metrics={"auc": math.nan}),
    "metric infinite": spoil(metrics={"auc": -math.inf}),
    "metric overflowing": spoil(metrics={"auc": 0.5}).replace(b"0.5", b"1e999"),
    "metric huge": spoil(metrics={"rows": HUGE}),
    "metric true": spoil(metrics={"auc": True}),
    "metric text": spoil(metrics={"auc": "0.9"}),
    "metric null": spoil(metrics={"auc": None}),
    "metric nested": spoil(metrics={"auc": {"mean": 0.9}}),
    "metadata infinite": spoil(metadata={"x": 0.5}).replace(b"0.5", b"-1e999"),
    "metadata NaN": spoil(metadata={"x": [math.nan]}),
    "half a character": spoil(registered_by="Ada \ud800"),
    "half a character, not escaped": spoil(registered_by="Ada ?").replace(b"?", b"\xed\xa0\x80"),
    "half a character in a name": spoil(metrics={"\udfff": 1}),
    "another encoding": json.dumps(DOCUMENT).encode("utf-16"),
    "an escape sequence as a name": spoil(metrics={"\x1b[2Jauc": 1}),
    "role a path": spoil(artifacts={"model": MODEL, "../x": MODEL}),
    "role reserved": spoil(artifacts={"model": MODEL, "pointer": {**MODEL, "path": "pointer"}}),
    "artifact a text": spoil(artifacts={"model": "model.pkl"}),
    "artifact incomplete": spoil(artifacts={"model": {"path": "model.pkl"}}),
    "artifact with a key more": spoil_model(url="http://example.com"),
    "path above": spoil_model(path="../model.pkl"),
    "path absolute": spoil_model(path="/etc/passwd"),
    "path below": spoil_model(path="sub/model.pkl"),
    "path backwards": spoil_model(path="..\\model.pkl"),
    "path of another role": spoil_model(path="preprocessor.pkl"),
    "path of the pointer": spoil_model(path="pointer.json"),
    "path with a line break": spoil_model(path="model.pkl\n"),
    "path empty": spoil_model(path=""),
    "path a number": spoil_model(path=1),
    "md5 short": spoil_model(md5="0" * 31),
    "md5 capital": spoil_model(md5="A" * 32),
    "md5 a path": spoil_model(md5="../" + "0" * 29),
    "md5 with a line break": spoil_model(md5="0" * 32 + "\n"),
    "md5 a number": spoil_model(md5=0),
    "sha256 short": spoil_model(sha256="1" * 40),
    "sha256 null": spoil_model(sha256=None),
    "size negative": spoil_model(size=-1),
    "size a fraction": spoil_model(size=1.0),
    "size true": spoil_model(size=True),
    "a file that counts files": spoil_model(nfiles=1),
    "a directory that counts none": spoil_model(md5="0" * 32 + ".dir"),
    "a directory with a fraction of files": spoil_model(md5="0" * 32 + ".dir", nfiles=0.5),
    "a key twice": spoil().replace(b'"metrics": {', b'"metrics": {"roc_auc": 0.1, '),
}


@pytest.mark.parametrize("data", SPOILED.values(), ids=SPOILED.keys())
def test_what_mlv_would_not_have_written_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="fraud-v3") as refused:
        parse(data, VERSION)
    assert refused.value.hint
    assert refused.value.exit_code == 4


def test_a_newer_schema_tells_to_upgrade() -> None:
    with pytest.raises(IntegrityError) as refused:
        parse(spoil(schema=2), VERSION)
    assert "2" in refused.value.message
    assert "upgrade" in refused.value.hint


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([HUGE, -HUGE, 1, "v3", "fraud", "model.pkl", "0" * 32, "1" * 64])
    | st.text(alphabet=st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet=st.characters(), max_size=3), inner, max_size=3)
        | st.dictionaries(st.sampled_from(["model", "tokenizer", *TOKENIZER]), inner, max_size=5)
    ),
    max_leaves=6,
)
edits = st.dictionaries(st.sampled_from([*DOCUMENT, "note"]), json_values, max_size=2)
model_edits = st.dictionaries(st.sampled_from([*TOKENIZER, "note"]), json_values, max_size=2)
metric_edits = st.dictionaries(st.text(max_size=5), json_values, max_size=3)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    judge(data)


@given(edits)
@example({"metrics": {"rows": HUGE}})
@example({"registered_by": "\ud800"})
@example({"registered_at": "2026-01-01T12:00:00Z\n"})
def test_a_manifest_with_any_value_changed_is_read_or_refused(edit: dict[str, Any]) -> None:
    judge(spoil(**edit))


@given(model_edits)
def test_an_artifact_with_any_value_changed_is_read_or_refused(edit: dict[str, Any]) -> None:
    judge(spoil_model(**edit))


@given(metric_edits, metric_edits)
def test_any_metrics_and_metadata_are_read_or_refused(
    metrics: dict[str, Any], metadata: dict[str, Any]
) -> None:
    judge(spoil(metrics=metrics, metadata=metadata))


@given(st.data())
def test_a_manifest_with_any_byte_changed_is_read_or_refused(data: st.DataObject) -> None:
    good = json.dumps(DOCUMENT).encode()
    at = data.draw(st.integers(0, len(good) - 1))
    judge(good[:at] + data.draw(st.binary(max_size=3)) + good[at + 1 :])


def judge(data: bytes) -> None:
    """What is read is whole: it writes itself, and reads back; all else is an `IntegrityError`."""
    try:
        manifest = parse(data, VERSION)
    except IntegrityError:
        return
    assert manifest.version == VERSION
    assert "model" in manifest.artifacts
    assert all(math.isfinite(value) for value in manifest.metrics.values())
    assert parse(manifest.to_bytes(), VERSION) == manifest


# Writing ------------------------------------------------------------------------------------


def test_what_is_created_reads_back_as_itself() -> None:
    artifacts = {"model": Artifact("model", "model.pkl", 5, "0" * 32, "1" * 64)}
    manifest = create(
        VERSION,
        artifacts,
        registered_at="2026-01-01T12:00:00Z",
        registered_by="Ångström <a@example.com>",
        metrics={"auc": 0.1 + 0.2},
        metadata={"note": "ü ✓"},
        lineage={"commit": "4" * 40},
    )
    assert parse(manifest.to_bytes(), VERSION) == manifest
    assert manifest.metrics["auc"] == 0.1 + 0.2
    assert "Ångström" in manifest.to_bytes().decode()


# Metrics ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (0.5, 0.5),
        (3, 3),
        (-0.0, -0.0),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(0.5), 0.5),
        (np.array([3]), 3),
    ],
    ids=repr,
)
def test_a_metric_is_a_plain_number(value: object, plain: float) -> None:
    [checked] = check_metrics({"auc": value}).values()
    assert checked == plain
    assert type(checked) is type(plain)


NO_METRICS = {
    "NaN": math.nan,
    "infinite": math.inf,
    "minus infinite": -math.inf,
    "NaN of numpy": np.float64("nan"),
    "infinite of numpy": np.array(np.inf),
    "huge": HUGE,
    "true": True,
    "true of numpy": np.bool_(True),  # noqa: FBT003
    "text": "0.5",
    "null": None,
    "complex": 1j,
    "list": [0.5],
    "object": {"mean": 0.5},
    "array": np.array([0.5, 0.6]),
    "empty array": np.array([]),
    "time of numpy": np.datetime64("2026-01-01"),
}


@pytest.mark.parametrize("value", NO_METRICS.values(), ids=NO_METRICS.keys())
def test_no_metric_is(value: object) -> None:
    with pytest.raises(InvalidInput, match="'auc'") as refused:
        check_metrics({"rows": 1, "auc": value})
    assert refused.value.hint


def test_a_nested_metric_tells_how_to_flatten_it() -> None:
    with pytest.raises(InvalidInput, match="'auc' is nested") as refused:
        check_metrics({"auc": {"mean": 0.5}})
    assert "auc_<key>" in refused.value.hint


@pytest.mark.parametrize("name", ["", 1, None, "a\nb", "\x1b[2J", "a" * 201], ids=repr)
@pytest.mark.parametrize("check", [check_metrics, check_metadata])
def test_a_name_is_printable_text(check: Any, name: object) -> None:
    with pytest.raises(InvalidInput):
        check({name: 1})


@pytest.mark.parametrize("what", [None, 0.9, "auc=0.9", [("auc", 0.9)]], ids=repr)
@pytest.mark.parametrize("check", [check_metrics, check_metadata])
def test_values_without_names_are_refused(check: Any, what: object) -> None:
    with pytest.raises(InvalidInput, match=type(what).__name__):
        check(what)


# Metadata -----------------------------------------------------------------------------------


def test_metadata_are_json_values() -> None:
    given_ = {
        "text": "ü",
        "flag": True,
        "nothing": None,
        "rows": np.int64(7),
        "score": np.float32(0.5),
        "list": (1, [2.5, {"deep": np.int8(3)}]),
    }
    checked = check_metadata(given_)
    assert checked == {
        "text": "ü",
        "flag": True,
        "nothing": None,
        "rows": 7,
        "score": 0.5,
        "list": [1, [2.5, {"deep": 3}]],
    }
    assert json.loads(json.dumps(checked)) == checked


NO_METADATA: dict[str, object] = {
    "NaN": math.nan,
    "infinite deep inside": [{"x": [math.inf]}],
    "huge": HUGE,
    "bytes": b"x",
    "a set": {1},
    "an array": np.array([1, 2]),
    "half a character": "\ud800",
    "half a character as a key": {"\ud800": 1},
    "a key that is no text": {1: "x"},
    "nested without end": json.loads("[" * 50 + "]" * 50),
}


@pytest.mark.parametrize("value", NO_METADATA.values(), ids=NO_METADATA.keys())
def test_no_metadata_is(value: object) -> None:
    with pytest.raises(InvalidInput, match="'window'"):
        check_metadata({"window": value})


python_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters())
    | st.binary(max_size=3)
    | st.just(HUGE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(alphabet=st.characters(), max_size=3) | st.integers(), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(alphabet=st.characters(), max_size=5) | st.none(), python_values))
@pytest.mark.parametrize("check", [check_metrics, check_metadata])
def test_anything_is_made_plain_json_or_refused(check: Any, values: dict[Any, Any]) -> None:
    try:
        checked = check(values)
    except InvalidInput:
        return
    written = json.dumps(checked, ensure_ascii=False, allow_nan=False).encode()
    assert json.loads(written) == checked


@pytest.mark.parametrize(
    ("metadata", "missing"),
    [
        ({}, ["rows", "window"]),
        ({"rows": 0, "window": False}, []),
        ({"rows": None, "window": ""}, ["rows", "window"]),
        ({"window": "2026"}, ["rows"]),
    ],
)
def test_required_metadata_is_missing_where_it_is_absent_or_empty(
    metadata: dict[str, Any], missing: list[str]
) -> None:
    assert missing_metadata(metadata, ["rows", "window"]) == missing
