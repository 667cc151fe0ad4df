"""The board over HTTP: who gets what, and which headers every answer has."""

from tests.board.site import (
    TOKEN,
    Answer,
    ask,
    board,
    local,
)
from tests.serve import NOWHERE

DATA = ("/api/events", "/api/events/1", "/api/stream")


async def test_what_every_answer_has() -> None:
    async with local(token=TOKEN) as made:
        at = made.address("board")
        for path, status in (
            ("/", 303),
            ("/login", 200),
            ("/livez", 200),
            ("/static/main.js", 200),
            ("/static/nothing.js", 404),
            ("/static/..%2fpages.py", 404),
            ("/api/events", 401),
            ("/nowhere", 401),
        ):
            answer = await ask(at, path)
            assert answer.status == status, path
            policy = answer.headers["content-security-policy"]
            for part in ("default-src 'none'", "script-src 'self';", "frame-ancestors 'none'",
                         "require-trusted-types-for 'script'", "base-uri 'none'"):  # fmt: skip
                assert part in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-frame-options"] == "DENY"


async def test_by_another_name_it_answers_nothing() -> None:
    async with local(hosts="board.example") as made:
        at = made.address("board")
        for path in ("/", "/livez", "/static/main.js", *DATA):
            assert (await ask(at, path, Host="evil.example")).status == 421
        assert "board.hosts" in (await ask(at, "/", Host="evil.example")).text
        assert (await ask(at, "/", Host="board.example:80")).status == 200


async def test_pages_of_others_cannot_ask_for_data() -> None:
    async with local() as made:
        at = made.address("board")
        for site in ("cross-site", "same-site"):
            for path in DATA:
                assert (await ask(at, path, Sec_Fetch_Site=site)).status == 403
            assert (await ask(at, "/login", "POST", Sec_Fetch_Site=site, body="x")).status == 403
            assert (await ask(at, "/", Sec_Fetch_Site=site)).status == 200  # a link to us
        assert (await ask(at, "/api/events", Sec_Fetch_Site="same-origin")).status == 200


async def test_tokens() -> None:
    async with board(NOWHERE, "--token", TOKEN) as made:
        at = made.address("board")
        refused = await ask(at, "/api/events")
        assert (refused.status, refused.headers["www-authenticate"][:6]) == (401, "Bearer")
        assert (await ask(at, "/api/events", Authorization=f"Bearer {TOKEN}")).status == 200
        home = await ask(at, "/")
        assert (home.status, home.headers["location"]) == (303, "/login")

        def cookie_of(answer: Answer) -> str:
            assert (answer.status, answer.headers["location"]) == (303, "/")
            cookie, *terms = answer.headers["set-cookie"].split("; ")
            assert {"HttpOnly", "SameSite=lax"} <= set(terms)
            assert TOKEN not in cookie
            return cookie

        follow = await ask(at, f"/?token={TOKEN}")
        cookies = [cookie_of(await ask(at, follow.headers["location"]))]
        cookies.append(cookie_of(await ask(at, "/login", "POST", body=f"token={TOKEN}")))
        for cookie in cookies:
            assert (await ask(at, "/api/events", Cookie=f"other=1; {cookie}")).status == 200
            signed_in = await ask(at, f"/?token={TOKEN}", Cookie=cookie)
            assert signed_in.headers["location"] == "/"  # out of the address bar
        for body, status in (("token=wrong", 403), ("", 403), ("x" * 5000, 413), ("%ff", 403)):
            answer = await ask(at, "/login", "POST", body=body or "=")
            assert (answer.status, "set-cookie" in answer.headers) == (status, False)
            assert ("That token is not the one" in answer.text) is (status == 403)
            assert "<!--" not in answer.text
        said = await made.said("sign_in_refused", 3)
        assert said["peer"] == "127.0.0.1"
        out = await ask(at, "/logout", "POST", Cookie=cookies[0])
        assert "Max-Age=0" in out.headers["set-cookie"]
        assert TOKEN not in str(made.log)


async def test_a_proxy_that_is_trusted() -> None:
    async with local(proxy_header="X-User", proxy_from="127.0.0.1") as made:
        at = made.address("board")
        assert (await ask(at, "/")).status == 401
        assert (await ask(at, "/", X_User="anna")).status == 200
        assert (await ask(at, "/", X_Forwarded_User="anna")).status == 401
        assert (await ask(at, "/login")).headers["location"] == "/"
    async with local(proxy_header="X-User", proxy_from="192.0.2.1") as made:
        at = made.address("board")
        # Nor does anything that a client says of its address change where it comes from.
        assert (await ask(at, "/", X_User="anna", X_Forwarded_For="192.0.2.1")).status == 401


async def test_signing_in_where_nobody_has_to() -> None:
    async with local() as made:
        at = made.address("board")
        for answer in (
            await ask(at, "/login"),
            await ask(at, "/?token=x"),
            await ask(at, "/login", "POST", body="token=x"),
            await ask(at, "/logout", "POST"),
        ):
            assert (answer.status, answer.headers["location"]) == (303, "/")


async def test_secure_cookie() -> None:
    async with local(token=TOKEN, secure_cookie=True) as made:
        answer = await ask(made.address("board"), "/login", "POST", body=f"token={TOKEN}")
        assert "Secure" in answer.headers["set-cookie"]
