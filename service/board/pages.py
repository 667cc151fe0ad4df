"""What the server answers: the page and its files, the feed, lists of events, one event in full."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import parse_qs

import orjson
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import schemas
from service.board.door import COOKIE, COOKIE_SECONDS, Door
from service.board.feed import ROWS, Feed, FullError
from service.board.guard import Guard
from service.board.picture import Picture
from service.board.reader import AwayError, GoneError, StreamReader
from service.board.summary import KINDS, Summary, summarise
from service.board.wanted import Wanted

log = structlog.get_logger(__name__)

_STATIC = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_RANGES = {"1h": 3600.0, "6h": 21_600.0}
"""Besides the whole history."""
_FORM_MAX_BYTES = 4096
_NO_STORE = {"Cache-Control": "no-store"}


class Pages:
    def __init__(
        self,
        picture: Picture,
        feed: Feed,
        reader: StreamReader,
        door: Door,
        history: float,
        secure_cookie: bool,
    ) -> None:
        self._picture = picture
        self._feed = feed
        self._reader = reader
        self._door = door
        self._history = history
        self._secure_cookie = secure_cookie
        self._files = {
            path.name: _File(path.read_bytes(), _TYPES[path.suffix]) for path in _STATIC.iterdir()
        }
        self._refused = _refused((_STATIC / "login.html").read_bytes())

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/login", self._login_page),
                Route("/login", self._login, methods=["POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                Route("/static/{name}", self._static),
                Route("/livez", self._live),
                Route("/api/stream", self._stream),
                Route("/api/events", self._events),
                Route("/api/events/{seq:int}", self._event),
            ],
            middleware=[Middleware(Guard, door=self._door)],
        )

    async def _live(self, request: Request) -> Response:
        return _json({"status": "alive"})

    async def _index(self, request: Request) -> Response:
        if "token" in request.query_params:  # out of the address bar, and of what is bookmarked
            return self._show_token(request, request.query_params["token"])
        return self._files["index.html"].answer(request)

    async def _static(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        return PlainTextResponse("No such file.\n", 404) if file is None else file.answer(request)

    # Signing in

    async def _login_page(self, request: Request) -> Response:
        if not self._door.has_token:
            return RedirectResponse("/", 303)
        if "token" in request.query_params:
            return self._show_token(request, request.query_params["token"])
        return self._files["login.html"].answer(request)

    async def _login(self, request: Request) -> Response:
        body = b""
        try:
            async for part in request.stream():
                body += part
                if len(body) > _FORM_MAX_BYTES:
                    return PlainTextResponse("Too long.\n", 413)
        except ClientDisconnect:
            return Response(status_code=400)
        form = parse_qs(body.decode("utf-8", "replace"))
        return self._show_token(request, form.get("token", [""])[0].strip())

    def _show_token(self, request: Request, token: str) -> Response:
        if self._door.is_open:
            return RedirectResponse("/", 303)
        if not self._door.is_token(token):
            peer = request.client.host if request.client else None
            log.warning("sign_in_refused", peer=peer)
            return self._refused.answer(request, 403)
        answer = RedirectResponse("/", 303, headers=_NO_STORE)
        answer.set_cookie(
            COOKIE,
            self._door.cookie(time()),
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=self._secure_cookie,
        )
        return answer

    async def _logout(self, request: Request) -> Response:
        answer = RedirectResponse("/login" if self._door.has_token else "/", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=self._secure_cookie)
        return answer

    # Data

    async def _stream(self, request: Request) -> Response:
        seconds = _RANGES.get(request.query_params.get("range", ""), self._history)
        return _FrameResponse(self._feed, Wanted.of(request.query_params), seconds)

    async def _events(self, request: Request) -> Response:
        wanted = Wanted.of(request.query_params)
        before = request.query_params.get("before", "")
        is_number = before.isascii() and before.isdecimal() and len(before) <= 20
        events, more = self._picture.recent.newest(
            wanted, ROWS, before=int(before) if is_number else None
        )
        return _json({"events": [event.row() for event in events], "more": more})

    async def _event(self, request: Request) -> Response:
        seq: int = request.path_params["seq"]
        if not 0 < seq < 2**63:
            return _json({"error": "gone"}, 404)
        try:
            body = await self._reader.event(seq)
            event = schemas.decode(body)
        except AwayError:
            return _json({"error": "away"}, 503)
        except (GoneError, schemas.DecodeError):
            return _json({"error": "gone"}, 404)
        if event.event_type not in KINDS:
            return _json({"error": "gone"}, 404)
        story = await self._story(summarise(seq, event))
        return _json(
            {
                "seq": seq,
                "event": orjson.loads(body),
                "story": [{**part.row(), "sender": part.sender} for part in story],
            }
        )

    async def _story(self, of: Summary) -> list[Summary]:
        """What the list has, and the attempts of an open recipient that it no longer has."""
        known = {part.seq: part for part in (of, *self._picture.recent.story(of))}
        for seq in self._picture.waiting.attempts_of(of):
            if seq not in known:
                try:
                    earlier = schemas.decode(await self._reader.event(seq))
                except (AwayError, GoneError, schemas.DecodeError):
                    continue
                known[seq] = summarise(seq, earlier)
        return sorted(known.values(), key=lambda part: (part.at, part.seq))


class _File:
    """Read once; asked for again with its tag it is not sent again."""

    def __init__(self, body: bytes, media_type: str) -> None:
        self._body = body
        self._tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._type = media_type

    def answer(self, request: Request, status: int = 200) -> Response:
        headers = {"ETag": self._tag, "Cache-Control": "no-cache"}
        if status == 200 and request.headers.get("if-none-match") == self._tag:
            return Response(status_code=304, headers=headers)
        return Response(self._body, status, headers=headers, media_type=self._type)


def _refused(login: bytes) -> _File:
    """The page to sign in at, with what it says to a wrong token, which it has in a comment."""
    page = login.replace(b"<!-- refused: ", b"").replace(b" -->", b"")
    return _File(page, _TYPES[".html"])


class _FrameResponse(Response):
    """One page's feed, until it goes or we do. Where it reads slowly `send` waits, and where it
    does not read at all the kernel ends the connection (`TCP_USER_TIMEOUT`)."""

    def __init__(self, feed: Feed, wanted: Wanted, seconds: float) -> None:
        self._feed = feed
        self._wanted = wanted
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._feed.seat():
                await self._send_all(scope, receive, send)
        except FullError:
            full = PlainTextResponse("As many pages are open as board.clients allows.\n", 503)
            await full(scope, receive, send)

    async def _send_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Mapping[str, str] = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-store",
            "x-accel-buffering": "no",  # nginx would collect the events
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        gone = asyncio.ensure_future(_until_gone(receive))
        frames = self._feed.frames(self._wanted, self._seconds)
        try:
            async for frame in frames:
                if gone.done():
                    break
                await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            await frames.aclose()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, headers=_NO_STORE, media_type="application/json")
