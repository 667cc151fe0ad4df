"""Before and around every answer: the door, and the headers that keep a browser from being misled.

The policy allows scripts, styles and connections of this server only, nothing inline, no frames,
and (`require-trusted-types-for`) no way from text to markup: should a line of the log ever get to a
place where a browser would read it as HTML, nothing runs.
"""

from time import time

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.board.door import COOKIE, Door

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
_OPEN_PATHS = ("/login", "/livez")
_OPEN_PREFIX = "/static/"
"""The page's own code, which tells nothing of any mail."""
_DATA_PREFIX = "/api/"
_OWN_SITES = ("same-origin", "none")
"""`Sec-Fetch-Site` of our page and of somebody's typing (Fetch Metadata, W3C)."""


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._door.knows_host(headers.get("host")):
            return PlainTextResponse(
                "This board is not known by that name. If it should be, add the name to "
                "board.hosts in its configuration.\n",
                status_code=421,
            )
        path: str = scope["path"]
        is_data = path.startswith(_DATA_PREFIX)
        own = headers.get("sec-fetch-site", "none") in _OWN_SITES
        if not own and (is_data or scope["method"] not in ("GET", "HEAD")):
            return PlainTextResponse("Only the board's own page may ask for this.\n", 403)
        if path in _OPEN_PATHS or path.startswith(_OPEN_PREFIX):
            return None
        peer = scope["client"][0] if scope.get("client") else None
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if self._door.lets_in(peer, headers, cookie, time()):
            return None
        if path == "/" and self._door.has_token:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse("/login" + (f"?{query}" if query else ""), 303)
        return PlainTextResponse(
            "Not signed in.\n", 401, headers={"WWW-Authenticate": 'Bearer realm="mailfault board"'}
        )
