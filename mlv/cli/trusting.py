"""verify, trust, doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import Session, command, loader_option, ref_argument
from mlv.errors import IntegrityError, InvalidInput
from mlv.registry import ModelRegistry

if TYPE_CHECKING:
    from mlv.cli.options import Pairs
    from mlv.domain.findings import Outcome


@command(
    ref_argument(required=False),
    click.option("--all", "all_", is_flag=True, help="Audit every version, and the branch."),
    click.option("--remote", is_flag=True, help="Ask the Git and DVC remotes too (with --all)."),
    click.option("--deep", is_flag=True, help="Download and hash what the DVC remote has too."),
    click.option("--predict", is_flag=True, help="Load it, and ask it its sample."),
    loader_option,
)
def verify_command(
    session: Session,
    ref: str | None,
    all_: bool,
    remote: bool,
    deep: bool,
    predict: bool,
    loaders: Pairs,
) -> None:
    """Hash a version's bytes anew, or audit all; exit 4 if something is not what it was."""
    if bool(ref) == all_:
        raise InvalidInput("give one reference, or --all", hint="mlv verify fraud-v3")
    if ref and (remote or deep):
        raise InvalidInput("--remote and --deep go with --all", hint="mlv verify --all --remote")
    if all_ and predict:
        raise InvalidInput(
            "--predict goes with one reference", hint="mlv verify fraud-v3 --predict"
        )
    if loaders and not predict:
        raise InvalidInput(
            "--loader goes with --predict", hint="mlv verify fraud-v3 --predict --loader ..."
        )
    registry = session.open()
    if ref:
        how = {"predict": predict, "loaders": _imported(loaders)}
        _verify_one(session, registry, ref, how)
    else:
        _audit(session, registry.verify_all(remote=remote, deep=deep))


def _imported(loaders: Pairs) -> dict[str, Any]:
    if not loaders:
        return {}
    from mlv.predicting.loaders import loaders_named

    return {**loaders_named(loaders)}


def _verify_one(session: Session, registry: ModelRegistry, ref: str, how: dict[str, Any]) -> None:
    from mlv.domain.sample import ROLE

    tag = registry.resolve(ref).tag
    report: dict[str, Any] = {"tag": tag, "artifacts": {}, "error": None}
    try:
        with show.apart():
            report["artifacts"] = registry.verify(ref, **how)
    except IntegrityError as error:
        report.update(error=error.message, hint=error.hint)
    is_asked_nothing = not report["error"] and ROLE not in report["artifacts"]
    if how["predict"] and is_asked_nothing and not session.quiet:
        show.note(f"{tag} has no sample: it was loaded, and asked nothing")
    if session.as_json:
        show.as_json([report])
    elif not session.quiet and report["error"]:
        _line("✗", "red", f"{tag}  {report['error']}", report["hint"])
    elif not session.quiet:
        states = ", ".join(f"{role} {state}" for role, state in report["artifacts"].items())
        _line("✓", "green", f"{tag}  {states}")
    if report["error"]:
        click.get_current_context().exit(IntegrityError.exit_code)


def _audit(session: Session, outcomes: list[Outcome]) -> None:
    from mlv.domain.findings import FAULTS

    faults = [outcome for outcome in outcomes if isinstance(outcome, FAULTS)]
    if session.as_json:
        show.as_json(
            [
                {
                    "kind": outcome.kind,
                    "subject": outcome.subject,
                    "message": outcome.message,
                    "hint": outcome.hint,
                    "fault": isinstance(outcome, FAULTS),
                }
                for outcome in outcomes
            ]
        )
    elif not session.quiet:
        for outcome in outcomes:
            _show_outcome(outcome, is_fault=isinstance(outcome, FAULTS))
    if faults and session.as_json:
        click.get_current_context().exit(IntegrityError.exit_code)
    if faults:
        subjects = len({outcome.subject for outcome in faults})
        raise IntegrityError(
            f"{subjects} of {len({outcome.subject for outcome in outcomes})} checked are not what "
            "was registered",
            hint="each is named above",
        )


def _show_outcome(outcome: Outcome, *, is_fault: bool) -> None:
    if is_fault:
        text = f"{outcome.subject}  {outcome.kind}: {outcome.message}"
        _line("✗", "red", text, outcome.hint)
    elif outcome.kind == "ok":
        _line("✓", "green", f"{outcome.subject}  {outcome.message}")
    else:
        _line("-", None, f"{outcome.subject}  {outcome.message}")


def _line(mark: str, colour: str | None, text: str, hint: str = "") -> None:
    show.line(f"{click.style(mark, fg=colour)} {show.printable(text)}")
    if hint:
        show.line(f"  {show.printable(hint)}")


@command(click.argument("commit", required=False), model=False)
def trust_command(session: Session, commit: str | None) -> None:
    """Say what signatures this clone wants; with COMMIT, start from that one.

    COMMIT is one of the registry branch that you know to be good.
    """
    trusted = session.open().trust(commit)
    policy, problem = trusted.policy, trusted.problem
    if session.as_json:
        show.as_json(
            {
                "require_signed": policy.required or None,
                "allowed_signers": policy.path or None,
                "accepted": trusted.tip,
                "problem": problem and {"message": problem.message, "hint": problem.hint},
            }
        )
    elif not session.quiet:
        wanted = f"{policy.required}, by the signers in {policy.path}"
        show.line(f"signatures wanted: {wanted if policy.required else 'none'}")
        if trusted.tip:
            show.line(f"accepted up to {trusted.tip[:10]}")
        if problem:
            _line("✗", "red", problem.message, problem.hint)
    if problem:
        click.get_current_context().exit(IntegrityError.exit_code)


_MARKS = {
    "ok": ("✓", "green"),
    "note": ("-", None),
    "problem": ("✗", "red"),
    "fixed": ("✓", "cyan"),
}


@command(
    click.option("--fix", is_flag=True, help="Mend what can be mended safely; say what was done."),
    click.option("--any-age", is_flag=True,
                 help="With --fix: remove locks younger than ten minutes too."),
    model=False,
)  # fmt: skip
def doctor_command(session: Session, fix: bool, any_age: bool) -> None:
    """Check the set-up, and say how to mend each finding; exit 1 if problems remain."""
    if any_age and not fix:
        raise InvalidInput("--any-age goes with --fix", hint="mlv doctor --fix --any-age")
    from mlv.doctor.checks import PROBLEM

    checks = ModelRegistry.diagnose(session.folder, fix=fix, any_age=any_age)
    if session.as_json:
        show.as_json([check._asdict() for check in checks])
    else:
        for check in checks:
            if not session.quiet or check.state == PROBLEM:
                mark, colour = _MARKS[check.state]
                _line(mark, colour, f"{check.name}: {check.message}", check.mend)
    if any(check.state == PROBLEM for check in checks):
        click.get_current_context().exit(1)
