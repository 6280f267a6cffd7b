"""An S3 server of our own that checks signatures: SeaweedFS."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.servers.processes import LOOPBACK, free_port, program, running
from tests.servers.storage import key_of, md5_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUCKET = "models"
ACTIONS = {
    "writer": ["Read", "Write", "List", "Tagging", "Admin"],
    "reader": ["Read", "List"],
}
TAIL = "-secret-of-the-tests"


@dataclass(frozen=True)
class S3Storage:
    """A remote that is a prefix in the bucket."""

    client: Any
    prefix: str

    def _named(self, md5: str) -> dict[str, str]:
        return {"Bucket": BUCKET, "Key": f"{self.prefix}/{key_of(md5)}"}

    def objects(self) -> set[str]:
        pages = self.client.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=BUCKET, Prefix=f"{self.prefix}/files/md5/")
        return {md5_of(each["Key"]) for page in found for each in page.get("Contents", ())}

    def read(self, md5: str) -> bytes:
        data: bytes = self.client.get_object(**self._named(md5))["Body"].read()
        return data

    def write(self, md5: str, data: bytes) -> None:
        self.client.put_object(**self._named(md5), Body=data)

    def remove(self, md5: str) -> None:
        self.client.delete_object(**self._named(md5))


@dataclass(frozen=True)
class S3:
    """A running server with one bucket."""

    port: int

    def credentials(self, who: str) -> dict[str, str]:
        """Return the DVC remote's options that are for ``.dvc/config.local``.

        The stranger has the writer's name and another secret.
        """
        if who == "stranger":
            return {"access_key_id": "writer", "secret_access_key": "a-guess"}
        return {"access_key_id": who, "secret_access_key": f"{who}{TAIL}"}

    def remote(self, place: Path, port: int | None = None) -> dict[str, str]:
        """Return the DVC remote's options that everybody shares."""
        return {
            "url": f"s3://{BUCKET}/{self.prefix(place)}",
            "endpointurl": f"http://{LOOPBACK}:{port or self.port}",
            "region": "us-east-1",
        }

    def prefix(self, place: Path) -> str:
        return "-".join(place.parts[1:])

    def storage(self, place: Path) -> S3Storage:
        return S3Storage(self.client, self.prefix(place))

    @cached_property
    def client(self) -> Any:
        """A client with the writer's rights."""
        from botocore.config import Config
        from botocore.session import Session

        keys = self.credentials("writer")
        return Session().create_client(
            "s3",
            endpoint_url=f"http://{LOOPBACK}:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            # Who waits for the server asks again by itself, and sooner.
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30),
        )

    def answers(self) -> bool:
        """Say whether an object can be kept: the gateway is up before what is behind it."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client.create_bucket(Bucket=BUCKET)
        except ClientError as error:
            if not error.response["Error"]["Code"].startswith("BucketAlready"):
                return False
        except BotoCoreError:
            return False
        try:
            self.client.put_object(Bucket=BUCKET, Key="awake", Body=b"yes")
        except (BotoCoreError, ClientError):
            return False
        return True


@contextmanager
def serving(folder: Path) -> Iterator[S3]:
    """Run a server while the block lasts."""
    weed = program("weed", "pip install 'mlv[servers]'")
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": f"{name}{TAIL}"}],
            "actions": actions,
        }
        for name, actions in ACTIONS.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir()
    s3 = S3(free_port())
    ports = {
        f"{each}.port{kind}": free_port()
        for each in ("master", "volume", "filer")
        for kind in ("", ".grpc")
    }
    ports |= {"s3.port": s3.port, "s3.port.grpc": free_port()}
    ports |= {"s3.port.iceberg": 0, "s3.port.lance": 0}  # off
    argv = [
        *(weed, "-logtostderr=true", f"-config_dir={folder}", "server"),
        *("-s3", f"-s3.config={folder}/s3.json", f"-dir={folder}/data"),
        *(f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-master.telemetry=false"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=100", "-volume.minFreeSpace=1MiB"),
        *(f"-{each}.localSocket={folder}/{each}.sock" for each in ("s3", "filer")),
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    with running(argv, folder, answers=s3.answers):
        yield s3
    s3.client.close()
