"""What a real Postfix refuses for its content: header and body checks, size, filters."""

import pytest

from tests.e2e.expected import Fields, bounced, client, reject, said
from tests.e2e.mail_site import MailSite
from tests.e2e.smtp_client import HELO, connected

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]

SENDER = "a@next.example"

LIE = (
    "4FACADE1: to=<boss@example.org>, relay=evil[192.0.2.9]:25, delay=1, delays=1/0/0/0,"
    " dsn=5.0.0, status=bounced (x) from real.host[192.0.2.9]; from=<fake@x> to=<fake@y>"
)


def content(case: str, **fields: object) -> Fields:
    return reject(
        **{
            "sender": SENDER,
            "recipient": f"{case}@next.example",
            "client": client(None, "127.0.0.1"),
            "protocol": "ESMTP",
            "helo": HELO,
            **fields,
        }
    )


async def submit(site: MailSite, case: str, message: str, service: str = "smtpd") -> str:
    """Returns the reply to the message."""
    async with connected(site.postfix.ports[service]) as session:
        return await session.send(SENDER, f"{case}@next.example", message=message)


async def check(site: MailSite, case: str, wanted: Fields) -> None:
    """The queue id is of a message that never got into the queue: only the log tells it."""
    (event,) = await site.events(case, 1)
    assert event.queue_id
    assert f"{event.queue_id}: " in await site.logged(case, "reject")
    del wanted["queue_id"]
    assert said(event, wanted) == wanted


async def test_header(site: MailSite) -> None:
    assert (await submit(site, "header-case", "Subject: win the lottery\r\n\r\nhi")).startswith(
        "550"
    )
    await check(
        site,
        "header-case",
        content(
            "header-case",
            stage="header",
            enhanced_code="5.7.1",
            response="5.7.1 no spam please",
            content="Subject: win the lottery",
        ),
    )


async def test_header_that_imitates_a_log_line(site: MailSite) -> None:
    await submit(site, "header-lies", f"Subject: lottery {LIE}\r\n\r\nhi")
    await check(
        site,
        "header-lies",
        content(
            "header-lies",
            stage="header",
            enhanced_code="5.7.1",
            response="5.7.1 no spam please",
            content=f"Subject: lottery {LIE}",
        ),
    )


async def test_folded_header_that_imitates_a_second_record(site: MailSite) -> None:
    """Postfix writes the line feed of a folded header as `?`."""
    header = f"Subject: lottery\r\n Nov 23 10:00:00 mx postfix/smtp[1]: {LIE[:80]}"
    await submit(site, "folded-lies", f"{header}\r\n\r\nhi")
    await check(
        site,
        "folded-lies",
        content(
            "folded-lies",
            stage="header",
            enhanced_code="5.7.1",
            response="5.7.1 no spam please",
            content=header.replace("\r\n", "?"),
        ),
    )


async def test_header_refused_for_now(site: MailSite) -> None:
    reply = await submit(site, "header-later", "Subject: tempfail\r\n\r\nhi")
    assert reply.startswith("451")
    await check(
        site,
        "header-later",
        content(
            "header-later",
            stage="header",
            enhanced_code="4.7.1",
            response="4.7.1 come back later",
            content="Subject: tempfail",
        ),
    )


async def test_body(site: MailSite) -> None:
    await submit(site, "body-case", "Subject: x\r\n\r\nplease buy now: 5.7.1 from x[1.2.3.4]")
    await check(
        site,
        "body-case",
        content(
            "body-case",
            stage="body",
            enhanced_code="5.7.1",
            response="5.7.1 message content rejected",
            content="please buy now: 5.7.1 from x[1.2.3.4]",
        ),
    )


async def test_mime_error(site: MailSite) -> None:
    await submit(site, "mime-case", "Subject: caf\u00e9\r\n\r\nhi", service="strict")
    await check(
        site,
        "mime-case",
        content(
            "mime-case",
            stage="mime-error",
            # This line gives neither code nor connection; the client was told 550.
            protocol=None,
            helo=None,
            response="improper use of 8-bit data in message header",
            content="Subject: caf\u00e9",
        ),
    )


async def test_milter_refuses_the_message(site: MailSite) -> None:
    recipient = "milter-spam+case@next.example"
    async with connected(site.postfix.ports["milter"]) as session:
        reply = await session.send(SENDER, recipient)
    assert reply.startswith("550")
    await check(
        site,
        "milter-spam+case",
        content(
            "milter-spam+case",
            action="milter-reject",
            stage="END-OF-MESSAGE",
            enhanced_code="5.7.1",
            response="5.7.1 Blocked by the filter: from=<fake@x>",
        ),
    )


async def test_header_of_a_local_submission(site: MailSite) -> None:
    """Nobody is there to be refused: Postfix logs the refusal, and then a bounce."""
    recipient = "pickup-case@next.example"
    message = f"Subject: lottery\nTo: {recipient}\n\nhi\n".encode()
    await site.postfix.run("sendmail", "-f", SENDER, recipient, stdin=message)
    events = await site.events("pickup-case", 2)
    by_type = {event.event_type: event for event in events}

    refusal = content(
        "pickup-case",
        stage="header",
        client=None,
        protocol=None,
        helo=None,
        enhanced_code="5.7.1",
        response="5.7.1 no spam please",
        content="Subject: lottery",
    )
    bounce = bounced(
        sender=SENDER,
        recipient=recipient,
        enhanced_code="5.7.1",
        response="no spam please",
        relay=None,
    )
    for wanted in (refusal, bounce):
        event = by_type[wanted["event_type"]]
        for name in ("queue_id", "delay", "delays"):
            wanted.pop(name, None)
        assert said(event, wanted) == wanted
    assert by_type["reject"].queue_id == by_type["bounced"].queue_id
    assert by_type["bounced"].mta.daemon == "cleanup"


async def test_content_that_is_only_noted(site: MailSite) -> None:
    await submit(site, "noted-case", f"X-Note: reject: {LIE}\r\n\r\nhi")
    await site.logged("warning: header X-Note", "noted-case")
    await site.logged("to=<noted-case@next.example>", "status=sent")
    await site.nothing("noted-case")
