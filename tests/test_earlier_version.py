"""What the version before this one wrote is read, and goes on: its data directory, and what it told
in the shared bucket. `earlier/data.tar.gz` is its directory after SIGTERM, with NATS away: of a
message with two recipients that were deferred, one of them under an alias.
"""

import shutil
from pathlib import Path

import schemas
from schemas import DeferredEvent, ResolvedEvent
from service.core.correlate.shared import decode
from tests.core.correlate.receivers import KEY, NOW, QUEUE, correlator, delivery, end
from tests.nats_server import client_of, real_nats
from tests.serve import serve

_DIRECTORY = Path(__file__).parent / "earlier" / "data.tar.gz"
_LATER = (
    "qmgr[9]: 4ABCDE12F: from=<s@example.org>, size=100, nrcpt=2 (queue active)",
    "smtp[9]: 4ABCDE12F: to=<anna@example.net>, relay=local, delay=30, dsn=2.0.0, status=sent (Ok)",
    (
        "smtp[9]: 4ABCDE12F: to=<bob@example.net>, orig_to=<bob@example.org>, relay=none, "
        "delay=304, dsn=5.4.4, status=bounced (Host not found)"
    ),
    "qmgr[9]: 4ABCDE12F: removed",
)
_CENTURY = 100 * 365 * 86_400
_DEFERRED = (
    b'{"v":1,"begun":1795828500,"records":["c2026-11-23T10:00:00.5+00:00\\u001fmail.example.org'
    b'[192.0.2.7]","m<1@example.org>","f<s@example.org>, size=100, nrcpt=2"],"activations":1,'
    b'"ended":[],"waiting":[["r@example.com",null,1795428003.5,1795428003.5,1,true,1,'
    b'"9b4601ca908e9bec08dfdf8a1f609319",1795428000.5,"deferred","connect to mx.example.net'
    b'[192.0.2.1]:25: Connection timed out",null,"4.4.1","timeout","network",null,null]],'
    b'"cut":false}'
)
_ENDED = (
    b'{"v":1,"begun":1795828500,"records":["c2026-11-23T10:00:00.5+00:00\\u001fmail.example.org'
    b'[192.0.2.7]","m<1@example.org>","f<s@example.org>, size=100, nrcpt=2"],"activations":2,'
    b'"ended":["r@example.com"],"waiting":[],"cut":false}'
)
_GONE = b'{"v":1,"gone":true}'


async def test_its_data_directory(tmp_path: Path) -> None:
    shutil.unpack_archive(_DIRECTORY, tmp_path)
    later = [
        f"<22>2026-11-23T10:05:0{second}.5+00:00 mx1.example.org postfix/{line}\n".encode()
        for second, line in enumerate(_LATER)
    ]
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        async with serve(
            tmp_path,
            *("--data-dir", str(tmp_path / "data"), "--nats", server.url),
            # What it remembers is of that day, and would be forgotten a week later.
            MAILFAULT_CORRELATION__MAX_AGE=str(_CENTURY),
        ) as receiver:
            kept = await receiver.said("snapshot_loaded")
            assert (kept["messages"], kept["recipients"]) == (1, 2)
            await receiver.send_tcp(b"".join(later))
            await receiver.until("published_total", 5, result="ok")
            assert await receiver.stop() == 0
        subscription = await client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
        messages = await subscription.fetch(5, timeout=20)
        events = [schemas.decode(message.data) for message in messages]
    waited = [event for event in events if isinstance(event, DeferredEvent)]
    assert [event.recipient for event in waited] == ["anna@example.net", "bob@example.net"]
    ended = [event for event in events if isinstance(event, ResolvedEvent)]
    assert {(event.recipient, event.outcome, event.attempts) for event in ended} == {
        ("anna@example.net", "delivered", 2),
        ("bob@example.net", "bounced", 2),
    }
    assert {event.message.context for event in ended if event.message} == {"complete"}


def test_what_it_told_of_one_who_waits() -> None:
    here = correlator()
    assert not here.exchange.learn(KEY, decode(_DEFERRED), NOW)
    story = here.story(QUEUE, KEY)
    assert story is not None
    assert story.sender == "s@example.org"
    waiting = end(here, delivery(), NOW)
    assert waiting is not None
    assert waiting.attempt == 2


def test_what_it_told_of_the_end() -> None:
    for value in (_ENDED, _GONE):
        here = correlator()
        here.exchange.learn(KEY, decode(_DEFERRED), NOW)
        here.exchange.learn(KEY, decode(value), NOW)
        assert not here.attempts.is_awaited(KEY)
        assert decode(here.exchange.export(KEY)).waiting == []
