"""A repository whose makers mean harm: nothing of it is run, followed or believed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlv import ConfigError, IntegrityError, InvalidInput, ProgramError, RegistryError
from mlv.domain.dvcconfig import Storage, merged
from mlv.pulling import RemoteRegistry
from tests.pulling.conftest import commit_config

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.pulling.conftest import Published


def pulled(published: Published) -> dict[str, Path]:
    """Pull what is live, as the command does."""
    far = RemoteRegistry(published.url, cache=published.cache)
    far.catch_up("fraud@production")
    return far.artifacts("fraud@production")


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c touch% ran", "fd::3", "--upload-pack=touch ran", "-oProxyCommand=x", "", "a\nb",
     "https://host/a\tb", "ftp://host/x", "gopher://host", "http::https://host"],
)  # fmt: skip
def test_an_address_that_git_would_run_or_misread_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no address of a repository"):
        RemoteRegistry(url, cache=tmp_path / "cache")


def test_commands_in_the_configuration_of_dvc_are_not_run(
    published: Published, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    config = published.clone / ".dvc" / "config"
    config.write_text(
        "[core]\n    remote = storage\n"
        "    hardlink_lock = true\n"
        "[cache]\n    dir = /tmp/never\n"
        f"['remote \"storage\"']\n    url = {published.storage}\n"
        f"    bearer_token_command = touch {ran}\n    gss_auth = true\n"
    )
    commit_config(published)
    assert pulled(published)["model"].is_file()
    assert not ran.exists()


def test_a_server_learns_no_command_and_no_password_by_a_remotes_name() -> None:
    theirs = {
        "core": {"remote": "storage"},
        "remote": {"storage": {"url": "https://evil.example/x", "bearer_token_command": "id"}},
    }
    own = {"remote": {"storage": {"password": "secret", "token": "t", "timeout": 5}}}
    found = merged(theirs, own)
    assert isinstance(found, Storage)
    assert found.remotes["storage"] == {"url": "https://evil.example/x", "timeout": 5}
    assert found.withheld == ("password", "token")
    stated = {"remote": {"storage": {"url": "https://good.example/x", "password": "secret"}}}
    kept = merged(theirs, stated)
    assert isinstance(kept, Storage)
    assert kept.is_own
    assert kept.remotes["storage"] == stated["remote"]["storage"]


def test_what_a_server_was_not_told_is_named_where_it_refuses(
    published: Published, home: Path
) -> None:
    config = published.clone / ".dvc" / "config"
    config.write_text(
        "[core]\n    remote = storage\n['remote \"storage\"']\n    url = http://h:x/\n"
    )
    commit_config(published)
    with (home / ".config" / "dvc" / "config").open("a") as own:
        own.write("['remote \"storage\"']\n    user = ada\n    password = secret-word\n")
    with pytest.raises(ProgramError) as refused:
        pulled(published)
    assert refused.value.hint.startswith("password of your DVC configuration went to no address")
    assert "dvc remote modify --global storage url URL" in refused.value.hint
    assert "secret-word" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["ssh://-oProxyCommand=touch$IFS/x/y", "ssh://a;touch x/y", "ssh://$(id)@host/x",
     "ssh://host`id`/x", "git://host/x", "dvc://host/x", "s3://bucket/a\x1bb", "gdrive://x/y"],
)  # fmt: skip
def test_an_odd_address_of_a_dvc_remote_is_refused(published: Published, url: str) -> None:
    config = published.clone / ".dvc" / "config"
    config.write_text(f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {url}\n")
    commit_config(published)
    with pytest.raises(ConfigError, match="does not say where its bytes lie"):
        pulled(published)


@pytest.mark.parametrize(
    "config",
    ["", "[core]\n", "[core]\nremote = x\n", "[[[[", "\x00\xff",
     "[core]\nremote = storage\n['remote \"storage\"']\nregion = eu\n",
     "[remote]\n[core]\n[[remote]]\n"],
)  # fmt: skip
def test_a_broken_configuration_is_told(published: Published, config: str) -> None:
    (published.clone / ".dvc" / "config").write_text(config)
    commit_config(published)
    with pytest.raises(ConfigError, match=r"bytes lie|cannot be read"):
        pulled(published)


def test_links_filters_submodules_and_hooks_of_the_tree_do_nothing(
    published: Published, tmp_path: Path, git: Callable[..., str]
) -> None:
    clone, ran = published.clone, tmp_path / "ran"
    (clone / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (clone / ".gitmodules").write_text(
        f'[submodule "x"]\n\tpath = x\n\turl = "ext::touch {ran}"\n\tupdate = !touch {ran}\n'
    )
    (clone / "out").symlink_to("/etc")
    (clone / ".lfsconfig").write_text('[lfs]\n\turl = "ext::x"\n')
    git(clone, "add", "--force", ".gitattributes", ".gitmodules", "out", ".lfsconfig")
    head = git(clone, "rev-parse", "HEAD").strip()
    git(clone, "update-index", "--add", "--cacheinfo", f"160000,{head},x")
    git(clone, "commit", "--quiet", "--message", "Look innocent")
    git(clone, "push", "--quiet", "--no-verify", "origin", "main")
    config = published.url / "config"
    config.write_text(
        f'{config.read_text()}[uploadpack]\n\tpackObjectsHook = "touch {ran};"\n'
        f'[core]\n\tfsmonitor = "touch {ran}"\n[filter "evil"]\n\tsmudge = "touch {ran}"\n'
    )
    assert pulled(published)["model"].is_file()
    assert not ran.exists()


@pytest.mark.parametrize("path", ["registry", "registry/fraud", "mlv.yaml", ".dvc/config"])
def test_a_link_where_a_folder_or_a_file_should_be(
    published: Published, git: Callable[..., str], path: str
) -> None:
    target = published.clone.parent / "elsewhere"
    target.mkdir()
    git(published.clone, "rm", "--quiet", "-r", "--cached", path)
    blob = git(published.clone, "hash-object", "-w", "--stdin", input=str(target)).strip()
    git(published.clone, "update-index", "--add", "--cacheinfo", f"120000,{blob},{path}")
    git(published.clone, "commit", "--quiet", "--no-verify", "--message", "Link")
    git(published.clone, "push", "--quiet", "--no-verify", "origin", "main")
    with pytest.raises(RegistryError):
        pulled(published)
    assert not any(target.iterdir())


def test_a_file_without_end_is_not_read(published: Published, git: Callable[..., str]) -> None:
    (published.clone / "mlv.yaml").write_bytes(b"#" * 17_000_000)
    git(published.clone, "commit", "--quiet", "--no-verify", "--all", "--message", "Grow")
    git(published.clone, "push", "--quiet", "--no-verify", "origin", "main")
    with pytest.raises(IntegrityError, match="17000000 bytes where mlv keeps a small file"):
        pulled(published)


@pytest.mark.parametrize(
    "branch",
    ["--upload-pack=touch ran", "x:refs/heads/y", "*", "../../config", "a b", "refs/heads/main^"],
)
def test_an_odd_branch_in_mlv_yaml(
    published: Published, git: Callable[..., str], branch: str
) -> None:
    config = published.clone / "mlv.yaml"
    config.write_text(config.read_text().replace("branch: main", f"branch: '{branch}'"))
    git(published.clone, "commit", "--quiet", "--no-verify", "--all", "--message", "Rename")
    git(published.clone, "push", "--quiet", "--no-verify", "origin", "main")
    with pytest.raises(ConfigError, match="not a branch's name"):
        pulled(published)


def test_a_tag_of_another_version_is_not_taken_for_it(
    published: Published, git: Callable[..., str]
) -> None:
    tag = git(published.url, "rev-parse", "refs/tags/fraud-v2").strip()
    git(published.url, "update-ref", "refs/tags/fraud-v1", tag)
    with pytest.raises(IntegrityError, match="is really the tag 'fraud-v2', renamed"):
        pulled(published)


def test_a_pipe_in_place_of_an_object_is_not_waited_for(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    md5 = far.manifest("v1").artifacts["model"].md5
    stored = published.storage / "files" / "md5" / md5[:2] / md5[2:]
    stored.unlink()
    os.mkfifo(stored)
    with pytest.raises(RegistryError, match="not on the DVC remote"):
        far.artifacts("v1")


def test_a_listing_that_leads_outside_is_refused(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    md5 = far.manifest("v1").artifacts["tokenizer"].md5
    stored = published.storage / "files" / "md5" / md5[:2] / md5[2:]
    stored.chmod(0o644)
    stored.write_text('[{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "../../../x"}]')
    with pytest.raises(IntegrityError, match="which is no file"):
        far.artifacts("v1")
    assert not [*published.cache.rglob("x")]


def test_terminal_sequences_of_a_server_are_not_printed(
    published: Published, mlv: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    config = published.clone / ".dvc" / "config"
    config.write_text(
        "[core]\n    remote = storage\n['remote \"storage\"']\n    url = /nowhere/\x1b[31mred\n"
    )
    commit_config(published)
    said = mlv(published.clone.parent, "pull", str(published.url), "fraud-v1")
    assert said.returncode == 1
    assert "\x1b" not in said.stderr
