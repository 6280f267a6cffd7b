"""Reports made of values alone, in which every text that a repository holds is the test's."""

from __future__ import annotations

from typing import Any

from mlv.domain import pointer as pointers
from mlv.domain.gate import Failed, Passed, Verdict
from mlv.domain.manifest import Artifact, Manifest
from mlv.domain.names import Version
from mlv.domain.pointer import Pointer
from mlv.domain.rules import Gate, MetricRule
from mlv.review.report import Between, Check, Commit, Finding, Proposal, Report, Side

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


def side(number: int, text: str, *, count: int = 5, model: str = "fraud") -> Side:
    """Give a side with ``count`` parameters, packages and data of their own."""
    names = [f"{text}{at}" for at in range(count)]
    stage = {"name": text, "params": {text: dict.fromkeys(names, f"{text}{number}")}}
    oid = NEW if number > 1 else OLD
    manifest = manifest_of(number, text, model=model, stage=stage, commit=oid)
    values = dict.fromkeys(names, f"{text}{number}")
    return Side(manifest, data=values, packages=values, commit=Commit(oid, text, text))


def proposal(text: str, *, count: int = 5, model: str = "fraud", **how: Any) -> Proposal:
    """Promote v3 where v1 is live."""
    before = Pointer(model, 1, None, {1: pointers.PRODUCTION})
    live, proposed = (side(n, text, count=count, model=model) for n in (1, 3))
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


def report(text: str, *proposals: Proposal, **how: Any) -> Report:
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
        "proposals": proposals or (proposal(text),),
        **how,
    }
    return Report(text, BASE, HEAD, **facts)
