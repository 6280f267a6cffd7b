"""The image that `mlv init --template docker` describes, built line by line, and what it serves.

And the pod of it that `mlv init --template kubernetes` describes, and what keeps MLflow in step.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mlv.store import templates
from tests.fresh.dockerfile import Image
from tests.fresh.root import ENV
from tests.servers import mlflow, web
from tests.servers.processes import LOOPBACK, free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.fresh.root import Root

    Git = Callable[..., str]

INPUT = {"columns": ["amount", "hour"], "data": [[12.5, 14], [250.0, 3]]}


@dataclass(frozen=True)
class Shared:
    """The registry of Ada's machine, over HTTP, for those with a password; and a clone of it."""

    url: str
    clone: Path
    secrets: dict[str, Path]


@pytest.fixture(scope="module")
def shared(
    root: Root, tmp_path_factory: pytest.TempPathFactory, git: Git, dvc: Git
) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    home = root.folder / "home" / "ada"
    for name in ("payments.git", "storage"):
        # Not with its owner: git serves nobody another's repository.
        subprocess.run(("cp", "-r", str(home / name), str(folder)), check=True)
    with web.serving_git() as git_server, web.serving_dvc() as dvc_server:
        clone = folder / "clone"
        git(folder, "clone", "--quiet", str(folder / "payments.git"), str(clone))
        remote = dvc_server.remote(folder / "storage")
        dvc(clone, "remote", "modify", "--quiet", "storage", "url", remote["url"])
        dvc(clone, "remote", "modify", "--quiet", "storage", "auth", "basic")
        git(clone, "commit", "--quiet", "--all", "--message", "Keep the bytes where all reach them")
        git(clone, "push", "--quiet", "origin", "main")
        netrc, config = folder / "netrc", folder / "config"
        netrc.write_text(f"machine {LOOPBACK} login reader password {web.PASSWORDS['reader']}\n")
        config.write_text(
            f"['remote \"storage\"']\n    url = {remote['url']}\n    auth = basic\n"
            f"    user = reader\n    password = {web.PASSWORDS['reader']}\n"
        )
        url = git_server.git_url(folder / "payments.git")
        yield Shared(url, clone, {"netrc": netrc, "dvc": config})


@pytest.fixture(scope="module")
def image(bare_root: Root, shared: Shared) -> Image:
    """Build it, with the registry's address and mlv's wheel as arguments of the build."""
    template = templates.folder(templates.DOCKER) / "serving" / "Dockerfile"
    text = templates.fill(template.read_text(), templates.values("main", "", b"", ""))
    made = Image(bare_root)
    made.build(text, {"REGISTRY": shared.url, "MLV_PACKAGES": "mlv[serve]"}, shared.secrets)
    return made


def ask(url: str, body: object = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:  # noqa: S310 - ours
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def answers(url: str) -> bool:
    try:
        return ask(f"{url}/ready")[0] == 200
    except OSError:
        return False


@contextmanager
def container(image: Image, folder: Path, *args: str) -> Iterator[str]:
    """Run a container: only the cache and /tmp may be written to; give its address."""
    own = image.root.folder
    writable = {there: own / there[1:] for there in ("/tmp", image.env["MLV_CACHE"])}  # noqa: S108 - in there
    with started(image, folder, [*image.entrypoint, *args], image.env, writable) as url:
        yield url


@contextmanager
def started(
    image: Image,
    folder: Path,
    command: list[str],
    env: Mapping[str, str],
    writable: Mapping[str, Path],
) -> Iterator[str]:
    """Run a container's command, on a port that is free, until it is ready; give its address."""
    port = free_port()
    argv = image.root.argv(
        "env", "-i", *(f"{key}={value}" for key, value in {**ENV, **env}.items()),
        *(word.replace("--port 8000", f"--port {port}") for word in command),
        user=image.user, network=True, writable=writable,
    )  # fmt: skip
    url = f"http://{LOOPBACK}:{port}"
    with running(argv, folder, answers=lambda: answers(url)):
        yield url


@pytest.fixture
def credentials(image: Image, shared: Shared) -> Iterator[None]:
    """Let the files with passwords be where the image looks for them."""
    home = image.root.folder / "etc/mlv"
    for secret, name in (("netrc", ".netrc"), ("dvc", "config")):
        shutil.copy(shared.secrets[secret], home / name)
        shutil.chown(home / name, image.user)
    yield
    for path in home.iterdir():
        path.unlink()


def test_the_image_has_the_packages_and_the_files_of_what_is_live(image: Image) -> None:
    frozen = image.root.run("python", "-m", "pip", "list", "--format", "freeze").splitlines()
    found = list((image.root.folder / "var/lib/mlv").rglob("requirements.txt"))
    assert found
    for pin in found[0].read_text().splitlines():
        assert pin in frozen
    assert list((image.root.folder / "var/lib/mlv").rglob("model.pkl"))


def test_no_secret_and_no_left_over_is_in_the_image(image: Image) -> None:
    assert list((image.root.folder / "etc/mlv").iterdir()) == []
    assert list((image.root.folder / "tmp").iterdir()) == []
    password = web.PASSWORDS["reader"]
    for folder in ("etc", "var/lib/mlv", "tmp"):
        argv = ("grep", "-rqs", password, str(image.root.folder / folder))
        assert subprocess.run(argv, check=False).returncode == 1


@pytest.mark.usefixtures("credentials")
def test_it_serves_and_follows_a_rollback(
    image: Image, shared: Shared, tmp_path: Path, mlv: Callable[..., Any]
) -> None:
    with container(image, tmp_path, "--workers", "2") as url:
        code, answer = ask(f"{url}/predict", INPUT)
        assert (code, answer["version"]) == (200, "v2")
        start = time.monotonic()
        done = mlv(shared.clone, "rollback", "--push", "--wait", f"{url}/ready")
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - start < 30
        code, answer = ask(f"{url}/predict", INPUT)
        assert (code, answer["version"]) == (200, "v1")
        assert len(answer["predictions"]) == 2


@pytest.mark.usefixtures("credentials")
def test_a_pod_brings_what_is_live_and_installs_nothing_that_the_image_has(
    image: Image, shared: Shared, tmp_path: Path
) -> None:
    file = templates.folder(templates.KUBERNETES) / "serving" / "kubernetes.yaml"
    every = {each["kind"]: each for each in yaml.safe_load_all(file.read_text())}
    env = {**image.env, **every["ConfigMap"]["data"], "REGISTRY": shared.url}
    pod = every["Deployment"]["spec"]["template"]["spec"]
    [pull], [serve] = pod["initContainers"], pod["containers"]
    # Empty in the beginning, and the only folders that can be written to.
    mounts = [mount for mount in serve["volumeMounts"] if "readOnly" not in mount]
    writable = {mount["mountPath"]: tmp_path / mount["name"] for mount in mounts}
    for there, folder in writable.items():
        folder.mkdir()
        shutil.chown(folder, pod["securityContext"]["runAsUser"])
        (image.root.folder / there[1:]).mkdir(exist_ok=True)
    command = (*pull["command"], *pull["args"])
    said = image.root.run(*command, user=image.user, network=True, writable=writable, env=env)
    assert "Requirement already satisfied: scikit-learn==" in said
    assert "Installing collected packages" not in said
    with started(image, tmp_path, serve["command"] + serve["args"], env, writable) as url:
        assert ask(f"{url}/predict", INPUT)[0] == 200
        assert set(ask(f"{url}/ready")[1]["workers"]) == {ask(f"{url}/version")[1]["version"]}


def test_it_starts_where_git_cannot_be_reached(image: Image, tmp_path: Path) -> None:
    """The container has no password here, so that it is told nothing."""
    with container(image, tmp_path) as url:
        code, answer = ask(f"{url}/predict", INPUT)
        assert code == 200
        assert answer["version"] in ("v1", "v2")


def test_the_health_check_tells_a_server_from_none(image: Image, tmp_path: Path) -> None:
    with container(image, tmp_path) as url:
        port = url.rpartition(":")[2]
        check = [word.replace(":8000/", f":{port}/") for word in image.health]
        image.root.run(*check, network=True)
    with pytest.raises(AssertionError, match="Connection refused"):
        image.root.run(*check, network=True)


def has(url: str, tag: str) -> bool:
    """Whether MLflow at ``url`` says that a version is in production."""
    asked = f"{url}/api/2.0/mlflow/registered-models/alias?name=fraud&alias=champion"
    try:
        code, answer = ask(asked)
    except OSError:
        return False
    tags = answer["model_version"]["tags"] if code == 200 else []
    return {"key": "mlv.tag", "value": tag} in tags


@pytest.mark.usefixtures("credentials")
def test_mlflow_is_kept_in_step_also_by_a_container_that_was_started_again(
    image: Image,
    shared: Shared,
    tmp_path: Path,
    mlv: Callable[..., Any],
    caller_env: dict[str, str],
) -> None:
    file = templates.folder(templates.DOCKER) / "serving" / "compose.yaml"
    service = yaml.safe_load(file.read_text())["services"]["mlflow"]
    more = service["build"]["args"]["MLV_PACKAGES"].rpartition(" ")[2]
    image.root.run("python", "-m", "pip", "install", "--quiet", more)
    kept, scratch = tmp_path / "clones", tmp_path / "scratch"
    for folder in (kept, scratch):
        folder.mkdir()
        shutil.chown(folder, image.user)
    [volume], [tmpfs] = service["volumes"], service["tmpfs"]
    writable = {volume.partition(":")[2]: kept, tmpfs: scratch}
    # As often as it takes for a test.
    words = [each.replace("$$", "$").strip() + " --watch 0.2" for each in service["command"]]
    with mlflow.serving(tmp_path, "3", caller_env) as server:
        env = {**ENV, **image.env, "MLFLOW_TRACKING_URI": server.url}
        argv = image.root.argv(
            "env", "-i", *(f"{key}={value}" for key, value in env.items()),
            *service["entrypoint"], *words, user=image.user, network=True, writable=writable,
        )  # fmt: skip
        is_v1 = mlv(shared.clone, "current", "--quiet").stdout.strip() == "v1"
        live, other = ("fraud-v1", "fraud-v2") if is_v1 else ("fraud-v2", "fraud-v1")
        for _ in ("started", "started again"):
            with running(argv, scratch, answers=partial(has, server.url, live)):
                roll_back(mlv, shared.clone, other)
                wait_for(partial(has, server.url, other))
            roll_back(mlv, shared.clone, live)


def roll_back(mlv: Callable[..., Any], clone: Path, tag: str) -> None:
    done = mlv(clone, "rollback", "--to", tag, "--push")
    assert done.returncode == 0, done.stderr


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
