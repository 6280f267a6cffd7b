"""What is posted reads as it should, and nothing that a repository says acts in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlv.domain import pointer as pointers
from mlv.domain.pointer import Pointer
from mlv.domain.printable import is_printable
from mlv.review.markdown import LIMIT, MARKER, render, title
from mlv.review.report import REVERT, Finding
from tests.review.reports import proposal, report, side

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.review.report import Report


# Two renderers, with all that they do by themselves: GitHub's own, and another one.
def by_github(markdown: str) -> str:
    html: str = cmarkgfm.github_flavored_markdown_to_html(
        markdown, options=Options.CMARK_OPT_UNSAFE
    )
    return html


def by_markdown_it(markdown: str) -> str:
    rules = MarkdownIt("commonmark", {"html": True, "linkify": True}).enable(
        ["table", "strikethrough", "linkify"]
    )
    html: str = rules.render(markdown)
    return html


RENDERERS = [by_github, by_markdown_it]


class Page(HTMLParser):
    """What a rendered page is made of: its tags but code spans, and the text outside code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[object] = []
        self.text = ""
        self._in_code = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_code += tag in ("code", "pre")
        if tag != "code":
            self.tags.append((tag, *attrs))
            self.text += " "

    def handle_endtag(self, tag: str) -> None:
        self._in_code -= tag in ("code", "pre")
        if tag != "code":
            self.tags.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.tags.append(f"<!--{data}-->")

    def handle_data(self, data: str) -> None:
        # Code stands for itself: what is left and right of it is not one text.
        self.text += "\0" if self._in_code else data


# What forges make of a rendered page's text: mentions, issues, commits, emoji, mail, formulas.
ACTS = re.compile(
    r"[@#!&~%$^]\w|\w@|\bGH-\d|\b[0-9a-f]{7,40}\b|:\w+:|://|www\.|\[|\]|<|>|\||\*|_|`|~~"
)
QUICK_ACTION = re.compile(r"^\s*/\w", re.MULTILINE)

HOSTILE = [
    "@everyone and @org/team",
    "#1 GH-1 !1 $1 ~bug %milestone &epic org/repo#1 org/repo@0123456789abcdef",
    "fixes #1, closes https://forge.example/o/r/issues/1",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709 da39a3e",
    ":tada: :+1:",
    "![pixel](https://tracker.example/p.png) <img src=https://tracker.example/p.png>",
    "[click](javascript:alert(1)) <https://evil.example> www.evil.example ada@evil.example",
    "<script>alert(1)</script><details open><summary>x</summary>",
    "</details></details>\n\n## ✅ Passed: all is well",
    "<!-- mlv-review -->",
    "--> <!--",
    "a | b | c |\n|---|---|",
    "x\n\n/merge\n/approve\n",
    "/close",
    "```\n## out of the block",
    "` `` ``` ```` ~~~",
    "\\` \\| \\\\ \\",
    "\\",
    "**bold** __bold__ *it* _it_ ~~gone~~",
    "$x$ $`x`$ $$x$$",
    "# heading\n- item\n1. item\n> quote\n    code",
    "===\n---\n***",
    "[ref]: https://evil.example\n[ref]",
    "[^1] [^1]: note",
    "[[_TOC_]] [[wiki]] {{ liquid }} {% raw %}",
    "&lt;b&gt; &#64;user &amp;",
    "\x1b[31mred\x1b[0m \x07 \x00",
    "\u202egpj.exe\u202c \u2066x\u2069",
    "a\u200bb\u200dc\ufeffd\u00ade\u3164f",
    "Z" + "\u0300\u0301\u0302\u0303" * 20,
    "\ud800 lone",
    "x" * 5000,
    "- [ ] task",
    "  \t ",
]  # fmt: skip


def made_of(markdown: str, renderer: Callable[[str], str]) -> Page:
    return Page(renderer(markdown))


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_repository_says_stays_text(text: str, renderer: Callable[[str], str]) -> None:
    check_stays_text(text, renderer)


@given(
    text=st.lists(
        st.sampled_from(sorted({*"`|\\@#<>&*_[]()!~:/-=+\n\r\t $^%\"'.;", *HOSTILE})) | st.text(),
        min_size=1,
    )
    .map("".join)
    .filter(bool)
)
def test_whatever_a_repository_says_stays_text(text: str) -> None:
    for renderer in RENDERERS:
        check_stays_text(text, renderer)


def check_stays_text(text: str, renderer: Callable[[str], str]) -> None:
    markdown = render(report(text))
    page = made_of(markdown, renderer)
    assert page.tags == made_of(render(report("plain")), renderer).tags
    assert ACTS.findall(page.text) == []
    assert not QUICK_ACTION.search(markdown)
    assert is_printable(markdown.replace("\n", ""))
    assert markdown.startswith(f"{MARKER}\n\n## ❌ Refused: ")
    assert len(markdown) < LIMIT


def test_a_text_that_is_empty_leaves_no_span_open() -> None:
    markdown = render(report(""))
    assert "``" not in markdown.replace("```", "")
    assert "| (empty) | 0.9100 |" in markdown


def test_the_checks_above_see_what_acts() -> None:
    plain = made_of(render(report("plain")), by_github).tags
    for text in ("**bold**", "[a](b)", "<b>", "ada@evil.example", "www.evil.example"):
        raw = render(report("plain")).replace("`plain`", text)
        assert made_of(raw, by_github).tags != plain


# What it says ------------------------------------------------------------------------------


def test_it_begins_with_the_marker_and_the_verdict() -> None:
    marker, empty, verdict, *_ = render(report("x")).splitlines()
    assert (marker, empty) == (MARKER, "")
    assert verdict == "## ❌ Refused: promote `fraud-v3` to production (was v1)"


def passed(report: Report) -> Report:
    return report._replace(findings=())


def test_a_change_that_passes_says_so_in_words() -> None:
    assert "## ✅ Passed: promote `fraud-v3` to" in render(passed(report("x")))


def test_a_remark_does_not_refuse_but_is_told_at_once() -> None:
    remark = Finding("signature", "fraud-v3", "it is not signed", "sign it", blocks=False)
    markdown = render(report("x", findings=(remark,)))
    assert "## ✅ Passed, with something worth a look: " in markdown
    assert "- ⚠️ `signature`, `fraud-v3`: it is not signed<br>What to do: sign it" in markdown


def test_what_was_forced_is_in_the_verdict() -> None:
    forced = passed(report("x", proposal("x", forced=True)))
    assert "## ⚠️ Passed, forced past the gate: promote" in render(forced)


def test_findings_stand_before_all_else_each_with_what_to_do() -> None:
    finding = Finding("stale", "fraud", "fraud-v2 is live now", "propose it again")
    markdown = render(report("x", findings=(finding,)))
    line = "- ❌ `stale`, `fraud`: `fraud-v2` is live now<br>What to do: propose it again"
    assert line in markdown.splitlines()
    assert markdown.index(line) < markdown.index("| metric")


def test_the_metric_table_shows_both_sides_failed_rules_first() -> None:
    table = render(report("auc")).partition("|---|--:|")[2].partition("\n\n")[0]
    assert table.splitlines()[1:] == [
        "| `auc loss` | 0.5000 | 0.5000 | 0 |  | same | ❌ not met |",
        "| `auc` | 0.9100 | 0.9300 | +0.0200 | +2.2% | ▲ better | ✅ met |",
    ]


def test_a_goal_of_the_gate_says_what_is_better() -> None:
    found = proposal("auc")
    rules = {**found.gate.metrics, "auc": found.gate.metrics["auc"]._replace(goal="min")}
    changed = found._replace(gate=found.gate._replace(metrics=rules))
    assert "+2.2% | ▼ **worse** |" in render(report("auc", changed))


def test_rules_that_failed_are_seen_and_the_others_folded() -> None:
    shown, folded = render(report("auc")).split("<summary>The 1 other rule</summary>")
    assert "**Gate:** ❌ not met, 2 of 3 rules." in shown
    assert "- ❌ `auc loss: max 0.1` failed: auc loss is `0.5`, above `0.1`" in shown
    assert "- ✅ `auc: min 0.9` passed" in folded


def test_dirty_trees_are_called_out() -> None:
    markdown = render(report("train.py"))
    assert (
        "⚠️ **Trained with uncommitted changes:** when `fraud-v3` was registered, these were not "
        "committed: `train.py`. `git diff 0e300e300e fraud-v3` shows them."
    ) in markdown


def test_few_changes_are_told_and_many_folded() -> None:
    few, many = (render(report("days", proposal("days", count=n))) for n in (1, 100))
    assert "- Parameters: **1 changed**\n  - `days: days0`: `days1` → `days3`" in few
    assert "<details>" not in few.partition("**What changed**")[2].partition("**Checks")[0]
    assert "- Packages: **100 changed**, below" in many
    assert "<summary>Packages: 100 changed</summary>" in many
    assert "and 60 more changes: `mlv review` shows all" in many


def test_only_changes_are_told() -> None:
    same = side(3, "days", count=0)
    markdown = render(
        report("days", proposal("days", live=side(1, "days", count=0), proposed=same))
    )
    for kind in ("Data", "Parameters", "Packages"):
        assert f"- {kind}: the same" in markdown


def test_the_commits_between_are_named_and_counted() -> None:
    markdown = render(report("Train"))
    assert "- Trained from `0e300e300e` `Train` by `Train`" in markdown
    assert "  - 12 commits between: `git log --oneline 01d001d001..0e300e300e`" in markdown
    assert "⚠️ it lacks 1 commit that the live version was trained with" in markdown


def test_sizes_are_held_against_each_other() -> None:
    assert "- Size: `model` 1.0 kB → 3.0 kB (+200.0%)" in render(report("x"))


def test_a_chart_marks_live_and_proposed() -> None:
    chart = render(report("auc")).partition("```text\n")[2].partition("\n```")[0]
    assert chart.splitlines() == [
        "           v1 v2 v3",
        "  auc       ▁  ▅  █   0.9100 to 0.9300",
        "  auc loss  ▅  ▅  ▅   0.5000",
        "            ●     ○   ● live, ○ proposed",
    ]


def test_the_way_back_is_a_command_that_names_both_versions() -> None:
    markdown = render(report("x"))
    assert "\nmlv rollback --to fraud-v1 --from fraud-v3 --push\n" in markdown
    assert "is protected: `mlv propose --rollback --to fraud-v1 --from fraud-v3`, or" in markdown


def test_the_first_promotion_has_no_live_side() -> None:
    before = pointers.empty("fraud")
    first = proposal("x", before=before, after=pointers.promote(before, 3), live=None)
    markdown = render(report("x", first))
    assert "promote `fraud-v3` to production\n" in markdown
    assert "### `fraud`: `fraud-v3`; nothing is live so far" in markdown
    assert "| metric | nothing live | `v3` proposed |" in markdown
    assert "**The way back,** once it is merged: `git revert`" in markdown


def moved(action: str, **how: Any) -> dict[str, Any]:
    before = Pointer("fraud", 3, 1, {3: pointers.PRODUCTION, 1: pointers.ARCHIVED})
    return {"action": action, "before": before, "verdict": None, **how}


def test_a_rollback_is_compared_but_not_judged_by_the_gate() -> None:
    how = moved(pointers.ROLLBACK, live=side(3, "x"), proposed=side(1, "x"))
    back = proposal("x", **how, after=pointers.rollback(how["before"]))
    markdown = render(passed(report("x", back)))
    assert "## ✅ Passed: roll back to `fraud-v1` (was v3)" in markdown
    assert "The gate is not asked" in markdown
    assert "mlv rollback --to fraud-v3 --from fraud-v1 --push" in markdown


def test_a_yank_compares_nothing() -> None:
    how = moved(pointers.YANK, live=side(3, "x"), proposed=side(1, "x"))
    yank = proposal("x", **how, after=pointers.yank(how["before"], 1))
    markdown = render(passed(report("x", yank)))
    assert "## ✅ Passed: yank `fraud-v1`\n" in markdown
    assert "| metric" not in markdown
    assert "mlv yank fraud-v1 --undo --push" in markdown


def test_the_revert_of_a_first_promotion_says_that_nothing_is_live() -> None:
    before = Pointer("fraud", 1, None, {1: pointers.PRODUCTION})
    after = pointers.empty("fraud")
    revert = proposal("x", action=REVERT, before=before, after=after, proposed=None, verdict=None)
    markdown = render(passed(report("x", revert)))
    assert "take back the promotion of `fraud-v1`: nothing is live then" in markdown


def test_each_model_has_a_section() -> None:
    two = report("x", proposal("x"), proposal("x", model="ranker"))
    markdown = render(two)
    headings = [line for line in markdown.splitlines() if line.startswith("### ")]
    assert headings == [
        "### `fraud`: `fraud-v1` → `fraud-v3`",
        "### `ranker`: `ranker-v1` → `ranker-v3`",
    ]
    assert title(two) == (
        "Promote fraud-v3 to production (was v1); promote ranker-v3 to production (was v1)"
    )


def test_a_change_beside_the_registry_has_a_short_report() -> None:
    markdown = render(report("main", findings=(), checks=(), proposals=())._replace(proposals=()))
    assert markdown.splitlines()[2] == "## ✅ Passed: the registry does not change"
    assert len(markdown.splitlines()) == 5


def test_checks_that_were_not_done_are_seen() -> None:
    shown, folded = render(report("why")).split("<summary>1 check passed</summary>")
    assert "**Checks:** 1 passed, 1 failed, 1 not checked" in shown
    assert "- \N{HEAVY MINUS SIGN} pickle, not checked: why" in shown
    assert "- ✅ bytes, passed: why" in folded


# How long it is ----------------------------------------------------------------------------


def test_what_is_too_long_for_a_forge_is_cut_with_a_word_but_never_the_verdict() -> None:
    long = "`a|" * 2000
    findings = [Finding("gate", long, long, long)] * 200
    many = [proposal(long, count=500, model=f"model_{n:02}") for n in range(30)]
    markdown = render(report(long, *many, findings=findings))
    assert len(markdown) < LIMIT
    assert "## ❌ Refused: promote `model_00-v3` to production" in markdown
    assert "- and 185 more: `mlv review` shows all" in markdown
    assert " parts left out, for length:* `mlv review` shows all." in markdown
    assert markdown.count("<details>") == markdown.count("</details>")
    for number in range(30):
        assert f"### `model_{number:02}`: " in markdown


def test_a_title_is_one_plain_line() -> None:
    assert title(report("x")) == "Promote fraud-v3 to production (was v1)"
    many = report("x", *(proposal("x", model=f"m{n}") for n in range(5)))
    assert title(many).endswith("; promote m2-v3 to production (was v1); 2 more")
