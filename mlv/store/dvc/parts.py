"""Bringing objects from S3 in parts, several at once, in memory that does not grow with them.

s3fs by itself either asks for the whole first, and breaks that off, or holds half a gigabyte.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.store.hashing import Progress

_PART = 4 * 1024 * 1024
_AHEAD = 8  # parts of the one large object that is brought at a time
_ATTEMPTS = 3
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the MD5 of nothing, of which S3 gives no part


class _Part(NamedTuple):
    data: bytes
    total: int


class Parts:
    """Objects of one S3 client, an ``s3fs`` file system; used within its event loop."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._large = asyncio.Lock()

    async def bring(self, path: str, md5: str, target: Path, progress: Progress) -> str:
        """Write an object to the new file ``target``, and give its SHA-256.

        `FileNotFoundError` if it is not there.
        """
        if md5 == _EMPTY:
            _open(target).close()
            return hashlib.sha256().hexdigest()
        first = await self._part(path, 0)
        digest = hashlib.sha256(first.data)
        with _open(target) as file:
            file.write(first.data)
            progress(len(first.data))
            if first.total > _PART:
                async with self._large:
                    await self._rest(path, first.total, file, digest, progress)
        return digest.hexdigest()

    async def _rest(
        self, path: str, total: int, file: IO[bytes], digest: hashlib._Hash, progress: Progress
    ) -> None:
        coming: deque[asyncio.Task[_Part]] = deque()
        starts = iter(range(_PART, total, _PART))

        def write(data: bytes) -> None:
            file.write(data)
            digest.update(data)

        try:
            while True:
                while len(coming) < _AHEAD and (start := next(starts, None)) is not None:
                    coming.append(asyncio.ensure_future(self._part(path, start)))
                if not coming:
                    return
                part = await coming.popleft()
                await asyncio.to_thread(write, part.data)
                progress(len(part.data))
        finally:
            for task in coming:
                task.cancel()

    async def _part(self, path: str, start: int) -> _Part:
        from s3fs.core import S3_RETRYABLE_ERRORS

        bucket, key, _ = self._s3.split_path(path)
        span = f"bytes={start}-{start + _PART - 1}"
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self._s3._call_s3(  # noqa: SLF001 - with s3fs's credentials, retries and errors
                    "get_object", Bucket=bucket, Key=key, Range=span, **self._s3.req_kw
                )
                async with answer["Body"] as body:
                    data = await body.read()
            except S3_RETRYABLE_ERRORS:
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(attempt + 1)
                continue
            total = str(answer.get("ContentRange", "")).rpartition("/")[2]
            return _Part(data, int(total) if total.isdigit() else start + len(data))
        raise AssertionError  # the last attempt returned or raised


def _open(path: Path) -> IO[bytes]:
    return path.open("xb", buffering=0)
