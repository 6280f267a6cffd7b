"""What the registry is called in Git: paths in a tree, refs, and a registration's trailer."""

from __future__ import annotations

from mlv.domain.names import Version

FOLDER = "registry"
POINTER, MANIFEST = "pointer.json", "manifest.json"
REGISTERED_BY_MLV = "Mlv-Action: register"
TAGS, KEPT = "refs/tags/", "refs/mlv/"
EVERY_TAG = f"{TAGS}*-v*"


def folder_of(model: str) -> str:
    """Give the path of a model's folder in the tree."""
    return f"{FOLDER}/{model}"


def pointer_path(model: str) -> str:
    """Give the path of a model's pointer in the tree."""
    return f"{FOLDER}/{model}/{POINTER}"


def manifest_path(model: str) -> str:
    """Give the path of a model's manifest in the tree."""
    return f"{FOLDER}/{model}/{MANIFEST}"


def tag_ref(version: Version) -> str:
    """Name the ref that is a version's tag."""
    return f"{TAGS}{version.tag}"


def kept_ref(version: Version) -> str:
    """Name the second ref, which keeps a version that is not published yet."""
    return f"{KEPT}{version.model}/{version.name}"


def version_of(ref: str) -> Version | None:
    """Say which version a ref may hold: ``refs/tags/fraud-v3``, or ``refs/mlv/fraud/v3``."""
    if ref.startswith(TAGS):
        return Version.from_tag(ref.removeprefix(TAGS))
    if ref.startswith(KEPT):
        return Version.from_tag("-".join(ref.removeprefix(KEPT).split("/")))
    return None


def ref_patterns(model: str | None = None) -> tuple[str, str]:
    """Give patterns of the refs that may hold a version, of all models or one."""
    name = model or "*"
    return f"{TAGS}{name}-v*", f"{KEPT}{name}/v*"
