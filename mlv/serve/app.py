"""The HTTP side of `mlv serve`: one worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import anyio
from anyio.to_thread import run_sync
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from mlv.errors import RegistryError
from mlv.serve import requests
from mlv.serve.requests import BadRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mlv.domain.manifest import Manifest
    from mlv.predicting.predictor import Predictor
    from mlv.serve.board import Board
    from mlv.serve.live import LiveModel
    from mlv.serve.metrics import Metrics

_LOG = logging.getLogger("mlv.serve")
_THREADS = 4  # that predict at once in one worker
_WAITING = 128  # requests that wait for one of these; more are sent away
_GLANCE = 0.1  # seconds between two looks at the board
_LONGEST_WAIT = 300.0  # seconds
# What models raise at an input that is not theirs.
_BAD_INPUT = (ValueError, TypeError, KeyError, IndexError, AttributeError)
_SCHEMA = {
    "type": "object",
    "properties": {
        "data": {"type": "array", "items": {}, "description": "rows, or nested lists"},
        "columns": {"type": "array", "items": {"type": "string"}},
        "dtypes": {"type": "array", "items": {"type": "string"}},
        "dtype": {"type": "string"},
        "instances": {"type": "array", "items": {}, "description": "records or rows, alone"},
    },
}


class Worker(NamedTuple):
    """What one worker answers with; ``most`` is the largest body in bytes."""

    live: LiveModel
    board: Board
    metrics: Metrics
    most: int = 10_000_000

    def looked(self, live: LiveModel) -> None:
        """Tell the others, and count."""
        status = live.status()
        self.board.write(status)
        self.metrics.looked(
            status.model, status.swaps, status.failed_loads, status.failed_refreshes
        )

    def statuses(self) -> list[dict[str, Any]]:
        """What every worker that lives has loaded, this one first."""
        return [self.live.status()._asdict(), *self.board.others()]


def create_app(worker: Worker) -> FastAPI:
    """Make the application: it loads what is live before it answers the first request."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with worker.board.member():
            worker.live.on_look = worker.looked
            await run_sync(worker.live.begin)
            try:
                yield
            finally:
                await run_sync(worker.live.close)

    # No pages that would load scripts from elsewhere.
    app = FastAPI(title="mlv serve", docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_predict(app, worker)
    _add_state(app, worker)
    describe = app.openapi
    # A sample belongs to a version, and so does the example that it makes.
    app.openapi = lambda: _with_body(describe(), worker)  # type: ignore[method-assign]
    return app


def _with_body(api: dict[str, Any], worker: Worker) -> dict[str, Any]:
    """Add to a description what /predict takes, with the live version's sample as an example."""
    sample = worker.live.sample
    example = {"example": sample.input.to_dict()} if sample else {}
    content = {"application/json": {"schema": _SCHEMA, **example}}
    predict = api["paths"]["/predict"]["post"]
    body = {"requestBody": {"content": content, "required": True}}
    return {**api, "paths": {**api["paths"], "/predict": {"post": {**predict, **body}}}}


def _add_predict(app: FastAPI, worker: Worker) -> None:
    threads = anyio.CapacityLimiter(_THREADS)

    async def predict(request: Request) -> Response:
        start, asked = time.perf_counter(), _Asked(worker.live)
        try:
            asked.predictor()
        except RegistryError as error:
            response = _problem(503, error.message, {"Retry-After": "5"})
        else:
            if threads.statistics().tasks_waiting >= _WAITING:
                response = _problem(503, "too many requests wait", {"Retry-After": "1"})
            else:
                response = await _respond(asked, request, worker.most, threads)
        seconds = time.perf_counter() - start
        worker.metrics.request(worker.live.model, asked.version, response.status_code, seconds)
        return response

    app.add_api_route(
        "/predict",
        predict,
        methods=["POST"],
        summary="Ask the live model",
        response_class=JSONResponse,
        responses={
            400: {"description": "The body is not JSON"},
            413: {"description": "The body is too large"},
            422: {"description": "The model cannot take these values"},
            503: {"description": "No version is loaded, or too many requests wait"},
        },
    )


async def _respond(
    asked: _Asked, request: Request, most: int, threads: anyio.CapacityLimiter
) -> JSONResponse:
    try:
        body = await _body(request, most)
        return JSONResponse(await run_sync(asked.answer, body, limiter=threads))
    except BadRequest as error:
        return _problem(error.code, str(error))
    except ClientDisconnect:
        return _problem(400, "the connection ended before the body did")  # for the counts alone
    except Exception:  # noqa: BLE001 - what a model raises can be anything
        _LOG.exception("%s-%s failed", asked.model, asked.version)
        return _problem(500, "the model failed: the server's log says how")


async def _body(request: Request, most: int) -> bytes:
    too_large = BadRequest(413, f"the body is larger than {most} bytes")
    if int(request.headers.get("content-length") or 0) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)


class _Asked:
    """A request; ``version`` is the one that answers it, once that is known."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live
        self.model, self.version = live.model, ""

    def predictor(self) -> Predictor:
        """Give what is live now; `RegistryError` if nothing is loaded."""
        predictor = self._live.predictor
        self.version = predictor.version.name
        return predictor

    def answer(self, body: bytes) -> dict[str, Any]:
        """Ask what is live now: a body may have taken long to come, or waited for others."""
        predictor = self.predictor()
        given = requests.parse(body, predictor.sample)
        try:
            found = predictor.predict(given)
        except _BAD_INPUT as error:
            said = str(error).strip().partition("\n")[0]
            raise BadRequest(
                422, f"the model cannot take these values: {type(error).__name__}: {said}"
            ) from error
        except Exception:
            raise
        except BaseException as error:  # SystemExit, for one: it is the request's end alone
            raise RuntimeError(f"the model raised {type(error).__name__}") from error
        return {"model": self.model, "version": self.version, **requests.answer(found)}


def _problem(code: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    # A message may quote half a character, which no server can send.
    text = message.encode(errors="backslashreplace").decode()
    return JSONResponse({"detail": text}, code, headers)


def _add_state(app: FastAPI, worker: Worker) -> None:
    @app.get("/live", summary="Whether this process answers")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready", summary="Whether all workers have what is in production, or a version")
    async def ready(
        version: Annotated[str | None, Query(description="wait for this one: v3")] = None,
        timeout: Annotated[  # noqa: ASYNC109 - it is the client's
            float, Query(ge=0, le=_LONGEST_WAIT, description="seconds to wait for a version")
        ] = 0.0,
    ) -> JSONResponse:
        deadline = time.monotonic() + timeout
        while True:
            facts, is_ready = await run_sync(_readiness, worker, version)
            if is_ready or time.monotonic() >= deadline or worker.live.is_stopped:
                return JSONResponse(facts, 200 if is_ready else 503)
            if version is not None:
                worker.live.nudge()
            await asyncio.sleep(_GLANCE)

    @app.get("/version", summary="What this worker has loaded")
    async def version() -> JSONResponse:
        try:
            manifest = worker.live.predictor.manifest
        except RegistryError as error:
            return _problem(503, error.message)
        return JSONResponse(_described(manifest))

    @app.get("/metrics", summary="Counts, as Prometheus reads them")
    async def metrics() -> Response:
        text = await run_sync(worker.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _readiness(worker: Worker, version: str | None) -> tuple[dict[str, Any], bool]:
    every = worker.statuses()
    own = every[0]
    wanted = own["wanted"] if version is None else version.removeprefix(f"{own['model']}-")
    is_ready = wanted is not None and all(status["version"] == wanted for status in every)
    facts = {
        "ready": is_ready,
        "model": own["model"],
        "loaded": own["version"],
        "wanted": own["wanted"],
        "workers": [status["version"] for status in every],
    }
    heard = every[:1] if is_ready else every  # what others wrote may be of the moment before
    trouble = next((status["trouble"] for status in heard if status["trouble"]), "")
    return {**facts, **({"trouble": trouble} if trouble else {})}, is_ready


def _described(manifest: Manifest) -> dict[str, Any]:
    data = manifest.data
    keys = ("model", "version", "registered_at", "metrics", "metadata")
    commit = data["lineage"].get("commit")
    sums = {role: artifact.sha256 for role, artifact in manifest.artifacts.items()}
    return {**{key: data[key] for key in keys}, "commit": commit, "sha256": sums}
