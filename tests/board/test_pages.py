"""The files of the board over HTTP, lists, and single events with their stories."""

from pathlib import Path

import schemas
from schemas import DeferredEvent, RejectEvent
from schemas.samples import example
from tests.board.site import (
    ask,
    feed,
    jetstream,
    local,
    publish,
)
from tests.board.traffic import now


async def test_files_are_not_sent_twice() -> None:
    async with local() as made:
        at = made.address("board")
        first = await ask(at, "/")
        assert first.status == 200
        assert first.headers["content-type"].startswith("text/html")
        again = await ask(at, "/", If_None_Match=first.headers["etag"])
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
