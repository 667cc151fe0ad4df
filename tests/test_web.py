"""`/metrics`, `/livez`, `/readyz`, asked over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.metrics import Metrics
from service.web import Health, HttpConfig, WebServer
from tests.metric_values import value


class Site:
    def __init__(self, listen: str = "127.0.0.1:0") -> None:
        self.metrics = Metrics()
        self.health = Health(ready=True, detail={"listening": True, "nats": {"connected": False}})
        self.scrapes = 0
        self.server = WebServer(HttpConfig(listen=listen), self._render, self._health)

    async def _render(self) -> bytes:
        self.scrapes += 1
        self.metrics.kernel_dropped(1)
        return self.metrics.render()

    async def _health(self) -> Health:
        return self.health

    async def send(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection(*self.server.address)
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, body

    async def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        return await self.send(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )


@asynccontextmanager
async def site(listen: str = "127.0.0.1:0") -> AsyncIterator[Site]:
    made = Site(listen)
    made.server.start()
    try:
        yield made
    finally:
        async with asyncio.timeout(10):
            await made.server.stop()


async def test_metrics() -> None:
    async with site() as made:
        status, headers, body = await made.get("/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=")
        # What must be asked for is asked for before it is told.
        assert value(body.decode(), "udp_kernel_drops_total") == 1
        assert made.scrapes == 1


async def test_alive_says_nothing_of_nats() -> None:
    async with site() as made:
        made.health = Health(ready=False, detail={})
        status, headers, body = await made.get("/livez")
        assert status == 200
        assert headers["content-type"] == "application/json"
        assert json.loads(body) == {"status": "alive"}


@pytest.mark.parametrize("path", ["/readyz", "/healthz"])
async def test_a_receiver_that_is_ready(path: str) -> None:
    async with site() as made:
        status, _, body = await made.get(path)
        assert status == 200
        assert json.loads(body) == {
            "status": "ready",
            "listening": True,
            "nats": {"connected": False},
        }
        made.health = Health(ready=False, detail={"listening": False})
        status, _, body = await made.get(path)
        assert status == 503
        assert json.loads(body) == {"status": "not ready", "listening": False}


async def test_anything_else_is_refused_and_the_server_goes_on() -> None:
    async with site() as made:
        assert (await made.get("/"))[0] == 404
        assert (await made.send(b"\x16\x03\x01\x00\xff\r\n\r\n"))[0] == 400
        post = (
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        assert (await made.send(post))[0] == 405
        _, headers, _ = await made.get("/livez")
        assert "server" not in headers


async def test_ipv6() -> None:
    async with site("[::1]:0") as made:
        assert made.server.address[0] == "::1"
        assert (await made.get("/livez"))[0] == 200


async def test_an_address_in_use_is_named() -> None:
    async with site() as made:
        host, port = made.server.address
        with pytest.raises(OSError, match=f"http 127.0.0.1:{port}: "):
            Site(f"{host}:{port}").server.start()


def test_a_name_that_no_host_can_have() -> None:
    with pytest.raises(OSError, match=r"http a\.\.b:1: "):
        Site("a..b:1").server.start()


async def test_stop_before_it_has_begun_to_serve() -> None:
    """As when a listener cannot be bound: the process must end all the same."""
    made = Site()
    made.server.start()
    async with asyncio.timeout(10):
        await made.server.stop()


async def test_stop_without_ever_serving() -> None:
    await Site().server.stop()
