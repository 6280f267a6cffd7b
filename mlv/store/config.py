"""mlv.yaml: what the repository states about its registry."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mlv.domain.names import check_model, check_role
from mlv.domain.rules import OPEN, Gate
from mlv.errors import ConfigError, RegistryError
from mlv.store import gatekeys, yamlread
from mlv.store.disk import on_disk
from mlv.store.values import Wrong, flag, kind, mapping, only, text, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlv.store.git import Git
    from mlv.store.versions import Versions

FILE = "mlv.yaml"
_LARGEST, _MOST_BRACKETS = 1_000_000, 1000
_TOP = (
    "branch", "remote", "push", "models", "require_metadata", "require_clean",
    "require_signed", "allowed_signers", "gate", "forge",
)  # fmt: skip
_HINT = "docs/configuration.md lists every key"
_BRANCH = r"(?!-)(?!.*(\.\.|@\{|//|/\.|\.lock$|/$|\.$))[^\s~^:?*\[\\\x00-\x1f\x7f]+"
# The one in C where PyYAML was built with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REMOTE = r"[A-Za-z0-9][A-Za-z0-9._-]*"
# What must be signed: the tags of versions; with ALL also the commits that move a pointer.
VERSIONS, ALL = "versions", "all"
# What the Git remote is, where its host's name does not tell.
GITHUB, GITLAB, GITEA, PAGURE = "github", "gitlab", "gitea", "pagure"
BITBUCKET, BITBUCKET_SERVER, AZURE = "bitbucket", "bitbucket-server", "azure"
FORGES = (GITHUB, GITLAB, GITEA, PAGURE, BITBUCKET, BITBUCKET_SERVER, AZURE)

TEMPLATE = """\
# This repository is a model registry: mlv reads this file.
# The tip of this branch says what is in production.
branch: {branch}

# Publish what register, stage, promote and rollback do; --no-push keeps it here.
# push: true

# What a version must meet before it is staged or goes live; mlv gate REF shows how it does.
gate:
  max_regression: 0.05        # no metric more than 5 % worse than that of the live version
#   metrics:
#     roc_auc: {{goal: max, min: 0.9, max_regression: 0.01}}
#     latency_ms: {{goal: min, max: 50}}
#   require_metadata: [data_window]
#   same_data: true           # trained on the data of the live version
#   require_staging: true     # on trial before it goes live

# What is stated for a model need not be typed: `mlv register` alone then works.
# models:
#   fraud:
#     model: artifacts/model.pkl
#     preprocessor: artifacts/preprocessor.pkl   # null: it is inside the model
#     artifacts: {{tokenizer: artifacts/tokenizer}}
#     metrics: metrics.json
#     metadata: {{data_window: last_90_days}}
#     require_metadata: [data_window, training_samples]
#     require_clean: true                        # refuse uncommitted changes
"""


class ModelConfig(NamedTuple):
    """What mlv.yaml states of one model; paths are relative to the repository's top.

    ``preprocessor`` is a path, None where it is declined, or "" where nothing is said.
    """

    model: str = ""
    preprocessor: str | None = ""
    artifacts: Mapping[str, str] = MappingProxyType({})
    metrics: str = ""
    metadata: Mapping[str, Any] = MappingProxyType({})
    require_metadata: tuple[str, ...] = ()
    require_clean: bool = False
    gate: Gate = OPEN


class Config(NamedTuple):
    """mlv.yaml as a whole; ``defaults`` holds for models that are not listed.

    ``require_signed`` is "", `VERSIONS` or `ALL`; ``allowed_signers`` a path inside the repository;
    ``forge`` is "" or one of `FORGES`.
    """

    branch: str = "main"
    remote: str = "origin"
    push: bool = False
    require_signed: str = ""
    allowed_signers: str = ""
    forge: str = ""
    defaults: ModelConfig = ModelConfig()
    models: Mapping[str, ModelConfig] = MappingProxyType({})

    def of(self, model: str) -> ModelConfig:
        """Give what is stated of ``model``."""
        return self.models.get(model, self.defaults)


def read(git: Git) -> Config:
    """Read mlv.yaml from the work tree, or where it is not there (sparse, bare) from HEAD."""
    path = git.layout.folder / FILE
    if path.is_file():
        with on_disk(path):
            return parse(path.read_bytes())
    found = git.objects.read(f"HEAD:{FILE}")
    if found is None:
        raise ConfigError(
            f"{git.layout.folder} is not a model registry yet: it has no {FILE}",
            hint="mlv init sets it up; on another branch, check out the one that has it",
        )
    return parse(found.data)


def is_set_up(git: Git) -> bool:
    """Whether there is an mlv.yaml where `read` looks for it."""
    return (git.layout.folder / FILE).is_file() or bool(git.objects.read(f"HEAD:{FILE}"))


def read_at(versions: Versions, commit: str) -> Config | None:
    """Read the mlv.yaml of a commit; None if it has none, and states nothing."""
    data = versions.blob(commit, FILE)
    return None if data is None else _parsed(data)


def parse(data: bytes) -> Config:
    """Read mlv.yaml; `ConfigError` names the line and the key that is wrong."""
    brackets = data.count(b"[") + data.count(b"{")
    if len(data) > _LARGEST or brackets > _MOST_BRACKETS:
        raise ConfigError(f"{FILE} is too large, or nested too deeply", hint=_HINT)
    try:
        written = data.decode()
        document = yamlread.load(written, _LOADER)
    except UnicodeDecodeError:
        raise ConfigError(f"{FILE} is not UTF-8 text", hint="save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{FILE}:{mark.line + 1}" if mark else FILE
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{where} is not YAML: {problem}", hint=_HINT) from None
    try:
        return _config(document if document is not None else {})
    except Wrong as wrong:
        line = _line(written, wrong.keys)
        where = ".".join(wrong.keys) or "the file"
        raise ConfigError(f"{FILE}:{line}: {where} {wrong}", hint=_HINT) from None


_parsed = lru_cache(maxsize=32)(parse)  # several look at the mlv.yaml of one commit


def _config(document: object) -> Config:
    top = mapping(document, ())
    only(top, _TOP, ())
    branch = text(top.get("branch", "main"), ("branch",))
    if not is_branch(branch):
        raise Wrong(("branch",), f"{branch!r} is not a branch's name")
    remote = text(top.get("remote", "origin"), ("remote",))
    if not _is_word(remote) and not re.fullmatch(_REMOTE, remote):
        raise Wrong(("remote",), f"{remote!r} is not a remote's name")
    push = flag(top.get("push", False), ("push",))
    signed, signers = _signing(top)
    forge = top.get("forge", "")
    if forge and forge not in FORGES:
        raise Wrong(("forge",), f"must be one of {', '.join(FORGES)}, not {kind(forge)}")
    gate = gatekeys.check(top.get("gate"), ("gate",))
    defaults = _requirements(ModelConfig(gate=gatekeys.gate(gate)), top, ())
    models = mapping(top.get("models"), ("models",))
    stated = {str(name): _model(str(name), facts, defaults, gate) for name, facts in models.items()}
    return Config(branch, remote, push, signed, signers, forge, defaults, stated)


def _signing(top: dict[str, Any]) -> tuple[str, str]:
    signed = top.get("require_signed")
    if signed is not None and signed not in (VERSIONS, ALL):
        raise Wrong(("require_signed",), f"must be {VERSIONS} or {ALL}, not {kind(signed)}")
    signers = _path(top.get("allowed_signers", ""), ("allowed_signers",))
    if signed and not signers:
        raise Wrong(("require_signed",), "needs allowed_signers, the file that says by whom")
    return signed or "", signers


def _model(name: str, document: object, defaults: ModelConfig, gate: dict[str, Any]) -> ModelConfig:
    at = ("models", name)
    _check(check_model, name, at)
    facts = mapping(document, at)
    only(facts, ModelConfig._fields, at)
    artifacts = mapping(facts.get("artifacts"), (*at, "artifacts"))
    for role, path in artifacts.items():
        _check(check_role, role, (*at, "artifacts", str(role)))
        if role in ("model", "preprocessor"):
            raise Wrong((*at, "artifacts", role), f"is stated as {role}: of the model itself")
        _path(path, (*at, "artifacts", str(role)))
    preprocessor = facts.get("preprocessor", "")
    if preprocessor is not None:
        _path(preprocessor, (*at, "preprocessor"))
    config = ModelConfig(
        model=_path(facts.get("model", ""), (*at, "model")),
        preprocessor=preprocessor,
        artifacts=artifacts,
        metrics=_path(facts.get("metrics", ""), (*at, "metrics")),
        metadata=mapping(facts.get("metadata"), (*at, "metadata")),
        require_metadata=defaults.require_metadata,
        require_clean=defaults.require_clean,
        gate=gatekeys.gate(gate, gatekeys.check(facts.get("gate"), (*at, "gate"))),
    )
    return _requirements(config, facts, at)


def _requirements(config: ModelConfig, facts: dict[str, Any], at: tuple[str, ...]) -> ModelConfig:
    keys = words(facts.get("require_metadata", config.require_metadata), (*at, "require_metadata"))
    clean = flag(facts.get("require_clean", config.require_clean), (*at, "require_clean"))
    return config._replace(require_metadata=keys, require_clean=clean)


def is_branch(name: str) -> bool:
    """Whether git would take this for a branch's name."""
    return _is_word(name) or re.fullmatch(_BRANCH, name) is not None


def _is_word(name: str) -> bool:
    """Whether a name is so plain that no pattern need be compiled to see it is fine."""
    return name.isascii() and name.isalnum()


def _path(value: object, at: tuple[str, ...]) -> str:
    """Check a path inside the repository: mlv.yaml may come from anybody."""
    path = text(value, at)
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise Wrong(at, f"must be a path inside the repository, not {path!r}")
    return path


def _check(check: Callable[[str], str], value: Any, at: tuple[str, ...]) -> None:
    try:
        check(value)
    except RegistryError as error:
        raise Wrong(at, f"is wrong: {error.message}") from None


def _line(written: str, keys: tuple[str, ...]) -> int:
    node = yaml.compose(written, yaml.SafeLoader)
    line = 1
    for wanted in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key, value in pairs:
            if str(key.value) == wanted:
                line, node = key.start_mark.line + 1, value
                break
    return line
