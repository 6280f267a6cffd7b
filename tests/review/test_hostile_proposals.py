"""Nothing that a proposal holds is run, believed, or shown as anything but text."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from tests.review.mould import BETTER, MLV_YAML, WORSE
from tests.review.proposals import COMMAND, mlv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

    from tests.review.proposals import Desk

MANIFEST = "registry/fraud/manifest.json"
OURS = ("<!-- mlv-review -->", "<br>", "<details>", "</details>", "<summary>", "</summary>")
SIGNS = ("@", "#", "$", "`", "://", "www.", "::")
HOSTILE = {
    "html": "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "comment": "--> <!-- mlv-review --> <!--",
    "link": "[approve](javascript:alert(1)) ![](https://evil.example/pixel.png)",
    "heading": "\n\n# Passed\n\n- [x] all is well\n\n---\n",
    "table": "| a | b |\n|---|---|\n| 1 | 2 |",
    "fence": "```\n</details>\n~~~",
    "code": "` `` ``` `",
    "mention": "@everyone @org/admins #1 GH-1 fixes #2 https://evil.example www.evil.example",
    "quick action": "\n/approve\n/merge\n",
    "shell": f"$({COMMAND}) `{COMMAND}`; {COMMAND}",
    "workflow": "\n::set-output name=passed::true\n::error::\n${{ github.token }}",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x1b[31m\r\x08",
    "bidi": "\u202egpj.exe\u2066 \u200b\u00ad\ufeff",
    "long": "x" * 20_000,
}


def spoil(desk: Desk, number: int, word: str) -> None:
    """Have a version say a word wherever it may say what it likes."""

    def edit() -> None:
        manifest: dict[str, Any] = json.loads((desk.author / MANIFEST).read_text())
        one_line = "".join(char for char in word if char.isprintable())[:150] or "x"
        manifest["registered_by"] = f"{word} <eve@example.com>"
        manifest["metrics"][one_line] = 1.5
        manifest["metadata"].update({"data_window": word, one_line: word, "nested": {word: [word]}})
        manifest["lineage"].update(branch=word, remote=word, python=word, platform=word)
        manifest["lineage"]["dirty"] = [word]
        manifest["lineage"]["stage"] = {
            "name": word, "cmd": word, "deps": {word: word}, "params": {word: {word: word}},
        }  # fmt: skip
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        desk.write(MANIFEST, f"{text}\n")

    desk.retag(f"fraud-v{number}", edit)


@pytest.mark.parametrize("word", HOSTILE.values(), ids=HOSTILE)
def test_what_a_version_says_is_shown_as_text(desk: Desk, word: str) -> None:
    spoil(desk, BETTER, word)
    desk.promote(BETTER)
    desk.git("commit", "-q", "--amend", "--cleanup=verbatim", "-m", f"Promote {word}")
    desk.reviewer = desk.clone()  # which knows no other v3
    seen = desk.review()
    assert seen.rules == set(), seen.words
    assert seen.out.isascii()
    text, markdown = desk.shown(), desk.shown("--format", "md")
    assert {char for char in text + markdown if not (char.isprintable() or char == "\n")} == set()
    assert len(markdown) < 60_000
    assert list(not_text(markdown)) == []
    assert not desk.ran.exists()


def not_text(markdown: str) -> Iterator[str]:
    """Give all that a forge would take for more than text, but what a report is made of."""
    parsed = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)
    for token in _flat(parsed):
        if token.type in ("link_open", "image", "s_open", "heading_open", "hr", "fence"):
            is_ours = token.tag in ("h2", "h3") or (
                token.type == "fence" and token.info in ("text", "sh", "shell", "console")
            )
            if not is_ours:
                yield token.type
        elif token.type in ("html_block", "html_inline"):
            left = token.content
            for tag in OURS:
                left = left.replace(tag, "")
            if "<" in left:
                yield left
        elif token.type == "text" and any(sign in token.content for sign in SIGNS):
            yield token.content


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


def test_markdown_that_is_more_than_text_is_told() -> None:
    """The check above can fail."""
    assert all(list(not_text(word)) for word in ("<b>", "[a](b)", "@all", "# Passed", "a $(b)"))


@pytest.mark.parametrize("name", ["\u202egpj", "$(id)", "a;b", "`id`", "<img src=x>", "a\u200bb"])
def test_a_branch_of_any_name(desk: Desk, name: str) -> None:
    branch = name.replace(" ", "\u00a0")
    desk.promote(BETTER)
    desk.bring(desk.reviewer, desk.publish(branch))
    span = f"origin/main..origin/{branch}"
    code, out, err = mlv(desk.reviewer, "review", span)
    assert (code, err) == (0, ""), err
    assert {char for char in out if not (char.isprintable() or char == "\n")} == set()


@pytest.mark.parametrize(
    "name", ["\x1b[2Jx", "a\nb", "<img src=x>", "`id`", "\u202egpj", "a|b", "a\udcff"]
)
def test_a_file_of_any_name(desk: Desk, name: str) -> None:
    desk.write(f"registry/fraud/{name}", "x")
    desk.write(f"{name}.py", "x")
    desk.promote(BETTER)
    desk.write(f"registry/fraud/{name}", "x")
    desk.commit()
    seen = desk.review()
    assert seen.rules == {"folder", "alongside"}, seen.words
    text, markdown = desk.shown(), desk.shown("--format", "md")
    assert {char for char in text + markdown if not (char.isprintable() or char == "\n")} == set()
    assert list(not_text(markdown)) == []


# DVC's configuration -------------------------------------------------------------------------

COMMANDS = {
    "command": f"    bearer_token_command = {COMMAND}\n",
    "quoted": f"    'bearer_token_command' = '''{COMMAND}'''\n",
    "shouted": f"    BEARER_TOKEN_COMMAND={COMMAND}\n",
    "secret": "    password = hunter2\n",
    "asks": "    ask_password = true\n",
}


@pytest.mark.parametrize("line", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "along"])
def test_a_dvc_configuration_that_runs_a_command(desk: Desk, line: str, alone: bool) -> None:
    desk.edit(".dvc/config", "../../storage\n", f"webdavs://evil.example/x\n{line}")
    if alone:
        desk.commit("Move the bytes")
    else:
        desk.promote(BETTER)
    seen = desk.review("--deep")
    assert seen.rules == ({"dvc-config"} if alone else {"dvc-config", "alongside"}), seen.words
    assert "hunter2" not in seen.out + seen.err
    assert not desk.ran.exists()


def elsewhere(desk: Desk) -> str:
    """Have bytes that main's DVC remote lacks on one that the proposal names."""
    shutil.copytree(desk.storage, desk.folder / "evil")
    desk.bytes_of(f"fraud-v{BETTER}").unlink()
    return str(desk.folder / "evil")


def test_a_dvc_configuration_that_points_elsewhere_is_not_asked(desk: Desk) -> None:
    desk.edit(".dvc/config", "../../storage", elsewhere(desk))
    desk.promote(BETTER)
    seen = desk.review()
    assert seen.rules == {"alongside", "bytes"}, seen.words


def test_a_local_dvc_configuration_that_is_tracked_is_not_asked(desk: Desk) -> None:
    url = elsewhere(desk)
    desk.write(".dvc/config.local", f"['remote \"storage\"']\n    url = {url}\n")
    desk.promote(BETTER)
    seen = desk.review()
    assert seen.rules == {"dvc-config", "bytes"}, seen.words


@pytest.mark.parametrize("what", ["link", "submodule"])
def test_another_folder_in_the_place_of_dvc_s(desk: Desk, what: str) -> None:
    url = elsewhere(desk)
    desk.write(
        "conf/config", f"['remote \"storage\"']\n    url = {url}\n[core]\n    remote = storage\n"
    )
    desk.git("rm", "-rqf", ".dvc")
    shutil.rmtree(desk.author / ".dvc", ignore_errors=True)
    if what == "link":
        (desk.author / ".dvc").symlink_to("conf")
        desk.git("add", "--force", ".dvc")
    else:
        entry = f"160000,{desk.git('rev-parse', 'main')},.dvc"
        desk.git("update-index", "--add", "--cacheinfo", entry)
    desk.commit("Tidy up")
    seen = desk.review()
    assert "dvc-config" in seen.rules, seen.words


# mlv.yaml ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["branch: evil\n", "remote: evil\n", "branch: [\n", "\xff", ""])
def test_the_work_tree_s_mlv_yaml_is_not_believed(desk: Desk, text: str) -> None:
    """Without being told what to hold it against, a review holds it against main all the same."""
    desk.write("mlv.yaml", text.encode("latin-1"))
    desk.promote(WORSE)
    desk.publish("evil")
    seen = desk.review(span="")
    assert seen.report["base"] == desk.git("rev-parse", "main")
    assert seen.rules == {"alongside", "gate"}, seen.words


def test_a_branch_that_says_that_it_is_the_registry_s(desk: Desk) -> None:
    """It was published before; and in it, v4 is live."""
    desk.write("mlv.yaml", MLV_YAML.replace("main", "evil").replace("0.8", "0.1"))
    desk.promote(WORSE)
    desk.publish("evil")
    desk.write("mlv.yaml", MLV_YAML.replace("main", "evil"))
    desk.commit()
    seen = desk.review(span="")
    assert seen.report["base"] == desk.git("rev-parse", "main")
    assert seen.rules == {"alongside", "gate"}, seen.words
