"""Reports made of values alone, in which every text that a repository holds is the test's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlv.domain import pointer as pointers
from mlv.domain.gate import Failed, Passed, Verdict
from mlv.domain.manifest import Artifact, Manifest
from mlv.domain.names import Version
from mlv.domain.pointer import Pointer
from mlv.domain.rules import Gate, MetricRule
from mlv.review.report import Between, Check, Commit, Finding, Proposal, Report, Side

if TYPE_CHECKING:
    from collections.abc import Callable

BASE, HEAD, OLD, NEW = ("ba5e" * 10, "4ead" * 10, "01d0" * 10, "0e30" * 10)


def manifest_of(number: int, text: str, *, model: str = "fraud", **lineage: Any) -> Manifest:
    """Give a manifest in which names and values are, or begin with, ``text``."""
    artifact = Artifact("model", "model.pkl", 1000 * number, "0" * 32, "0" * 64)
    data = {
        "registered_by": text,
        "metrics": {text: 0.9 + number / 100, f"{text} loss": 0.5},
        "metadata": {text: text},
        "lineage": {"commit": NEW, "dirty": [text], "python": "3.11.2", **lineage},
    }
    return Manifest(Version(model, number), {"model": artifact}, data)


def side_of(number: int, text: str, *, count: int = 5, model: str = "fraud") -> Side:
    """Give a side with ``count`` parameters, packages and data of their own."""
    names = [f"{text}{at}" for at in range(count)]
    stage = {"name": text, "params": {text: {name: f"{text}{number}" for name in names}}}
    oid = NEW if number > 1 else OLD
    manifest = manifest_of(number, text, model=model, stage=stage, commit=oid)
    values = {name: f"{text}{number}" for name in names}
    return Side(manifest, data=values, packages=values, commit=Commit(oid, text, text))


def proposal_of(text: str, *, count: int = 5, model: str = "fraud", **how: Any) -> Proposal:
    """Promote v3 where v1 is live."""
    before = Pointer(model, 1, None, {1: pointers.PRODUCTION})
    live, proposed = (side_of(n, text, count=count, model=model) for n in (1, 3))
    outcomes = (
        Passed(f"{text}: min 0.9", f"{text} is 0.93"),
        Failed(f"{text} loss: max 0.1", f"{text} loss is 0.5, above 0.1"),
        Failed("same_data", f"trained on other data: {text}"),
    )
    rules = {text: MetricRule("max", 0.9), f"{text} loss": MetricRule("min", None, 0.1)}
    facts = {
        "action": pointers.PROMOTE,
        "before": before,
        "after": pointers.promote(before, 3),
        "live": live,
        "proposed": proposed,
        "verdict": Verdict(Version(model, 3), Version(model, 1), outcomes),
        "gate": Gate(metrics=rules),
        "recent": (live.manifest, manifest_of(2, text), proposed.manifest),
        "between": Between(ahead=12, behind=1),
        **how,
    }
    return Proposal(model, **facts)


def report_of(text: str, *proposals: Proposal, **how: Any) -> Report:
    """Refuse a promotion, with ``text`` wherever a repository has its own."""
    facts = {
        "findings": (
            Finding("gate", text, f"the metric {text!r} is {text}", f"look at {text}"),
            Finding("signature", text, text, text, blocks=False),
        ),
        "checks": (
            Check("bytes", "passed", text),
            Check("gate", "failed", text),
            Check("pickle", "not checked", text),
        ),
        "proposals": proposals or (proposal_of(text),),
        **how,
    }
    return Report(text, BASE, HEAD, **facts)


@pytest.fixture(scope="session")
def report() -> Callable[..., Report]:
    """``report("x")`` refuses fraud-v3, in a repository that says "x" wherever it can."""
    return report_of


@pytest.fixture(scope="session")
def proposal() -> Callable[..., Proposal]:
    """``proposal("x", count=2)`` is of fraud-v3 where v1 is live; two things of each changed."""
    return proposal_of


@pytest.fixture(scope="session")
def side() -> Callable[..., Side]:
    """``side(3, "x")`` is what a report tells of fraud-v3."""
    return side_of
