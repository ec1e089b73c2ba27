"""The REST API: the original's three routes in its shapes, and the health."""

from pathlib import PurePath
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from optimus import __version__
from optimus.errors import OutputUnavailableError
from optimus.queue.reading import QueueReader
from optimus.registry import Registry
from optimus.scheduler import Wishes
from optimus.service import FileService, Service
from optimus.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
SECONDS_FOR_A_SCAN = 30.0
STARTED = "%Y-%m-%d %H:%M:%S"
COMPLETED = "%Y%m%d %H:%M:%S"


def create_app(
    queue: QueueReader, registry: Registry, wishes: Wishes, settings: Settings
) -> FastAPI:
    """Make the application.

    Args:
        queue: what the answers are read from.
        registry: the services to tell of.
        wishes: how a scan is asked for.
        settings: the address it will be served at.
    """
    app = FastAPI(title="Optimus Ingestor", version=__version__, docs_url=None, redoc_url=None)
    if settings.api_host in LOOPBACK:
        # A page in the operator's browser could otherwise reach this under a name of its own.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))

    @app.get("/")
    def root() -> dict[str, Any]:
        """Say that the ingestion is running, in the original's words."""
        return {"response": "Ingestion running", "statuscode": 200}

    @app.get("/status")
    def status() -> dict[str, Any]:
        """What each service is doing, in the original's shape."""
        return {"response": {s.spelled: _legacy_status(queue, s) for s in registry.services}}

    @app.get("/newdata")
    def newdata(request: Request) -> dict[str, Any]:
        """Look through the data folders now, and answer when that is done."""
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise HTTPException(403)
        if wishes.ask_for_scan(SECONDS_FOR_A_SCAN):
            return {"response": "Data successfully queued", "statuscode": 200}
        return {"response": "Could not queue data", "statuscode": 500}

    @app.get("/health")
    def health() -> JSONResponse:
        """Whether the loop that ingests is alive, and what has failed."""
        failed = len(queue.failures())
        alive = wishes.is_alive()
        body = {"status": "ok" if alive else "stalled", "version": __version__, "failed": failed}
        return JSONResponse(body, status_code=200 if alive else 503)

    @app.exception_handler(HTTPException)
    def refuse(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(
            {"response": "error", "statuscode": error.status_code}, status_code=error.status_code
        )

    @app.exception_handler(OutputUnavailableError)
    def no_queue(_request: Request, error: OutputUnavailableError) -> JSONResponse:
        """The queue does not answer: the daemon waits for it, and says so."""
        body = {"response": "error", "statuscode": 503, "status": "degraded", "reason": str(error)}
        return JSONResponse(body, status_code=503)

    return app


def _legacy_status(queue: QueueReader, service: Service) -> dict[str, Any]:
    states = queue.states().get(service.name, {})
    running = queue.sources(service.name, ["running"])
    waiting = states.get("queued", 0)
    now = running[0] if running else None
    is_file = isinstance(service, FileService)
    completed = queue.last_completed(service.name)
    return {
        "name": service.spelled,
        "status": "running" if now else "sleeping" if waiting else "stopped",
        "task": "file" if now and is_file else "",
        "file": PurePath(now.path).name if now and is_file else "",
        "startdate": now.started_date.strftime(STARTED) if now else "",
        "lastcompletedate": completed.strftime(COMPLETED) if completed else "",
        "tasksleft": waiting + len(running),
    }
