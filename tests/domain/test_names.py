"""Names and references: what they may be, and that a reference reads back as it was written."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlv.domain.names import (
    ALIASES,
    LONGEST_NAME,
    Reference,
    Version,
    artifact_path,
    check_model,
    check_role,
    parse_number,
)
from mlv.errors import InvalidInput

GOOD_MODELS = [
    "fraud",
    "churn_eu",
    "a",
    "0",
    "7up",
    "fraud-eu",
    "v3",
    "fraud-v",
    "a" * LONGEST_NAME,
]
BAD_MODELS = {
    "path": "../x",
    "option": "-x",
    "like a version": "a-v1",
    "like a big version": "churn-eu-v20260101",
    "like version nought": "a-v0",
    "empty": "",
    "capital": "Fraud",
    "dot": "fraud.pkl",
    "slash": "team/fraud",
    "backslash": "team\\fraud",
    "space": "fraud eu",
    "end of line": "fraud\n",
    "nul": "fraud\0",
    "at": "fraud@production",
    "accent": "modèle",
    "other digits": "fraud٣",
    "underscore first": "_fraud",
    "too long": "a" * (LONGEST_NAME + 1),
}
DEVICES = ["con", "prn", "aux", "nul", "com1", "com9", "lpt1", "lpt9"]


def is_model(name: str) -> bool:
    try:
        return check_model(name) == name
    except InvalidInput:
        return False


models = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,30}", fullmatch=True).filter(is_model)
numbers = st.integers(min_value=1, max_value=999_999_999)


@pytest.mark.parametrize("name", GOOD_MODELS)
def test_a_model_may_be_called(name: str) -> None:
    assert check_model(name) == name


@pytest.mark.parametrize("name", BAD_MODELS.values(), ids=BAD_MODELS.keys())
def test_no_model_is_called(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_model(name)
    assert repr(name) in refused.value.message
    assert refused.value.hint
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", DEVICES)
def test_windows_devices_name_neither_model_nor_role(name: str) -> None:
    with pytest.raises(InvalidInput, match="Windows"):
        check_model(name)
    with pytest.raises(InvalidInput, match=name):
        check_role(name)
    assert Version.from_tag(f"{name}-v1") is None


@pytest.mark.parametrize("name", [None, 3, b"fraud", ["fraud"]], ids=repr)
def test_what_is_no_text_is_no_name(name: object) -> None:
    with pytest.raises(InvalidInput):
        check_model(name)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        check_role(name)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        Reference.parse(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["manifest", "pointer", "requirements", "readme", "dvc"])
def test_no_role_takes_the_place_of_another_file_of_the_folder(role: str) -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        check_role(role)


@pytest.mark.parametrize("role", ["../x", "-x", "", "Model", "a.b", "a/b", "model\n"], ids=repr)
def test_no_role_is_called(role: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_role(role)
    assert repr(role) in refused.value.message


# References ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("fraud-v3", Reference("fraud", 3, None)),
        ("v3", Reference(None, 3, None)),
        ("fraud@production", Reference("fraud", None, "production")),
        ("fraud@staging", Reference("fraud", None, "staging")),
        ("fraud@latest", Reference("fraud", None, "latest")),
        ("@production", Reference(None, None, "production")),
        ("v-v3", Reference("v", 3, None)),
        ("v3-v3", Reference("v3", 3, None)),
        ("a-b_c-v10", Reference("a-b_c", 10, None)),
    ],
)
def test_a_reference_means(text: str, meant: Reference) -> None:
    assert Reference.parse(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "fraud", "v", "v0", "v03", "v-1", "V3", "3", "v3 ", " v3", "v3\n", "v3.0", "v٣",
        "fraud-v0", "fraud-v03", "fraud-v", "fraud-V3", "a-v1-v2", "-x-v1", "../x-v1", "con-v1",
        "fraud@", "fraud@prod", "fraud@Production", "@", "fraud@@latest", "a-v1@latest",
        "../x@latest", "fraud@latest\n", "HEAD", "refs/tags/fraud-v3", "--all", "v9999999999",
        "fraud@production; rm -rf /", "é-v1",
    ],
    ids=repr,
)  # fmt: skip
def test_no_reference_is(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Reference.parse(text)
    assert refused.value.hint


@given(models, numbers)
def test_a_version_is_found_again_by_its_tag(model: str, number: int) -> None:
    version = Version(model, number)
    assert Version.from_tag(version.tag) == version
    assert parse_number(version.name) == number
    assert Reference.parse(version.tag) == Reference(model, number, None)


@given(
    st.one_of(
        st.builds(Reference, st.none() | models, numbers, st.none()),
        st.builds(Reference, st.none() | models, st.none(), st.sampled_from(ALIASES)),
    )
)
def test_a_reference_that_was_written_reads_back(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


@given(
    st.one_of(
        st.text(alphabet=st.characters()),
        st.text(alphabet="av019-_@", max_size=12),
        st.builds("{}@{}".format, st.text(max_size=5), st.sampled_from(ALIASES)),
        st.builds("{}-v{}".format, st.text(max_size=5), st.integers()),
    )
)
@example("v00")
@example("model-v1\n")
def test_any_text_reads_back_or_is_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidInput:
        return
    assert str(reference) == text


# Where artifacts are kept -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "source", "path"),
    [
        ("model", "final_v2.pkl", "model.pkl"),
        ("model", "model.tar.gz", "model.tar.gz"),
        ("model", "Model.TAR.BZ2", "model.TAR.BZ2"),
        ("tokenizer", "tok", "tokenizer"),
        ("tokenizer", "tok.d", "tokenizer.d"),
        ("model", "model.v2.onnx", "model.onnx"),
        ("model", ".pkl", "model"),
        ("model", ".hidden.pkl", "model.pkl"),
        ("model", "run.2026", "model"),
        ("model", "model.", "model"),
        ("model", "model.pkl ", "model"),
        ("model", "model.p kl", "model"),
        ("model", "model.p\nkl", "model"),
        ("model", "model.тест", "model"),
        ("model", "model." + "x" * 40, "model"),
    ],
)
def test_an_artifact_is_kept_as_role_and_suffix(role: str, source: str, path: str) -> None:
    assert artifact_path(role, source) == path


@given(models, st.text(alphabet=st.characters(), max_size=30))
@example("model", "a.tar.tar.gz")
@example("model", ".tar.gz")
@example("model", "x.TaR.gz")
def test_whatever_the_source_is_called_the_path_is_harmless(role: str, source: str) -> None:
    path = artifact_path(role, source)
    assert path.startswith(role)
    assert set(path) <= set(string.ascii_letters + string.digits + "_-.")
    assert not path.endswith(".")
    assert artifact_path(role, path) == path  # by which a manifest's path is judged
