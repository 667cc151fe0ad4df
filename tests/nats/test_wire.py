"""Our short cut through nats-py's parser: whatever the server sends, cut anywhere, both agree."""

import asyncio
import re

from hypothesis import given
from hypothesis import strategies as st
from nats.protocol.parser import Parser

from service.nats.answer import good_start
from service.nats.lines import Lines, Stored
from service.nats.wire import _AnswerParser

INBOX = "_INBOX.abc."
GOOD = good_start("POSTFIX")
_GOOD_ANSWER = re.compile(re.escape(INBOX) + r"\d{1,18}")


class FakeClient:
    """What nats-py's parser tells: a list of what happened, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, header: bytes | None
    ) -> None:
        text = subject.decode()
        if header is None and _GOOD_ANSWER.fullmatch(text) and data.startswith(GOOD):
            self.stored([(text.rpartition(".")[2], b'"duplicate"' in data)])
        else:
            self.seen.append(("message", sid, subject, reply, data, header))

    async def _process_ping(self) -> None:
        self.seen.append(("ping",))

    async def _process_pong(self) -> None:
        self.seen.append(("pong",))

    async def _process_err(self, text: str) -> None:
        self.seen.append(("error", text))

    def stored(self, stored: Stored) -> None:
        self.seen += [("stored", token, duplicate) for token, duplicate in stored]


def message(subject: str, data: bytes, reply: str = "") -> bytes:
    answer_to = f"{reply} " if reply else ""
    return f"MSG {subject} 2 {answer_to}{len(data)}\r\n".encode() + data + b"\r\n"


def with_header(subject: str, header: bytes, data: bytes) -> bytes:
    sizes = f"{len(header)} {len(header) + len(data)}"
    return f"HMSG {subject} 2 {sizes}\r\n".encode() + header + data + b"\r\n"


# Of two digits most of all: one that is like the one before is read in another way.
_TOKENS = st.integers(10, 99) | st.integers(0, 10**18 - 1)
_ANSWERS = st.sampled_from(
    [
        GOOD + b'"seq":7}',
        GOOD + b'"seq":8,"duplicate":true}',
        GOOD + b'"domain":"hub","seq":9}',
        b'{"error":{"code":400,"err_code":10060,"description":"expected stream"}}',
        b'{"stream":"OTHER","seq":1}',
        b"",
        GOOD + b"\r\nMSG _INBOX.abc.1 2 0\r\n",
        b"+OK\r\nPING\r\n",
        b"x\r\n" + message(f"{INBOX}3", GOOD + b'"seq":7}') + b"y",
    ]
)
_PIECES = st.one_of(
    st.builds(lambda token, data: message(f"{INBOX}{token}", data), _TOKENS, _ANSWERS),
    st.builds(lambda token, data: message(f"{INBOX}{token}", data, "x.y"), _TOKENS, _ANSWERS),
    st.builds(lambda data: message("postfix.bounced.mx1", data), _ANSWERS),
    st.builds(lambda data: message(f"{INBOX}no-number", data), _ANSWERS),
    st.just(with_header(f"{INBOX}5", b"NATS/1.0 503\r\n\r\n", b"")),
    st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Slow Consumer'\r\n"]),
)


async def _told(parser: Parser, client: FakeClient, parts: list[bytes]) -> list[tuple[object, ...]]:
    for part in parts:
        await parser.parse(part)
    return client.seen


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@given(st.lists(_PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 5000), max_size=8))
def test_both_parsers_tell_the_same(data: bytes, places: list[int]) -> None:
    theirs = FakeClient()
    ours = FakeClient()
    expected = asyncio.run(_told(Parser(theirs), theirs, [data]))
    parser = _AnswerParser(ours, Lines(INBOX, GOOD), ours.stored)  # type: ignore[arg-type]
    assert asyncio.run(_told(parser, ours, _cut(data, places))) == expected


def test_one_byte_at_a_time() -> None:
    data = (
        message(f"{INBOX}1", GOOD + b'"seq":1}')
        + b"PING\r\n"
        + message(f"{INBOX}2", GOOD + b'"seq":2,"duplicate":true}')
    )
    client = FakeClient()
    parser = _AnswerParser(client, Lines(INBOX, GOOD), client.stored)  # type: ignore[arg-type]
    parts = [data[place : place + 1] for place in range(len(data))]
    assert asyncio.run(_told(parser, client, parts)) == [
        ("stored", "1", False),
        ("ping",),
        ("stored", "2", True),
    ]


def test_answers_are_read_at_once_behind_other_messages_too() -> None:
    """A receiver that hears others had each answer behind their news go the long way."""
    other = message("$KV.b.mx1", b"news")
    answers = [message(f"{INBOX}{token}", GOOD + b'"seq":%d}' % token) for token in range(3)]
    client = FakeClient()
    reads: list[Stored] = []
    parser = _AnswerParser(client, Lines(INBOX, GOOD), reads.append)  # type: ignore[arg-type]
    asyncio.run(parser.parse(other + answers[0] + answers[1] + other + answers[2]))
    assert [seen[0] for seen in client.seen] == ["message", "message"]
    assert [token for read in reads for token, _ in read] == ["0", "1", "2"]
