"""What a version's folder says to DVC's tools and to people, today and for ever."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlv.domain import card, yamltext
from mlv.domain.card import Handwritten
from mlv.domain.description import describe, parameters, shown_to_git
from mlv.domain.manifest import Manifest, parse
from mlv.domain.names import Version

VERSION = Version("fraud_", 3)


def manifest(**changes: Any) -> Manifest:
    model = {"path": "model.pkl", "size": 5, "md5": "0" * 32, "sha256": "1" * 64}
    document = {
        "schema": 1,
        "model": "fraud_",
        "version": "v3",
        "registered_at": "2026-01-01T12:00:00Z",
        "registered_by": "Ada Lovelace <ada@example.com>",
        "artifacts": {"model": model, "scaler": {**model, "path": "scaler.pkl"}},
        "metrics": {"roc_auc": 0.9, "loss": 1e-05},
        "metadata": {
            "git_commit": "4" * 40,
            "license": "mit",
            "tags": ["fraud", "${evil}"],
            "data_window": "2026: Q1",
        },
        "lineage": {
            "commit": "4" * 40,
            "dirty": ["train.py"],
            "remote": "https://git.example/fraud.git",
            "stage": {"name": "train", "cmd": "python train.py", "params": {"p.yaml": {"lr": 0.1}}},
        },
        **changes,
    }
    return parse(json.dumps(document).encode(), VERSION)


OWN = Handwritten({"license": "apache-2.0", "tags": ["card"]}, "\n# Frauds\n\nFinds them.\n")

CARD = """\
---
license: apache-2.0
tags:
- card
- fraud
- "${evil}"
- mlv
model-index:
- name: fraud_
  results:
  - task:
      type: other
    dataset:
      type: other
      name: "2026: Q1"
    metrics:
    - type: roc_auc
      value: 0.9
      name: roc_auc
    - type: loss
      value: 1.0e-05
      name: loss
---

# Frauds

Finds them.

## fraud_-v3

Version v3 of `fraud_`, registered 2026-01-01T12:00:00Z by `Ada Lovelace <ada@example.com>`. \
Its record is `manifest.json`.

### Metrics

| metric | value |
| --- | ---: |
| `roc_auc` | 0.9000 |
| `loss` | 1e-05 |

### Files

| role | file | size | SHA-256 |
| --- | --- | --- | --- |
| `model` | `model.pkl` | 5 B | `{sha256}` |
| `scaler` | `scaler.pkl` | 5 B | `{sha256}` |

### Where it comes from

| fact | value |
| --- | --- |
| commit | `4444444444444444444444444444444444444444` |
| remote | `https://git.example/fraud.git` |
| not committed | `train.py` |
| stage name | `train` |
| stage cmd | `python train.py` |
| `license` | `mit` |
| `tags` | `["fraud", "${evil}"]` |
| `data_window` | `2026: Q1` |

### How to get it

```sh
# with mlv, verified
mlv pull https://git.example/fraud.git fraud_-v3 --out fraud_-v3

# with DVC alone; or git checkout fraud_-v3 && dvc pull in a clone
dvc get https://git.example/fraud.git registry/fraud_/model.pkl --rev fraud_-v3
```
"""

DVC_FILE = """\
artifacts:
  fraud_0:
    path: model.pkl
    type: model
    desc: model of fraud_-v3
    labels:
    - fraud
    - mlv
  fraud_-scaler:
    path: scaler.pkl
    type: scaler
    desc: scaler of fraud_-v3
    labels:
    - fraud
    - mlv
metrics:
- metrics.json
params:
- params.json
"""


def test_what_registered_versions_bear_is_written_so_for_ever() -> None:
    """Versions are held against these very bytes: what differs would make each a forgery."""
    described = describe(manifest(), OWN)
    assert described["README.md"].decode() == CARD.replace("{sha256}", "1" * 64)
    assert described["dvc.yaml"].decode() == DVC_FILE
    assert json.loads(described["metrics.json"]) == {"roc_auc": 0.9, "loss": 1e-05}
    assert described["params.json"].decode() == (
        '{\n  "lr": 0.1,\n  "metadata": {\n    "data_window": "2026: Q1",\n'
        '    "license": "mit"\n  }\n}\n'
    )
    assert shown_to_git(described) == (
        b"!/README.md\n!/dvc.yaml\n!/metrics.json\n!/params.json\n!/dvc.lock\n"
    )


def test_an_artifact_keeps_its_name() -> None:
    facts = {"size": 5, "md5": "0" * 32, "sha256": "1" * 64}
    artifacts = {
        "model": {"path": "model.pkl", **facts},
        "metrics": {"path": "metrics.json", **facts},
    }
    described = describe(manifest(artifacts=artifacts), card.NOTHING)
    assert list(described) == ["README.md", "dvc.yaml", "params.json"]
    assert "metrics" not in yaml.safe_load(described["dvc.yaml"])
    assert b"metrics.json" not in shown_to_git(described)


def test_a_version_that_states_nothing_has_no_empty_files() -> None:
    bare = manifest(metrics={}, metadata={}, lineage={"commit": "4" * 40})
    described = describe(bare, card.NOTHING)
    assert list(described) == ["README.md", "dvc.yaml"]
    assert b"model-index" not in described["README.md"]
    assert described["README.md"].startswith(b"---\ntags:\n- mlv\n---\n\n# fraud_\n")


def test_parameters_have_the_names_that_dvc_shows() -> None:
    stage = {"params": {"p.yaml": {"train": {"lr": 0.1, "layers": [2, 3]}, "odd": [{}]}, "q": 3}}
    found = parameters(
        manifest(
            lineage={"stage": stage},
            metadata={"git_commit": "4", "params": {"seed": 7}, "owner": {"team": "risk"}},
        )
    )
    assert found == {
        "seed": 7,
        "train.layers": [2, 3],
        "train.lr": 0.1,
        "metadata": {"owner.team": "risk"},
    }


def test_what_is_told_stays_text_in_the_card() -> None:
    evil = "</td>`|\n\n# Owned\n---\n<script>"
    text = describe(manifest(metadata={evil[:9]: evil}), card.NOTHING)["README.md"].decode()
    assert "\n# Owned" not in text
    assert "\n<script>" not in text
    assert text.count("\n---\n") == 1


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["yes", "No", "~", "1e3", "a: b", "2026-01-01", "- a", "# a", "é", "\U000e0001"]
    )
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), _VALUES, max_size=4))
def test_yaml_reads_back_as_what_was_written(document: dict[str, Any]) -> None:
    assert (yaml.safe_load(yamltext.dump(document)) or {}) == document
