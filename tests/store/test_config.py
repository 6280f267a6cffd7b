"""``gate:`` in mlv.yaml: what it may state, what a model's own replaces, and what is refused."""

from __future__ import annotations

import pytest

from mlv.domain.gate import OPEN, Gate, MetricRule
from mlv.errors import ConfigError
from mlv.store.config import TEMPLATE, parse


def gate(text: str, model: str = "fraud") -> Gate:
    return parse(text.encode()).of(model).gate


def test_without_a_gate_nothing_is_asked() -> None:
    assert gate("") == gate("gate:") == gate("gate: {}") == OPEN


def test_every_key_is_read() -> None:
    assert gate("""
gate:
  max_regression: 0.05
  metrics:
    roc_auc: {goal: max, min: 0.9, max_regression: 0.01}
    latency_ms: {goal: min, max: 50}
  require_metadata: [data_window]
  same_data: true
  require_staging: true
""") == Gate(
        max_regression=0.05,
        metrics={
            "roc_auc": MetricRule("max", 0.9, None, 0.01),
            "latency_ms": MetricRule("min", None, 50, 0.05),
        },
        require_metadata=("data_window",),
        same_data=True,
        require_staging=True,
    )


def test_a_metric_that_says_nothing_of_regressions_has_the_gates_and_null_has_none() -> None:
    rules = gate("gate: {max_regression: 0.05, metrics: {a: {}, b: {max_regression: null}, c: }}")
    assert {name: rule.max_regression for name, rule in rules.metrics.items()} == {
        "a": 0.05, "b": None, "c": 0.05,
    }  # fmt: skip


OWN = """
gate: {max_regression: 0.05, metrics: {a: {min: 1}, b: {min: 1, max: 2}}, same_data: true}
models:
  ranker: {gate: {max_regression: 0.1, metrics: {b: {goal: min}}, same_data: false}}
  lax: {gate: {max_regression: null}}
  churn: {gate: }
"""


def test_a_model_replaces_what_it_states_and_of_metrics_single_ones() -> None:
    assert gate(OWN, "ranker") == Gate(
        max_regression=0.1,
        metrics={
            "a": MetricRule(min=1, max_regression=0.1),
            "b": MetricRule("min", None, None, 0.1),
        },
    )
    assert gate(OWN, "lax").max_regression is None
    assert gate(OWN, "lax").same_data
    assert gate(OWN, "churn") == gate(OWN, "not_listed") == gate(OWN)


def test_what_init_writes_is_five_per_cent() -> None:
    assert gate(TEMPLATE.format(branch="main")) == Gate(max_regression=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gate: strict", "mlv.yaml:1: gate must be keys with values, not 'strict'"),
        ("gate: [1]", "mlv.yaml:1: gate must be keys with values, not list"),
        ("gate: {max_regresion: 1}", "gate.max_regresion is not known here; known are max_regr"),
        ("gate: {max_regression: true}", "gate.max_regression must be a number, not True"),
        ("gate: {max_regression: 5%}", "gate.max_regression must be a number, not '5%'"),
        ("gate: {max_regression: .nan}", "gate.max_regression must be a number, not nan"),
        ("gate: {max_regression: .inf}", "gate.max_regression must be a number, not inf"),
        ("gate: {max_regression: -0.1}", "must be from 0 to 1 (0.05 is 5 %), not -0.1"),
        ("gate: {max_regression: 5}", "must be from 0 to 1 (0.05 is 5 %), not 5"),
        (f"gate: {{max_regression: 1{'0' * 400}}}", "must be a number, not a huge number"),
        ("gate: {metrics: [a]}", "gate.metrics must be keys with values, not list"),
        ("gate: {metrics: {a: 1}}", "gate.metrics.a must be keys with values, not 1"),
        ("gate: {metrics: {1: {}}}", "gate.metrics.1 is not the name of a metric"),
        ("gate: {metrics: {a: {goal: up}}}", "gate.metrics.a.goal must be min or max, not 'up'"),
        ("gate: {metrics: {a: {goal: [max]}}}", "gate.metrics.a.goal must be min or max, not list"),
        ("gate: {metrics: {a: {min: true}}}", "gate.metrics.a.min must be a number, not True"),
        ("gate: {metrics: {a: {max: .nan}}}", "gate.metrics.a.max must be a number, not nan"),
        ("gate: {metrics: {a: {min: 2, max: 1}}}", "gate.metrics.a.min is above max"),
        ("gate: {metrics: {a: {least: 1}}}", "gate.metrics.a.least is not known here"),
        ("gate: {require_metadata: who}", "gate.require_metadata must be a list of metadata keys"),
        ("gate: {same_data: 1}", "gate.same_data must be true or false, not 1"),
        ("gate: {require_staging: yes please}", "gate.require_staging must be true or false"),
        (
            "models:\n  fraud:\n    gate:\n      metrics:\n        a: {max_regression: -1}",
            "mlv.yaml:5: models.fraud.gate.metrics.a.max_regression must be from 0 to 1",
        ),
    ],
)
def test_a_wrong_gate_is_named_by_line_and_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text.encode())
    assert said in refused.value.message
