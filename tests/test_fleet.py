"""Two receivers of a fleet, a real nats-server, and streams that move between them."""

from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import NoKeysError, NotFoundError

from tests import mail_traffic
from tests.fleet import Found, Member, Score, at_rest, fleet, found, play, readable, score
from tests.mail_traffic import Host
from tests.nats_server import client_of, real_nats

LONGEST = 60
"""Lines after which a stream moves, at most."""
PATIENT = {"ask_timeout": 0.9}
"""Where what they know is to be exact, and not how soon, on whatever machine."""
KV = "$KV.mailfault_context.>"
RIGHTS = ["postfix.>", "$JS.API.STREAM.INFO.POSTFIX", "$JS.API.STREAM.CREATE.POSTFIX"]


def hosts_of(seed: int, mails: int = 60) -> list[Host]:
    return [mail_traffic.host(f"mx{n}.example.org", 100 * seed + n, mails) for n in range(3)]


def assert_in_time(what: Found, members: list[Member]) -> None:
    """No event waited for what others know by more than a second."""
    taken = members[0].standstill.within
    # A bounce may wait for its notice and an end for the last lines of its message, which takes
    # `notice_wait` and `removal_wait` with any receiver, alone or not.
    for kind in ("deferred", "bounced"):
        assert max(end - begin - taken(begin, end) for begin, end in what.lags[kind]) < 1


def assert_exact(result: Score, hosts: list[Host]) -> None:
    assert result.recipients == sum(len(host.expected) for host in hosts)
    assert result.retries > 100
    assert result.complete >= 0.99 * result.retries
    assert result.counted >= 0.99 * result.retries
    assert result.resolved_once == result.recipients
    assert result.outcomes_true == result.recipients
    assert result.attempts_true >= 0.99 * result.recipients


@pytest.mark.parametrize("seed", [1, 2])
async def test_streams_move_at_random_moments(tmp_path: Path, seed: int) -> None:
    hosts = hosts_of(seed)
    async with real_nats(tmp_path) as server:
        async with fleet(tmp_path, [server.url]) as members:
            await readable(members)
            moves = await play(hosts, members, seed, LONGEST)
            for member in members:
                await member.receiver.settled()
                assert member.count("sharing_answers_total", result="found") > 0
                assert member.count("sharing_heard_total", result="applied") > 0
                assert member.count("sharing_heard_total", result="refused") == 0
                assert member.count("sharing_writes_total", result="dropped") == 0
                assert member.count("correlation_recipients") == 0, "all have ended everywhere"
        async with client_of(server) as client:
            what = await found(client)
            bucket = await client.jetstream().key_value("mailfault_context")
            with pytest.raises(NoKeysError):  # only marks of deletion are left
                await bucket.keys()
    assert moves > 50
    assert_exact(score(hosts, what), hosts)
    assert_in_time(what, members)


async def test_alone_they_know_less(tmp_path: Path) -> None:
    """Without sharing the same traffic gives much less: the test above can fail."""
    hosts = hosts_of(1)
    async with real_nats(tmp_path) as server:
        async with fleet(tmp_path, [server.url], sharing={"enabled": False}) as members:
            await play(hosts, members, 1, LONGEST)
            for member in members:
                await member.receiver.settled()
        async with client_of(server) as client:
            result = score(hosts, await found(client))
    assert result.complete < 0.9 * result.retries
    assert result.counted < 0.9 * result.retries
    assert result.resolved_once < result.recipients


class TestBucketGone:
    async def test_never_there(self, tmp_path: Path) -> None:
        hosts = hosts_of(3)
        async with real_nats(tmp_path) as server:
            async with fleet(tmp_path, [server.url], sharing={"create": False}) as members:
                await play(hosts, members, 3, LONGEST)
                for member in members:
                    await member.receiver.settled()
                    assert member.count("sharing_answers_total", result="unavailable") > 0
                    assert member.receiver.health().ready
            async with client_of(server) as client:
                what = await found(client)
                with pytest.raises(NotFoundError):
                    await client.jetstream().stream_info("KV_mailfault_context")
        score(hosts, what)  # which misses no event
        assert_in_time(what, members)

    @pytest.mark.parametrize("create", [False, True])
    async def test_deleted_under_way(self, tmp_path: Path, create: bool) -> None:
        hosts = hosts_of(4)
        async with real_nats(tmp_path) as server, client_of(server) as client:
            # Of an operator who owns it; with `create` a receiver makes it anew.
            await client.jetstream().create_key_value(bucket="mailfault_context", direct=True)

            async def delete(number: int) -> None:
                if number == 0:
                    await client.jetstream().delete_stream("KV_mailfault_context")

            async with fleet(tmp_path, [server.url], sharing={"create": create}) as members:
                await readable(members)
                await play(hosts, members, 4, LONGEST, delete)
                for member in members:
                    await member.receiver.settled()
                if create:
                    await readable(members)
            what = await found(client)
        result = score(hosts, what)
        assert_in_time(what, members)
        assert result.resolved_twice == 0

    async def test_no_permission(self, tmp_path: Path) -> None:
        """Said once, and then as without."""
        hosts = hosts_of(5)
        user: dict[str, Any] = {"user": "u", "password": "p"}
        user["permissions"] = {"publish": RIGHTS, "subscribe": ["_INBOX.>"]}
        reader = {"user": "reader", "password": "p"}
        async with real_nats(tmp_path, authorization={"users": [user, reader]}) as server:
            login = {"user": "u", "password": "p"}
            async with fleet(tmp_path, [server.url], nats=login) as members:
                await play(hosts, members, 5, LONGEST)
                for member in members:
                    await member.receiver.settled()
                    assert member.count("sharing_readable") == 0
                    assert member.count("sharing_answers_total", result="timeout") == 0
            async with client_of(server, user="reader", password="p") as client:
                what = await found(client)
        score(hosts, what)
        assert_in_time(what, members)

    async def test_the_permissions_that_the_readme_names_suffice(self, tmp_path: Path) -> None:
        hosts = hosts_of(6)
        user: dict[str, Any] = {"user": "u", "password": "p"}
        user["permissions"] = {
            "publish": [
                *RIGHTS,
                KV,
                f"$JS.API.DIRECT.GET.KV_mailfault_context.{KV}",
                "$JS.API.STREAM.INFO.KV_mailfault_context",
                "$JS.API.STREAM.CREATE.KV_mailfault_context",
            ],
            "subscribe": ["_INBOX.>", KV],
        }
        reader = {"user": "reader", "password": "p"}
        async with real_nats(tmp_path, authorization={"users": [user, reader]}) as server:
            login = {"user": "u", "password": "p"}
            async with fleet(tmp_path, [server.url], nats=login, sharing=PATIENT) as members:
                await readable(members)
                await play(hosts, members, 6, LONGEST)
                for member in members:
                    await member.receiver.settled()
            async with client_of(server, user="reader", password="p") as client:
                what = await found(client)
        assert_exact(score(hosts, what), hosts)


async def test_server_killed_and_back(tmp_path: Path) -> None:
    """No event is lost; and what each knew is told, and counts again, once the server is back."""
    hosts = hosts_of(7)
    async with real_nats(tmp_path) as server:

        async def kill_and_start(number: int) -> None:
            if number in (0, 2):
                await server.kill()
                for member in members:
                    await member.reaches("nats_connected", 0)
                await server.start()
                await readable(members)

        async with fleet(tmp_path, [server.url], sharing=PATIENT) as members:
            await readable(members)
            await play(hosts, members, 7, LONGEST, kill_and_start)
            for member in members:
                await member.receiver.settled()
        async with client_of(server) as client:
            what = await found(client)
    assert_exact(score(hosts, what), hosts)


@pytest.mark.parametrize("is_known", [True, False])
async def test_an_expiry_sent_again_to_another_receiver_gives_the_same_events(
    tmp_path: Path, is_known: bool
) -> None:
    """Its sender had no answer when the connection broke. `is_known`: whether a line of the message
    had been there before."""
    header = "<22>2026-11-27T08:{}:00.000000+00:00 mx1.example.org postfix/"
    first, retry, expiry = (header.format(minute) for minute in ("00", "05", "20"))
    failed = "smtp[4]: 4ABCDE12F: to=<{}@example.com>, relay=none, delay=3, delays=0/0/3/0, "
    failed += "dsn=4.4.1, status=deferred (timed out)"
    active = "qmgr[3]: 4ABCDE12F: from=<s@example.net>, size=1, nrcpt=2 (queue active)"
    begin = [
        "smtpd[1]: 4ABCDE12F: client=mail.example.net[192.0.2.10]",
        "cleanup[2]: 4ABCDE12F: message-id=<1@example.net>",
    ]
    attempt = [active, failed.format("a"), failed.format("b")]
    expired = "qmgr[3]: 4ABCDE12F: from=<s@example.net>, status=expired, returned to sender"
    removed = "qmgr[3]: 4ABCDE12F: removed"
    last = [f"{expiry}{line}".encode() for line in (expired, removed)]
    async with real_nats(tmp_path) as server:
        async with fleet(tmp_path, [server.url], sharing=PATIENT) as members:
            await readable(members)
            one, other = members
            await one.send("mx1", [f"{first}{line}".encode() for line in [*begin, *attempt]])
            await at_rest(members)
            second = other if is_known else one
            await second.send("mx1", [f"{retry}{line}".encode() for line in attempt])
            await at_rest(members)
            for member in (one, other):
                await member.send("mx1", last)
                await at_rest(members)
                await member.reaches("held_lines", 0)  # the bounces, for a notice
                member.leave("mx1")
            for member in members:
                await member.receiver.settled()
        async with client_of(server) as client:
            what = await found(client)
    assert {key[2] for key in what.bounced} == {"a@example.com", "b@example.com"}
    for told in (what.bounced, what.resolved):
        assert [[event.attempt for event in events] for events in told.values()] == [[2], [2]]
