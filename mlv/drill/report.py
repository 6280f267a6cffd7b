"""What a drill found: the steps back, the seconds of each, and what stopped it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.figures import duration
from mlv.domain.names import name_of

if TYPE_CHECKING:
    from mlv.domain.names import Version

ROLLBACK, REMOTE, DOWNLOAD = "rollback", "remote", "download"
VERIFY, LOAD, PREDICT = "verify", "load", "predict"
STEPS = (ROLLBACK, REMOTE, DOWNLOAD, VERIFY, LOAD, PREDICT)
PASSED, FAILED, OVER_BUDGET = "passed", "failed", "over budget"

OVER_BUDGET_CODE = 3
_WORST_FIRST = (4, 6, 5, 2, 1, OVER_BUDGET_CODE)  # exit codes


class Step(NamedTuple):
    """A step that was taken: what was found, in a few words, and how many seconds it took."""

    name: str
    seconds: float
    detail: str = ""


class Fault(NamedTuple):
    """What stopped a drill, and at which of `STEPS`; ``exit_code`` is that of such an error."""

    step: str
    message: str
    hint: str
    exit_code: int


class Drilled(NamedTuple):
    """One model: what is live, what a rollback goes back to, and how far that came.

    ``seconds`` are those of all steps together; ``budget`` is what they may be.
    """

    model: str
    live: int | None
    back_to: Version | None
    steps: tuple[Step, ...]
    seconds: float
    budget: float
    fault: Fault | None = None

    @property
    def outcome(self) -> str:
        """`PASSED`, `FAILED` or `OVER_BUDGET`."""
        if self.fault and self.fault.exit_code != OVER_BUDGET_CODE:
            return FAILED
        return OVER_BUDGET if self.fault or self.seconds > self.budget else PASSED

    @property
    def exit_code(self) -> int:
        """0 if it passed."""
        if self.fault:
            return self.fault.exit_code
        return OVER_BUDGET_CODE if self.outcome == OVER_BUDGET else 0

    @property
    def message(self) -> str:
        """Say what is wrong; empty where nothing is."""
        if self.fault:
            return self.fault.message
        if self.outcome == PASSED or not self.back_to:
            return ""
        longest = max(self.steps, key=lambda step: step.seconds)
        return (
            f"going back to {self.back_to.tag} took {duration(self.seconds)}, and the budget is "
            f"{duration(self.budget)}: {longest.name} alone took {duration(longest.seconds)}"
        )

    @property
    def hint(self) -> str:
        """Say what to do about it."""
        if self.fault:
            return self.fault.hint
        if self.outcome == PASSED:
            return ""
        return "bring the bytes nearer, make the model smaller, or state another --budget"

    def to_dict(self) -> dict[str, Any]:
        """Describe it as `mlv drill --json` does."""
        return {
            "model": self.model,
            "live": name_of(self.live),
            "back_to": self.back_to.name if self.back_to else None,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 3),
            "steps": [
                {"step": step.name, "seconds": round(step.seconds, 3), "detail": step.detail}
                for step in self.steps
            ],
            "stopped_at": self.fault.step if self.fault else None,
            "message": self.message or None,
            "hint": self.hint or None,
        }


class Drill(NamedTuple):
    """What came of a drill of one model or several."""

    models: tuple[Drilled, ...]
    budget: float

    @property
    def passed(self) -> bool:
        """Whether every model can go back within its budget."""
        return not self.exit_code

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst that was found.

        Bytes that are not what was registered come before missing ones, these before all else;
        what took too long comes last.
        """
        codes = {each.exit_code for each in self.models}
        return next((code for code in _WORST_FIRST if code in codes), 0)

    def to_dict(self) -> dict[str, Any]:
        """Describe it as `mlv drill --json` does."""
        return {
            "passed": self.passed,
            "budget": self.budget,
            "models": [each.to_dict() for each in self.models],
        }
