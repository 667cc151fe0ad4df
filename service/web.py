"""`/metrics`, `/livez` and `/readyz` over HTTP, in the receiver's own event loop.

`/livez` answers while the loop turns; it says nothing of NATS, so that an outage does not make a
supervisor kill a receiver that is holding events. `/readyz` is 200 when lines can be taken in and
events have somewhere to go.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.address import Address, split_address
from service.http_server import HttpServer, bind


class HttpConfig(BaseModel):
    """Metrics and health."""

    model_config = ConfigDict(extra="forbid")

    listen: Address = Field("127.0.0.1:9514", description="Address of metrics and health checks.")


class Health(BaseModel):
    """What `/readyz` answers from."""

    ready: bool
    detail: dict[str, Any]


class WebServer:
    """`start` once, then `stop` once."""

    def __init__(
        self,
        config: HttpConfig,
        metrics: Callable[[], Awaitable[bytes]],
        health: Callable[[], Awaitable[Health]],
    ) -> None:
        """`metrics`: as Prometheus reads them."""
        self._host, self._port = split_address(config.listen)
        self._metrics = metrics
        self._health = health
        self._server = HttpServer(self._configured())
        self.address = (self._host, self._port)

    def start(self, held: socket.socket | None = None) -> None:
        """`held`: a socket that listens already. Raises `OSError`."""
        sock = held or bind("http", self._host, self._port)
        self.address = sock.getsockname()[:2]
        self._server.start(sock)

    async def stop(self) -> None:
        await self._server.stop()

    def _configured(self) -> uvicorn.Config:
        app = Starlette(
            routes=[
                Route("/metrics", self._get_metrics),
                Route("/livez", self._get_live),
                Route("/readyz", self._get_ready),
                Route("/healthz", self._get_ready),
            ]
        )
        return uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )

    async def _get_metrics(self, request: Request) -> Response:
        return Response(await self._metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _get_live(self, request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _get_ready(self, request: Request) -> Response:
        health = await self._health()
        status = "ready" if health.ready else "not ready"
        return JSONResponse(
            {"status": status, **health.detail}, status_code=200 if health.ready else 503
        )
