"""The tickets subscriber as a process, between a real receiver and a webhook."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.examples.house import delivery, house
from tests.examples.subscriber import running
from tests.examples.webhook import Post, Webhook, webhook

QUEUE_ID = "4ABCDE12F"
YOUNG = delivery(QUEUE_ID, "later@example.net", "deferred", delay=30)
OLD = delivery(QUEUE_ID, "later@example.net", "deferred", delay=7200)
OLDER = delivery(QUEUE_ID, "later@example.net", "deferred", delay=9000)
SENT = delivery(QUEUE_ID, "later@example.net", "sent", delay=9999)
BOUNCED = delivery(QUEUE_ID, "gone@example.net", "bounced", delay=1)
REFUSED = (
    "smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 <v@x.example>: "
    "Relay access denied; from=<s@bad.example> to=<v@x.example> proto=ESMTP helo=<bad.example>"
)
REMOVED = f"qmgr[4]: {QUEUE_ID}: removed"

pytestmark = pytest.mark.timeout(120)


def told(hook: Webhook) -> list[tuple[str, str]]:
    """Action and recipient of what was accepted."""
    return [(post.body["action"], post.body["event"]["recipient"]) for post in hook.accepted]


async def test_a_mail_is_late_and_arrives_another_is_lost(tmp_path: Path) -> None:
    async with house(tmp_path) as mail, webhook() as hook:
        arguments = ("--after", "3600", "--nats", mail.nats.url, "--webhook", hook.url)
        async with running(
            "tickets.py", *arguments, home=tmp_path, WEBHOOK_AUTHORIZATION="Bearer x"
        ) as tickets:
            await mail.log(REFUSED, YOUNG, OLD, BOUNCED, events=4)
            await hook.until(lambda: len(hook.accepted) == 2)
            assert sorted(told(hook)) == [
                ("open", "gone@example.net"),
                ("open", "later@example.net"),
            ]
            opened = {post.body["event"]["recipient"]: post for post in hook.posts}
            post = opened["gone@example.net"]
            assert post.path == "/hook?token=a%20b"
            assert post.headers["Authorization"] == "Bearer x"
            assert post.headers["Content-Type"] == "application/json"
            assert post.body["event"]["category"] == "unknown_user"

            await mail.log(OLDER, events=1)
            await mail.log(SENT, REMOVED, events=1)
            await hook.until(lambda: len(hook.accepted) == 3)
            assert told(hook)[-1] == ("close", "later@example.net")
            assert hook.posts[-1].body["event"]["outcome"] == "delivered"
            assert hook.posts[-1].body["ticket"] == opened["later@example.net"].body["ticket"]
            assert await tickets.stop() == 0
            assert "example.net" not in tickets.log, "addresses are personal data"

        await mail.replay_to("tickets")
        async with running("tickets.py", *arguments, home=tmp_path):
            await mail.log(delivery("5F00112233", "x@example.net", "bounced", 1), events=1)
            await hook.until(lambda: told(hook)[-1] == ("open", "x@example.net"))
    # Stopped before it had kept an answer, it posts the same once more, under the same key.
    keys = {post.key for post in hook.posts}
    assert len(keys) == 4, "the whole stream came again, and opened and closed nothing"


async def test_killed_while_the_webhook_is_away(tmp_path: Path) -> None:
    async with house(tmp_path) as mail, webhook() as hook:
        arguments = ("--after", "3600", "--nats", mail.nats.url, "--webhook", hook.url)
        await hook.down()
        async with running("tickets.py", *arguments, home=tmp_path) as tickets:
            await mail.log(OLD, BOUNCED, SENT, REMOVED, events=3)
            await tickets.said("status=0")
            await tickets.kill()
        async with running("tickets.py", *arguments, home=tmp_path) as tickets:
            await tickets.said("status=0")
            assert await tickets.stop() == 0, "it stops while it waits for the webhook, too"
        hook.answers = lambda post: 0 if not hook.posts else 503 if len(hook.posts) < 3 else 200
        hook.up()
        async with running("tickets.py", *arguments, home=tmp_path) as tickets:
            await hook.until(lambda: len(hook.posts) == 1)
            await tickets.kill()  # while the webhook thinks about it
        async with running("tickets.py", *arguments, home=tmp_path):
            await hook.until(lambda: len(hook.accepted) == 3)
        assert [post.status for post in hook.posts] == [0, 503, 503, 200, 200, 200]
        assert len({post.key for post in hook.posts[:4]}) == 1, "the same one until it is accepted"
        assert sorted(told(hook)) == [
            ("close", "later@example.net"),
            ("open", "gone@example.net"),
            ("open", "later@example.net"),
        ]
        assert told(hook).index(("open", "later@example.net")) < told(hook).index(
            ("close", "later@example.net")
        )
        assert set(Counter(post.key for post in hook.accepted).values()) == {1}


async def test_refused_for_good_is_no_hindrance_nor_is_a_nats_server_that_dies(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as mail, webhook() as hook:

        def answer(post: Post) -> int:
            return 422 if post.body["event"]["recipient"] == "gone@example.net" else 200

        hook.answers = answer
        arguments = ("--after", "3600", "--nats", mail.nats.url, "--webhook", hook.url)
        await mail.log(BOUNCED, OLD, events=2)
        async with running("tickets.py", *arguments, home=tmp_path) as tickets:
            await hook.until(lambda: len(hook.posts) == 2)
            assert [post.status for post in hook.posts] == [422, 200]
            await mail.nats.kill()
            await mail.nats.start()
            await mail.log(SENT, events=1)
            await hook.until(lambda: len(hook.posts) == 3)
            assert told(hook)[-1] == ("close", "later@example.net")
            assert await tickets.stop(signal.SIGINT) == 0
