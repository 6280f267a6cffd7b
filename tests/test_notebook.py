"""What a notebook shows of a registry."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry
from mlv.notebook import Comparison, VersionFacts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVIL = "<script>alert(1)</script>"


class Cells(HTMLParser):
    """The texts of a table's cells, and every tag there is."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data


@pytest.fixture
def registry(repo: Path, write_model: Callable[..., Path]) -> ModelRegistry:
    registry = ModelRegistry(repo)
    path = write_model(repo.parent / "m.pkl")
    registry.register(path, None, {"auc": 0.5, "loss": 2.0}, {"note": EVIL})
    registry.register(path, None, {"auc": 0.75, "loss": 3.0, EVIL: 1.0})
    registry.promote("v1")
    return registry


def test_the_registry_is_a_table_of_its_versions_newest_first(registry: ModelRegistry) -> None:
    html = registry._repr_html_()
    shown = Cells(html)
    assert shown.texts[:6] == ["version", "status", "registered", "by", "auc", "loss"]
    assert shown.texts.index("model-v2") < shown.texts.index("model-v1")
    assert "<b>model-v1</b>" in html
    assert "0.7500" in shown.texts


def test_a_version_and_a_comparison_show_their_figures(registry: ModelRegistry) -> None:
    facts, compared = registry.get_manifest("v1"), registry.compare("v1", "v2")
    assert isinstance(facts, VersionFacts)
    assert isinstance(compared, Comparison)
    shown = Cells(facts._repr_html_()).texts
    assert shown[shown.index("status") + 1] == "production"
    assert shown[shown.index("sha256 of the model") + 1] == facts["model_sha256"]
    rows = Cells(compared._repr_html_()).texts
    at = rows.index("loss")
    assert rows[at : at + 5] == ["loss", "2.0000", "3.0000", "+1.0000", "worse"]


def test_whatever_a_repository_says_stays_text(registry: ModelRegistry) -> None:
    every = (registry, registry.get_manifest("v1"), registry.compare("v1", "v2"))
    for each in every:
        shown = Cells(each._repr_html_())
        assert shown.tags <= {"p", "b", "table", "thead", "tbody", "tr", "th", "td"}
    assert any(EVIL in text for text in Cells(registry._repr_html_()).texts)
