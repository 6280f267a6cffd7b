"""drill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command, loader_option
from mlv.domain.figures import duration
from mlv.domain.names import name_of

if TYPE_CHECKING:
    from mlv.cli.options import Pairs
    from mlv.drill.report import Drill, Drilled

_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "over budget": ("!", "yellow")}


@command(
    click.option("--budget", metavar="SECONDS", type=float, default=300.0, show_default=True,
                 help="What all steps of a model may take together."),
    loader_option,
)  # fmt: skip
def drill_command(session: Session, budget: float, loaders: Pairs) -> None:
    """Rehearse a rollback; change nothing.

    What it would go back to is downloaded into an empty cache, verified, loaded and asked its
    sample. Exit 3 if that takes longer than the budget.
    """
    found = session.open().drill(budget=budget, loaders=loaders)
    if session.as_json:
        show.as_json(found.to_dict())
    elif session.quiet:
        show.lines([f"{each.model} {each.outcome}" for each in found.models])
    else:
        _show(found)
    click.get_current_context().exit(found.exit_code)


def _show(found: Drill) -> None:
    from mlv.drill.report import STEPS

    headings = ["", "model", "live", "back to", "in all", *STEPS]
    show.lines(show.table(headings, [_row(each) for each in found.models], keep=4))
    for each in found.models:
        _explain(each)
    show.line()
    passed = sum(each.outcome == "passed" for each in found.models)
    budget = f"within {duration(found.budget)}"
    show.line(f"{passed} of {len(found.models)} would go back {budget}; nothing was changed")


def _row(each: Drilled) -> list[str]:
    from mlv.drill.report import STEPS

    mark, colour = _MARKS[each.outcome]
    return [
        click.style(mark, fg=colour),
        show.heading(each.model),
        name_of(each.live) or "-",
        each.back_to.name if each.back_to else "-",
        duration(each.seconds),
        *[_cell(each, name) for name in STEPS],
    ]


def _cell(each: Drilled, name: str) -> str:
    if each.fault and each.fault.step == name:
        return click.style("✗", fg="red")
    step = next((step for step in each.steps if step.name == name), None)
    if step is None:
        return "-"
    return step.detail if step.detail == "no sample" else duration(step.seconds)


def _explain(each: Drilled) -> None:
    if each.message:
        mark, colour = _MARKS[each.outcome]
        at = f" at {each.fault.step}" if each.fault else ""
        text = f"{each.model}{at}: {show.printable(each.message)}"
        show.lines(["", f"{click.style(mark, fg=colour)} {text}", f"  {show.printable(each.hint)}"])
