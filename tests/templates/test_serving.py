"""`mlv init --template`: what it writes for Docker and Kubernetes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement

from mlv.store import templates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

WHERE = "https://git.example/team/payments.git"


def complaint(folder: Path, name: str, *args: str) -> str:
    """Return what a checker says, or nothing; a test without it fails, and is not skipped."""
    found = shutil.which(name)
    assert found, f"{name} is not installed: pip install --editable '.[dev]'"
    done = subprocess.run((found, *args), cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture
def written(repo: Path, git: Git, mlv: Mlv) -> Path:
    """Return the folder that both templates write, in a registry with an address."""
    git(repo, "remote", "add", "origin", WHERE.replace("//", "//ada:secret@"))
    done = mlv(repo, "init", "--template", "docker", "--template", "kubernetes")
    assert done.returncode == 0, done.stderr
    return repo / "serving"


def services(written: Path) -> dict[str, Any]:
    known: dict[str, Any] = yaml.safe_load((written / "compose.yaml").read_text())["services"]
    return known


def pods(written: Path) -> dict[str, Any]:
    documents = yaml.safe_load_all((written / "kubernetes.yaml").read_text())
    return {each["kind"]: each for each in documents}


def containers(written: Path) -> list[dict[str, Any]]:
    pod = pods(written)["Deployment"]["spec"]["template"]["spec"]
    return [*pod["initContainers"], *pod["containers"]]


# What is written ----------------------------------------------------------------------------


def test_all_is_in_a_folder_of_its_own_and_filled_in(written: Path) -> None:
    names = {path.name for path in written.iterdir()}
    assert names == {"Dockerfile", ".dockerignore", "compose.yaml", "kubernetes.yaml"}
    for path in written.iterdir():
        assert "@@" not in path.read_text()


def test_python_and_packages_are_the_repositorys_own(repo: Path, mlv: Mlv, dvc: Git) -> None:
    dvc(repo, "remote", "add", "far", "s3://models/x")
    done = mlv(repo, "init", "--template", "docker")
    assert "let the variable MLV_PACKAGES say where from" in done.stderr
    text = (repo / "serving/Dockerfile").read_text()
    assert f"\nFROM python:{sys.version_info.major}.{sys.version_info.minor}-slim\n" in text
    [packages] = re.findall(r'^ARG MLV_PACKAGES="(.*)"$', text, re.MULTILINE)
    mlv_itself, dvc_itself = map(Requirement, packages.split())
    assert (mlv_itself.name, mlv_itself.extras) == ("mlv", {"serve"})
    assert (dvc_itself.name, dvc_itself.extras) == ("dvc", {"s3"})


def test_the_registry_is_where_it_is_published_and_no_secret_is_written(written: Path) -> None:
    for path in written.iterdir():
        assert "secret@" not in path.read_text()
    assert f'\nARG REGISTRY="{WHERE}"\n' in (written / "Dockerfile").read_text()
    assert pods(written)["ConfigMap"]["data"]["REGISTRY"] == WHERE


@pytest.mark.parametrize(
    ("remote", "is_taken"),
    [
        ("https://git.example/team/x.git", True),
        ("ssh://git@git.example:2222/team/x.git", True),
        ("git@git.example:team/x.git", True),
        ("../payments.git", False),
        ("/srv/payments.git", False),
        ("", False),
        ('https://git.example/"; RUN x', False),
        ("https://git.example/$(x)", False),
        ("https://git.example/x\nRUN y", False),
        ("ext::sh -c x", False),
    ],
)
def test_an_address_that_others_cannot_reach_is_left_to_be_put_in(
    remote: str, *, is_taken: bool
) -> None:
    known = templates.values("main", "", b"", remote)
    assert known["registry"] == (remote if is_taken else templates.REGISTRY)


def test_it_says_what_to_set_up_next(repo: Path, mlv: Mlv) -> None:
    done = mlv(repo, "init", "--template", "docker", "--template", "kubernetes")
    for needed in ("docker build", "docs/serving.md", "secret serving", "kubectl apply"):
        assert needed in done.stdout


def test_pods_install_nothing_that_the_image_does_not(repo: Path, mlv: Mlv) -> None:
    assert "MLV_PACKAGES" not in mlv(repo, "init", "--template", "kubernetes").stderr


# What it would do ---------------------------------------------------------------------------


def test_nobody_serves_as_root_or_writes_beside_the_cache(written: Path) -> None:
    users = re.findall(r"^USER (\w+)$", (written / "Dockerfile").read_text(), re.MULTILINE)
    assert users[-1] == "10001"
    for service in services(written).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    pod = pods(written)["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in containers(written):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_only_this_machine_reaches_what_is_tried_out(written: Path) -> None:
    assert services(written)["serving"]["ports"] == ["127.0.0.1:8000:8000"]
    assert "ports" not in services(written)["mlflow"]


def test_mlflow_is_followed_where_it_is_asked_for_alone(written: Path) -> None:
    serving, following = services(written)["serving"], services(written)["mlflow"]
    assert following["profiles"] == ["mlflow"]
    assert "profiles" not in serving
    packages = serving["build"]["args"]["MLV_PACKAGES"]
    assert following["build"]["args"]["MLV_PACKAGES"] == f"{packages} mlflow-skinny"


def test_a_pod_joins_when_it_serves_what_is_live_and_stays_while_it_serves(written: Path) -> None:
    """A version that loads nowhere would otherwise take every pod out of the service."""
    serving = containers(written)[-1]
    assert serving["startupProbe"]["httpGet"]["path"] == "/ready"
    assert serving["readinessProbe"]["httpGet"]["path"] == "/live"
    assert serving["livenessProbe"]["httpGet"]["path"] == "/live"


def test_image_and_pods_agree(written: Path) -> None:
    """On who serves, on the place of what is kept, of credentials, and on the port."""
    dockerfile = (written / "Dockerfile").read_text()
    pod = pods(written)["Deployment"]["spec"]["template"]["spec"]
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    for container in containers(written):
        for mount in container["volumeMounts"]:
            assert mount["mountPath"] in ("/tmp", "/srv/env") or mount["mountPath"] in dockerfile  # noqa: S108 - a path in a pod
    [port] = containers(written)[-1]["ports"]
    assert f"\nEXPOSE {port['containerPort']}\n" in dockerfile
    selector = pods(written)["Service"]["spec"]["selector"]
    labels = pods(written)["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()


def test_what_is_started_stays_the_process_that_is_told_to_end(written: Path) -> None:
    [line] = re.findall(r"^ENTRYPOINT (.*)$", (written / "Dockerfile").read_text(), re.MULTILINE)
    shell, _, script, _ = json.loads(line)
    assert shell == "sh"
    assert script.startswith("exec mlv serve ")
    assert containers(written)[-1]["args"][0].startswith("exec ")


# What others say of it ----------------------------------------------------------------------


def test_hadolint_finds_nothing_and_would(written: Path) -> None:
    assert not complaint(written, "hadolint", "Dockerfile")
    text = (written / "Dockerfile").read_text()
    (written / "Dockerfile").write_text(text.replace("\nUSER 10001\nEXPOSE", "\nUSER root\nEXPOSE"))
    assert "DL3002" in complaint(written, "hadolint", "Dockerfile")


def test_the_schema_of_compose_finds_nothing_and_would(written: Path) -> None:
    args = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    assert not complaint(written, *args)
    text = (written / "compose.yaml").read_text()
    (written / "compose.yaml").write_text(text.replace("    ports:", "    gates:"))
    assert "gates" in complaint(written, *args)


def test_the_schemas_of_kubernetes_find_nothing_and_would(written: Path) -> None:
    args = ("kubernetes-validate", "--strict", "--no-warn", "kubernetes.yaml")
    assert not complaint(written, *args)
    text = (written / "kubernetes.yaml").read_text()
    (written / "kubernetes.yaml").write_text(text.replace("startupProbe:", "startProbe:"))
    assert "startProbe" in complaint(written, *args)
