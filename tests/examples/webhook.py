"""A webhook: an HTTP server that keeps what it accepted, and can refuse, be slow or be away."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Self

_SECONDS = 30.0


@dataclass(frozen=True)
class Post:
    path: str
    headers: dict[str, str]
    body: Any
    status: int
    """What it was answered with; 0 where it got no answer."""

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


class Webhook:
    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answers: Callable[[Post], int] = lambda _: 200
        """The status for a post; 0 leaves the client without an answer."""
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._closing = Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=a%20b"

    @property
    def accepted(self) -> list[Post]:
        return [post for post in self.posts if post.status == 200]

    def up(self) -> Self:
        """On the port it had before."""
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                post = Post(self.path, dict(self.headers), body, 0)
                status = webhook.answers(post)
                webhook._loop.call_soon_threadsafe(
                    webhook._keep, Post(post.path, post.headers, post.body, status)
                )
                if status == 0:
                    webhook._closing.wait()
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._closing.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    async def down(self) -> None:
        """Connections are refused from now on."""
        if self._server is not None:
            self._closing.set()
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()
            self._server = None

    def _keep(self, post: Post) -> None:
        self.posts.append(post)
        asyncio.ensure_future(self._notify())  # noqa: RUF006  # ends at once

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, is_true: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(_SECONDS), self._changed:
                await self._changed.wait_for(is_true)
        except TimeoutError:
            raise AssertionError(f"came: {self.posts}") from None


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    made = Webhook().up()
    try:
        yield made
    finally:
        await made.down()
