"""`deploy/nats/nats-server.conf`: the real nats-server takes it, and the rights that it proposes in
its comment are enough for the receiver and for a subscriber."""

import asyncio
import re
import socket
import subprocess
from pathlib import Path

import nats
import pytest

from schemas import decode
from service.nats.embedded import find_binary
from tests.e2e.child import Child
from tests.e2e.receiver import Receiver
from tests.metric_values import value

FILE = Path(__file__).parents[2] / "deploy" / "nats" / "nats-server.conf"
LINE = (
    b"<22>2026-11-03T09:00:01.123456+00:00 mx1 postfix/local[1]: 4ABCDE15C: to=<x@example.org>,"
    b' relay=local, delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (unknown user: "x")\n'
)

_LISTENS = re.compile(r"Listening for client connections on 127\.0\.0\.1:(\d+)")


def test_the_server_takes_it() -> None:
    done = subprocess.run(
        [find_binary(), "-t", "-c", FILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.e2e
async def test_the_rights_in_the_comment_are_enough(tmp_path: Path) -> None:
    config = tmp_path / "nats.conf"
    config.write_text(with_rights(tmp_path), encoding="utf-8")
    server = await Child.start(find_binary(), "-c", config)
    try:
        url = f"nats://127.0.0.1:{await server.until(_client_port)}"
        env = {
            "MAILFAULT_NATS__USER": "mailfault",
            "MAILFAULT_NATS__PASSWORD": "secret",
            "MAILFAULT_NATS__INBOX_PREFIX": "_INBOX_mailfault",
        }
        receiver = await Receiver.start(tmp_path / "data", url, env=env)
        with socket.create_connection(("127.0.0.1", receiver.ports["tcp"])) as sender:
            sender.sendall(LINE)
        async with asyncio.timeout(20):
            while True:
                if value(await receiver.metrics(), "published_total", result="ok"):
                    break
                await asyncio.sleep(0.02)
        await receiver.stop()

        client = await nats.connect(url, user="reader", password="secret")
        subscription = await client.jetstream().pull_subscribe("postfix.>", durable="reports")
        (message,) = await subscription.fetch(1, timeout=10)
        assert decode(message.data).queue_id == "4ABCDE15C"
        await message.ack_sync()
        await client.close()
    finally:
        await server.stop()


def with_rights(directory: Path) -> str:
    text = FILE.read_text(encoding="utf-8")
    head, mark, rights = text.partition("# authorization {")
    assert mark
    text = head + re.sub(r"^# ?", "", mark + rights, flags=re.MULTILINE)
    for old, new in (
        ('"$2a$11$..."', '"secret"'),
        ('"0.0.0.0:4222"', '"127.0.0.1:-1"'),
        ('"0.0.0.0:8222"', '"127.0.0.1:-1"'),
        ('"/data"', f'"{directory}/jetstream"'),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def _client_port(line: str) -> int | None:
    found = _LISTENS.search(line)
    return int(found[1]) if found else None
