"""Whatever is proposed: what passes keeps the registry's word, and every fair step passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlv import ModelRegistry
from mlv.domain import pointer as pointers
from mlv.errors import StatusError
from tests.review.mould import BETTER, FOLDER, LACKING, PURGED, WORSE, YANKED

if TYPE_CHECKING:
    from mlv.domain.pointer import Pointer
    from mlv.review.report import Report
    from tests.review.proposals import Desk

POINTER = "registry/fraud/pointer.json"
NUMBERS = (1, 2, BETTER, WORSE, LACKING, YANKED, PURGED, FOLDER)
WERE_LIVE = {1, 2}
BELOW_THE_GATE = {WORSE, LACKING}
ACTIONS = ("stage", "promote", "rollback", "yank", "unyank", "purge")

numbers = st.sampled_from(NUMBERS)
steps = st.lists(st.tuples(st.sampled_from(ACTIONS), numbers), max_size=3)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("status"), numbers, st.sampled_from((None, *pointers.STATUSES[1:]))),
        st.tuples(st.just("current"), st.just(0), st.none() | numbers),
        st.tuples(st.just("previous"), st.just(0), st.none() | numbers),
        st.tuples(st.just("forced"), numbers, st.booleans()),
    ),
    max_size=2,
)
few = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def taken(pointer: Pointer, wanted: list[tuple[str, int]]) -> list[tuple[Pointer, str, int]]:
    """Take those steps that are allowed, one after the other."""
    made = []
    for action, number in wanted:
        try:
            after, _ = pointers.decide(pointer, action, number)
        except StatusError:
            continue
        if after != pointer:
            made.append((after, action, number))
            pointer = after
    return made


def edited(pointer: Pointer, wanted: list[tuple[str, int, object]]) -> Pointer:
    """Edit what nobody may edit."""
    status, forced = dict(pointer.status), set(pointer.forced)
    facts: dict[str, object] = {}
    for what, number, value in wanted:
        if what == "forced":
            (forced.add if value else forced.discard)(number)
        elif what != "status":
            facts[what] = value
        elif value is None:
            status.pop(number, None)
        else:
            status[number] = str(value)
    written = frozenset(forced) & status.keys()
    return pointer._replace(status=status, forced=written, **facts)  # type: ignore[arg-type] # of the right kind by its key


def propose(desk: Desk, *states: Pointer) -> Report:
    """Commit these states of the pointer, each with the folder of what is live in it."""
    desk.restart()
    for state in states:
        if state.current is None:
            desk.git("rm", "-rqf", "registry/fraud")
        else:
            desk.take("fraud", state.current)
        desk.point(state)
        desk.commit()
    return ModelRegistry.review(desk.author, "main..proposal", remote=False)


@given(steps, edits)
@few
def test_what_passes_keeps_its_word(
    desk: Desk, wanted: list[tuple[str, int]], spoiled: list[tuple[str, int, object]]
) -> None:
    before = desk.pointer(commit="main")
    made = taken(before, wanted)
    after = edited(made[-1][0] if made else before, spoiled)
    if not propose(desk, after).passed:
        return
    for number, was in before.status.items():
        allowed = {pointers.YANKED: {was, pointers.ARCHIVED, pointers.PURGED}}
        if pointers.is_withdrawn(was):
            assert after.status_of(number) in allowed.get(was, {was})
    fresh = {after.current, after.staging} - {None, before.current, before.staging} - WERE_LIVE
    assert not fresh & BELOW_THE_GATE
    assert not (after.forced ^ before.forced) & BELOW_THE_GATE
    assert pointers.parse(after.to_bytes(), "fraud") == after


@given(steps)
@few
def test_every_fair_step_passes(desk: Desk, wanted: list[tuple[str, int]]) -> None:
    before = desk.pointer(commit="main")
    made = taken(before, wanted)
    report = propose(desk, *(state for state, _, _ in made))
    used = {n for _, action, n in made if action not in ("yank", "unyank")}
    # A yank is taken back on its own.
    if not used & {YANKED, *BELOW_THE_GATE}:
        assert report.passed, (made, report.blocking)
