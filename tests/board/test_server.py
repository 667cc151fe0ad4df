"""The board over HTTP: who gets what, with which headers; pages without a browser; its end."""

import asyncio
import signal
import socket
from pathlib import Path

import pytest

import schemas
from schemas import BouncedEvent, DeferredEvent, RejectEvent
from schemas.samples import example
from tests.board.site import (
    TOKEN,
    Answer,
    ask,
    board,
    feed,
    jetstream,
    local,
    make_stream,
    publish,
    publish_many,
)
from tests.board.traffic import now
from tests.cli.run import MAILFAULT, environment
from tests.deploy.guarded_nats import PASSWORD, guarded_nats, operator
from tests.serve import Serve

NOWHERE = "nats://127.0.0.1:1"
PAGE = "/"
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


async def test_files_are_not_sent_twice() -> None:
    async with local() as made:
        at = made.address("board")
        first = await ask(at, PAGE)
        assert first.status == 200
        assert first.headers["content-type"].startswith("text/html")
        again = await ask(at, PAGE, If_None_Match=first.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        for path, kind in (("main.js", "text/javascript"), ("board.css", "text/css")):
            file = await ask(at, f"/static/{path}")
            assert file.headers["content-type"].startswith(kind)


async def test_nothing_in_the_page_is_inline_or_from_elsewhere() -> None:
    static = Path(__file__).parents[2] / "service" / "board" / "static"
    for file in static.iterdir():
        text = file.read_text()
        if file.suffix == ".html":
            assert " style=" not in text
            assert " on" + "click" not in text
            assert text.count("<script") == text.count('<script type="module" src="/static/')
        for word in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://"):
            assert word not in text, (file.name, word)
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), file.name


async def test_by_another_name_it_answers_nothing() -> None:
    async with local(hosts="board.example") as made:
        at = made.address("board")
        for path in (PAGE, "/livez", "/static/main.js", *DATA):
            assert (await ask(at, path, Host="evil.example")).status == 421
        assert "board.hosts" in (await ask(at, PAGE, Host="evil.example")).text
        assert (await ask(at, PAGE, Host="board.example:80")).status == 200


async def test_pages_of_others_cannot_ask_for_data() -> None:
    async with local() as made:
        at = made.address("board")
        for site in ("cross-site", "same-site"):
            for path in DATA:
                assert (await ask(at, path, Sec_Fetch_Site=site)).status == 403
            assert (await ask(at, "/login", "POST", Sec_Fetch_Site=site, body="x")).status == 403
            assert (await ask(at, PAGE, Sec_Fetch_Site=site)).status == 200  # a link to us
        assert (await ask(at, "/api/events", Sec_Fetch_Site="same-origin")).status == 200


async def test_tokens() -> None:
    async with board(NOWHERE, "--token", TOKEN) as made:
        at = made.address("board")
        for path in DATA[:1]:
            answer = await ask(at, path)
            assert (answer.status, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
            bearer = await ask(at, path, Authorization=f"Bearer {TOKEN}")
            assert bearer.status == 200
        home = await ask(at, PAGE)
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
        refused = await made.said("sign_in_refused", 3)
        assert refused["peer"] == "127.0.0.1"
        out = await ask(at, "/logout", "POST", Cookie=cookies[0])
        assert "Max-Age=0" in out.headers["set-cookie"]
        assert TOKEN not in str(made.log)


async def test_a_proxy_that_is_trusted(tmp_path: Path) -> None:
    async with local(proxy_header="X-User", proxy_from="127.0.0.1") as made:
        at = made.address("board")
        assert (await ask(at, PAGE)).status == 401
        assert (await ask(at, PAGE, X_User="anna")).status == 200
        assert (await ask(at, PAGE, X_Forwarded_User="anna")).status == 401
        assert (await ask(at, "/login")).headers["location"] == "/"
    async with local(proxy_header="X-User", proxy_from="192.0.2.1") as made:
        at = made.address("board")
        # Nor does anything that a client says of its address change where it comes from.
        assert (await ask(at, PAGE, X_User="anna", X_Forwarded_For="192.0.2.1")).status == 401


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


async def test_lists_and_single_events(tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), local(server.url) as made:
        at = made.address("board")
        seqs = await publish(client, *(now(recipient=f"{n}@x.example") for n in range(130)))
        async with feed(at, "range=1h&q=77@") as page:
            snapshot = await page.until(lambda data: data["picture"]["read"] == 130)
            assert snapshot["picture"]["totals"] == [0, 0, 130, 0, 0]
        found = (await ask(at, "/api/events")).json()
        assert (len(found["events"]), found["more"]) == (100, True)
        older = (await ask(at, f"/api/events?before={found['events'][-1]['seq']}")).json()
        assert ([row["seq"] for row in older["events"]], older["more"]) == (
            list(range(30, 0, -1)),
            False,
        )
        one = (await ask(at, "/api/events?q=77@&before=x")).json()["events"]
        assert [row["recipient"] for row in one] == ["77@x.example"]
        full = (await ask(at, f"/api/events/{seqs[77]}")).json()
        assert full["event"]["recipient"] == "77@x.example"
        assert full["event"]["mta"]["transport"] == "relp-tls"
        for gone in ("999", "0", str(2**63), str(10**30)):
            assert (await ask(at, f"/api/events/{gone}")).status == 404
        rollup = schemas.encode(example(schemas.RollupEvent))
        for seq, body in ((131, b"no event"), (132, rollup)):
            await client.jetstream().publish("postfix.other.x", body)
            assert (await ask(at, f"/api/events/{seq}")).status == 404


async def test_the_story_of_one_that_waits_reaches_beyond_the_list(tmp_path: Path) -> None:
    async with (
        jetstream(tmp_path) as (server, client),
        local(server.url, events=100) as made,
    ):
        at = made.address("board")
        [first] = await publish(client, now(DeferredEvent, attempt=1))
        await publish(client, *(now(RejectEvent) for _ in range(100)))
        [second] = await publish(client, now(DeferredEvent, attempt=2))
        async with feed(at) as page:
            await page.until(lambda data: data["picture"]["read"] == 102)
        assert (await ask(at, f"/api/events?before={first + 1}")).json()["events"] == []
        story = (await ask(at, f"/api/events/{second}")).json()["story"]
        assert [part["seq"] for part in story] == [first, second]
        await client.jetstream().delete_msg("POSTFIX", first)
        story = (await ask(at, f"/api/events/{second}")).json()["story"]
        assert [part["seq"] for part in story] == [second]


async def test_a_page_is_told_what_it_wants_and_no_more_at_once(tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), local(server.url) as made:
        at = made.address("board")
        async with feed(at, "type=reject") as rejects, feed(at, "type=bounced") as bounces:
            for page in (rejects, bounces):
                kind, snapshot = await page.next()
                assert (kind, snapshot["events"], snapshot["mtas"]) == ("snapshot", [], [])
            await publish(client, now(RejectEvent))
            told = await rejects.until(lambda data: data["events"])
            assert [row["kind"] for row in told["events"]] == ["reject"]
            told = await bounces.until(lambda data: data["picture"]["read"] == 1)
            assert told["events"] == []
            burst = [now(BouncedEvent) for _ in range(150)]
            publishing = [client.jetstream().publish(*_message(event)) for event in burst]
            await asyncio.gather(*publishing)
            seen: list[int] = []
            while not seen or seen[0] < 151:
                _, told = await bounces.next()
                assert len(told["events"]) <= 100
                seen = [row["seq"] for row in told["events"]] + seen
            assert seen == sorted(set(seen), reverse=True)


def _message(event: schemas.EventBase) -> tuple[str, bytes]:
    return f"postfix.{event.event_type}.x", schemas.encode(event)


async def test_so_many_pages_and_no_more() -> None:
    async with local(clients=2) as made:
        at = made.address("board")
        async with feed(at) as one, feed(at) as two:
            await one.next()
            await two.next()
            assert (await ask(at, "/api/stream")).status == 503
            assert (await ask(at, "/api/events")).status == 200
        # Their seats are free again once it is noticed that they are gone.
        async with asyncio.timeout(20):
            while True:
                async with feed(at) as page:
                    try:
                        kind, _ = await page.next(2)
                    except (EOFError, TimeoutError):
                        continue
                    break
        assert kind == "snapshot"


async def test_a_page_that_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    async with (
        jetstream(tmp_path) as (server, client),
        local(server.url, unread_seconds=1, clients=1) as made,
    ):
        at = made.address("board")
        loop = asyncio.get_running_loop()
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.setblocking(False)
            await loop.sock_connect(lazy, at)
            request = b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
            await loop.sock_sendall(lazy, request)
            assert await loop.sock_recv(lazy, 12) == b"HTTP/1.1 200"
            status = 503
            async with asyncio.timeout(40):
                while status == 503:
                    events = [_message(now(response="x" * 240)) for _ in range(100)]
                    await publish_many(client, events)
                    async with feed(at) as page:
                        status = await page.status()
            assert status == 200


@pytest.mark.e2e
async def test_the_rights_of_a_reader_are_enough(tmp_path: Path) -> None:
    rights = {"user": "reader", "password": PASSWORD, "inbox_prefix": "_INBOX_reader"}
    async with guarded_nats(tmp_path) as url, operator(url) as client:
        await make_stream(client)
        await publish_many(client, [_message(now()) for _ in range(1010)])
        async with local(url, nats=rights, history_events=1000) as made:
            at = made.address("board")
            async with feed(at) as page:
                seen = await page.until(lambda data: data["picture"]["read"] == 1000)
            assert seen["picture"]["is_cut"]
            assert (await ask(at, "/api/events/1010")).status == 200
            assert (await ask(at, "/api/events/1")).status == 200


async def test_away() -> None:
    async with local() as made:
        at = made.address("board")
        async with feed(at) as page:
            _, data = await page.next()
        assert data["picture"]["nats"]["away_since"] > 0
        assert (await ask(at, "/api/events/1")).status == 503


async def test_sigterm_ends_it_with_pages_open() -> None:
    async with board(NOWHERE) as made:
        async with feed(made.address("board")) as page:
            await page.next()
            assert await made.stop() == 0
            with pytest.raises(EOFError):
                await page.until(lambda data: False)
        assert made.events("stopped")
        assert not [event for event in made.log if event["level"] in ("error", "critical")]


async def test_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await asyncio.create_subprocess_exec(
            *MAILFAULT,
            "board",
            *("--nats", NOWHERE, "--listen", f"127.0.0.1:{taken.getsockname()[1]}"),
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        made = Serve(process)
        failed = await made.said("start_failed")
        assert await made.ended() == 1
    assert "in use" in failed["error"]


async def test_a_page_begins_anew_with_another_stream(tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (server, client), local(server.url) as made:
        await publish(client, now(), now())
        async with feed(made.address("board")) as page:
            await page.until(lambda data: data["picture"]["read"] == 2)
            await client.jetstream().delete_stream("POSTFIX")
            await make_stream(client)
            kind, data = await page.next()
            while kind == "update":
                kind, data = await page.next()
            assert (kind, data["events"], data["picture"]["read"]) == ("snapshot", [], 0)
            await publish(client, now())
            told = await page.until(lambda data: data["events"])
            assert [row["seq"] for row in told["events"]] == [1]


async def test_ctrl_c_after_one_who_hung_up_in_the_middle() -> None:
    async with board(NOWHERE, "--token", TOKEN) as made:
        at = made.address("board")
        _, writer = await asyncio.open_connection(*at)
        writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\ntoken=")
        await writer.drain()
        assert (await ask(at, "/livez")).status == 200
        writer.close()
        assert (await ask(at, "/livez")).status == 200
        assert not [event for event in made.log if event["level"] in ("error", "critical")]
        made.process.send_signal(signal.SIGINT)
        assert await made.ended() == 0
