"""Bringing objects from S3 in parts, several at once, in memory that does not grow with them.

s3fs by itself either asks for the whole first, and breaks that off, or holds half a gigabyte.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.store.hashing import Progress

_PART = 16 * 1024 * 1024
_AT_ONCE = 4  # parts of the one large object that is brought at a time
_CHUNK = 256 * 1024
_ATTEMPTS = 3
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the MD5 of nothing, of which S3 gives no part


class Parts:
    """Objects of one S3 client, an ``s3fs`` file system; used within its event loop."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._large = asyncio.Lock()

    async def bring(self, path: str, md5: str, target: Path, progress: Progress) -> str:
        """Write an object to the new file ``target``, and give its SHA-256.

        `FileNotFoundError` if it is not there.
        """
        target.open("xb").close()
        digest = hashlib.sha256()
        if md5 != _EMPTY:
            total = await self._part(path, 0, target)
            await _follow(target, 0, total, digest, progress)
            if total > _PART:
                async with self._large:
                    await self._rest(path, total, target, digest, progress)
        return digest.hexdigest()

    async def _rest(
        self, path: str, total: int, target: Path, digest: hashlib._Hash, progress: Progress
    ) -> None:
        coming: deque[tuple[int, asyncio.Task[int]]] = deque()
        starts = iter(range(_PART, total, _PART))
        try:
            while True:
                while len(coming) < _AT_ONCE and (start := next(starts, None)) is not None:
                    part = asyncio.ensure_future(self._part(path, start, target))
                    coming.append((start, part))
                if not coming:
                    return
                start, part = coming[0]
                await part
                coming.popleft()
                await _follow(target, start, total, digest, progress)
        finally:
            for _, part in coming:
                part.cancel()

    async def _part(self, path: str, start: int, target: Path) -> int:
        """Write one part to its place in the file, and give the size of the whole."""
        from s3fs.core import S3_RETRYABLE_ERRORS

        for attempt in range(_ATTEMPTS):
            try:
                return await self._try(path, start, target)
            except S3_RETRYABLE_ERRORS:
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(attempt + 1)
        raise AssertionError  # the last attempt returned or raised

    async def _try(self, path: str, start: int, target: Path) -> int:
        bucket, key, _ = self._s3.split_path(path)
        span = f"bytes={start}-{start + _PART - 1}"
        answer = await self._s3._call_s3(  # noqa: SLF001 - with s3fs's credentials, retries and errors
            "get_object", Bucket=bucket, Key=key, Range=span, **self._s3.req_kw
        )
        with target.open("r+b") as file:
            file.seek(start)
            async with answer["Body"] as body:
                while chunk := await body.read(_CHUNK):
                    file.write(chunk)
            end = file.tell()
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        return int(total) if total.isdigit() else end


async def _follow(
    target: Path, start: int, size: int, digest: hashlib._Hash, progress: Progress
) -> None:
    """Hash a part that is written, of an object of ``size`` bytes."""

    def follow() -> int:
        left = _PART
        with target.open("rb", buffering=0) as file:
            file.seek(start)
            while data := file.read(min(left, _CHUNK)):
                digest.update(data)
                left -= len(data)
        return _PART - left

    # What is small is sooner done than handed to a thread.
    progress(follow() if size <= _CHUNK else await asyncio.to_thread(follow))
