"""What another registry says, in mlv's words: always a pointer that mlv would have written."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlv.domain.arriving import Said, join, moment, settle, tidy_metadata, tidy_metrics
from mlv.domain.manifest import check_metadata, check_metrics
from mlv.domain.pointer import STATUSES, Pointer, empty, parse
from mlv.errors import InvalidInput

REGISTERED, STAGING, PRODUCTION, ARCHIVED, YANKED, PURGED = STATUSES

NUMBERS = st.integers(1, 6)


@given(
    st.dictionaries(NUMBERS, st.sampled_from(STATUSES), min_size=1),
    st.none() | NUMBERS,
    st.none() | NUMBERS,
)
def test_whatever_is_said_becomes_a_pointer_that_reads_back(
    status: dict[int, str], current: int | None, previous: int | None
) -> None:
    said = Said(status, current, previous)
    if current not in (None, *status):
        with pytest.raises(InvalidInput, match=f"v{current} is said to be live"):
            settle("fraud", said)
        return
    pointer = settle("fraud", said).pointer
    assert parse(pointer.to_bytes(), "fraud") == pointer
    assert pointer.current == current
    if previous in status and current is not None and previous != current:
        assert pointer.previous == previous
    # Nothing that was withdrawn can go live again, unless it is what is live there.
    for number in (n for n, was in status.items() if was in (YANKED, PURGED) and n != current):
        assert pointer.status_of(number) == status[number]


def test_what_is_said_comes_as_it_is_and_without_a_word() -> None:
    said = Said({1: ARCHIVED, 2: YANKED, 3: REGISTERED, 4: PRODUCTION, 5: STAGING}, 4, 1)
    status = {1: ARCHIVED, 2: YANKED, 4: PRODUCTION, 5: STAGING}
    assert settle("fraud", said) == (Pointer("fraud", 4, 1, status), ())


@pytest.mark.parametrize(
    ("said", "status", "note"),
    [
        (Said({1: PRODUCTION, 2: PRODUCTION}, 2), {1: ARCHIVED, 2: PRODUCTION},
         "v1 is said to be in production, and v2 is live"),
        (Said({1: PRODUCTION}), {1: ARCHIVED}, "v1 .* and nothing is live"),
        (Said({1: YANKED}, 1), {1: PRODUCTION}, "v1 is said to be yanked, and is live"),
        (Said({1: STAGING, 10: STAGING}), {10: STAGING}, "v1 is said to be in staging"),
        (Said({1: REGISTERED}, 1, 9), {1: PRODUCTION}, "v9 .* does not come in"),
        (Said({1: REGISTERED}, 1, 1), {1: PRODUCTION}, "v1 .* live before it"),
        (Said({1: REGISTERED}, None, 1), {}, "v1 .* and nothing is live"),
    ],
)  # fmt: skip
def test_what_a_pointer_cannot_say_is_named(said: Said, status: dict[int, str], note: str) -> None:
    settled = settle("fraud", said)
    assert settled.pointer.status == status
    assert settled.pointer.previous is None
    [told] = settled.notes
    assert re.search(note, told)


def test_a_version_that_was_live_before_can_be_rolled_back_to() -> None:
    pointer = settle("fraud", Said({1: REGISTERED, 2: REGISTERED}, 2, 1)).pointer
    assert pointer.status == {1: ARCHIVED, 2: PRODUCTION}


def test_where_something_is_decided_it_stands_and_yanks_alone_come_along() -> None:
    here = Pointer("fraud", 1, None, {1: PRODUCTION, 5: ARCHIVED})
    said = Said({2: PRODUCTION, 3: STAGING, 4: YANKED, 5: YANKED, 6: ARCHIVED}, 2)
    settled = join(here, said)
    assert settled.pointer == here._replace(status={**here.status, 4: YANKED})
    assert [note.partition(" ")[0] for note in settled.notes] == ["fraud-v2", "fraud-v3"]
    assert join(settled.pointer, said).pointer == settled.pointer
    assert join(empty("fraud"), Said({1: REGISTERED})).pointer == empty("fraud")


# Times -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written", "is_naive"),
    [
        ("2024-05-01T23:30:00+02:00", "2024-05-01T21:30:00Z", False),
        ("2024-05-01T21:30:00Z", "2024-05-01T21:30:00Z", False),
        ("2024-05-01T21:30:00.999999", "2024-05-01T21:30:00Z", True),
        ("2024-05-01 21:30", "2024-05-01T21:30:00Z", True),
        (1714599000, "2024-05-01T21:30:00Z", False),
        (1714599000.75, "2024-05-01T21:30:00Z", False),
    ],
)
def test_a_time_is_read_as_it_is_meant(text: object, written: str, is_naive: bool) -> None:
    assert moment(text) == (written, is_naive)


@pytest.mark.parametrize("text", ["", "yesterday", None, True, [], "2024-02-30T00:00:00Z", 1e300,
                                  math.nan, "0001-01-01T00:00:00+14:00"])  # fmt: skip
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput, match="is no time"):
        moment(text)


@given(st.datetimes())
def test_every_time_is_written_as_a_manifest_has_it(time: datetime) -> None:
    assert moment(time.isoformat()).text == time.replace(microsecond=0).isoformat() + "Z"
    assert moment(time.replace(tzinfo=UTC).isoformat()).text.endswith("Z")


# Metrics and metadata ----------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_whatever_comes_is_sorted_into_what_a_manifest_takes(values: dict[str, object]) -> None:
    metrics, metadata = tidy_metrics(values), tidy_metadata(values)
    assert check_metrics(metrics.kept) == metrics.kept
    assert check_metadata(metadata.kept) == metadata.kept
    for rest in (metrics.rest, metadata.rest):
        check_metadata({"rest": rest})
        json.dumps(rest, allow_nan=False)
    assert len(metrics.kept) + len(metrics.rest) == len(values)


def test_what_is_no_number_is_told_apart_from_what_is() -> None:
    given = {"auc": 0.9, "n": 3, "bad": math.nan, "flag": True, "text": "high", "x" * 201: 1.0}
    kept, rest = tidy_metrics(given)
    assert kept == {"auc": 0.9, "n": 3}
    assert rest == {"bad": "nan", "flag": True, "text": "high", "x" * 201: 1.0}
