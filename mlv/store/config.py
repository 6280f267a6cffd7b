"""mlv.yaml: what the repository states about its registry."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mlv.domain.names import check_model, check_role
from mlv.errors import ConfigError, RegistryError
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlv.store.git import Git

FILE = "mlv.yaml"
_LARGEST, _MOST_BRACKETS = 1_000_000, 1000
_TOP = (
    "branch", "remote", "push", "models", "require_metadata", "require_clean",
    "require_signed", "allowed_signers",
)  # fmt: skip
_HINT = "docs/configuration.md lists every key"
_BRANCH = r"(?!-)(?!.*(\.\.|@\{|//|/\.|\.lock$|/$|\.$))[^\s~^:?*\[\\\x00-\x1f\x7f]+"
# The one in C where PyYAML was built with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REMOTE = r"[A-Za-z0-9][A-Za-z0-9._-]*"
# What must be signed: the tags of versions; with ALL also the commits that move a pointer.
VERSIONS, ALL = "versions", "all"

TEMPLATE = """\
# This repository is a model registry: mlv reads this file.
# The tip of this branch says what is in production.
branch: {branch}

# Publish what register, stage, promote and rollback do; --no-push keeps it here.
# push: true

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


class Config(NamedTuple):
    """mlv.yaml as a whole; ``defaults`` holds for models that are not listed.

    ``require_signed`` is "", `VERSIONS` or `ALL`; ``allowed_signers`` a path inside the repository.
    """

    branch: str = "main"
    remote: str = "origin"
    push: bool = False
    require_signed: str = ""
    allowed_signers: str = ""
    defaults: ModelConfig = ModelConfig()
    models: Mapping[str, ModelConfig] = MappingProxyType({})

    def of(self, model: str) -> ModelConfig:
        """Give what is stated of ``model``."""
        return self.models.get(model, self.defaults)


class _Wrong(Exception):
    def __init__(self, keys: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.keys = keys


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


def parse(data: bytes) -> Config:
    """Read mlv.yaml; `ConfigError` names the line and the key that is wrong."""
    brackets = data.count(b"[") + data.count(b"{")
    if len(data) > _LARGEST or brackets > _MOST_BRACKETS:
        raise ConfigError(f"{FILE} is too large, or nested too deeply", hint=_HINT)
    try:
        text = data.decode()
        document = yaml.load(text, _LOADER)  # noqa: S506 - both are safe loaders
    except UnicodeDecodeError:
        raise ConfigError(f"{FILE} is not UTF-8 text", hint="save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{FILE}:{mark.line + 1}" if mark else FILE
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{where} is not YAML: {problem}", hint=_HINT) from None
    except (ValueError, RecursionError) as error:  # a date that never was, nesting without end
        raise ConfigError(f"{FILE} holds a wrong value: {error}", hint=_HINT) from None
    try:
        return _config(document if document is not None else {})
    except _Wrong as wrong:
        line = _line(text, wrong.keys)
        where = ".".join(wrong.keys) or "the file"
        raise ConfigError(f"{FILE}:{line}: {where} {wrong}", hint=_HINT) from None


def _config(document: object) -> Config:
    top = _mapping(document, ())
    _only(top, _TOP, ())
    branch = _text(top.get("branch", "main"), ("branch",))
    if not _is_word(branch) and not re.fullmatch(_BRANCH, branch):
        raise _Wrong(("branch",), f"{branch!r} is not a branch's name")
    remote = _text(top.get("remote", "origin"), ("remote",))
    if not _is_word(remote) and not re.fullmatch(_REMOTE, remote):
        raise _Wrong(("remote",), f"{remote!r} is not a remote's name")
    push = _flag(top.get("push", False), ("push",))
    signed, signers = _signing(top)
    defaults = _requirements(ModelConfig(), top, ())
    models = _mapping(top.get("models"), ("models",))
    stated = {str(name): _model(str(name), facts, defaults) for name, facts in models.items()}
    return Config(branch, remote, push, signed, signers, defaults, stated)


def _signing(top: dict[str, Any]) -> tuple[str, str]:
    signed = top.get("require_signed")
    if signed is not None and signed not in (VERSIONS, ALL):
        raise _Wrong(("require_signed",), f"must be {VERSIONS} or {ALL}, not {_kind(signed)}")
    signers = _path(top.get("allowed_signers", ""), ("allowed_signers",))
    if signed and not signers:
        raise _Wrong(("require_signed",), "needs allowed_signers, the file that says by whom")
    return signed or "", signers


def _model(name: str, document: object, defaults: ModelConfig) -> ModelConfig:
    at = ("models", name)
    _check(check_model, name, at)
    facts = _mapping(document, at)
    _only(facts, ModelConfig._fields, at)
    artifacts = _mapping(facts.get("artifacts"), (*at, "artifacts"))
    for role, path in artifacts.items():
        _check(check_role, role, (*at, "artifacts", str(role)))
        if role in ("model", "preprocessor"):
            raise _Wrong((*at, "artifacts", role), f"is stated as {role}: of the model itself")
        _path(path, (*at, "artifacts", str(role)))
    preprocessor = facts.get("preprocessor", "")
    if preprocessor is not None:
        _path(preprocessor, (*at, "preprocessor"))
    config = ModelConfig(
        model=_path(facts.get("model", ""), (*at, "model")),
        preprocessor=preprocessor,
        artifacts=artifacts,
        metrics=_path(facts.get("metrics", ""), (*at, "metrics")),
        metadata=_mapping(facts.get("metadata"), (*at, "metadata")),
        require_metadata=defaults.require_metadata,
        require_clean=defaults.require_clean,
    )
    return _requirements(config, facts, at)


def _requirements(config: ModelConfig, facts: dict[str, Any], at: tuple[str, ...]) -> ModelConfig:
    keys = facts.get("require_metadata", config.require_metadata)
    if not isinstance(keys, (list, tuple)) or not all(isinstance(key, str) for key in keys):
        raise _Wrong((*at, "require_metadata"), "must be a list of metadata keys")
    clean = _flag(facts.get("require_clean", config.require_clean), (*at, "require_clean"))
    return config._replace(require_metadata=tuple(keys), require_clean=clean)


def _mapping(value: object, at: tuple[str, ...]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Wrong(at, f"must be keys with values, not {_kind(value)}")
    return value


def _text(value: object, at: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise _Wrong(at, f"must be text, not {_kind(value)}")
    return value


def _flag(value: object, at: tuple[str, ...]) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(at, f"must be true or false, not {_kind(value)}")
    return value


def _is_word(text: str) -> bool:
    """Whether a name is so plain that no pattern need be compiled to see it is fine."""
    return text.isascii() and text.isalnum()


def _kind(value: object) -> str:
    """Show a wrong value; a list may be nested so that showing it never ends."""
    return repr(value) if isinstance(value, (str, int, float, bool)) else type(value).__name__


def _path(value: object, at: tuple[str, ...]) -> str:
    """Check a path inside the repository: mlv.yaml may come from anybody."""
    text = _text(value, at)
    if Path(text).is_absolute() or ".." in Path(text).parts:
        raise _Wrong(at, f"must be a path inside the repository, not {text!r}")
    return text


def _only(facts: dict[str, Any], known: tuple[str, ...], at: tuple[str, ...]) -> None:
    for key in facts:
        if key not in known:
            raise _Wrong((*at, str(key)), f"is not known here; known are {', '.join(known)}")


def _check(check: Callable[[str], str], value: Any, at: tuple[str, ...]) -> None:
    try:
        check(value)
    except RegistryError as error:
        raise _Wrong(at, f"is wrong: {error.message}") from None


def _line(text: str, keys: tuple[str, ...]) -> int:
    node = yaml.compose(text, yaml.SafeLoader)
    line = 1
    for wanted in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key, value in pairs:
            if str(key.value) == wanted:
                line, node = key.start_mark.line + 1, value
                break
    return line
