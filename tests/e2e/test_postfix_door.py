"""What a real Postfix refuses at the door, from the refusal to the event."""

import pytest

from tests.e2e.expected import Fields, client, reject, said
from tests.e2e.mail_site import MailSite
from tests.e2e.smtp_client import HELO, connected

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]

US = client(None, "127.0.0.1")


def at_the_door(**fields: object) -> Fields:
    """What is the same for every client of these tests."""
    return reject(**{"client": US, "protocol": "ESMTP", "helo": HELO, **fields})


async def refused(site: MailSite, code: str, sender: str, recipient: str, **options: str) -> None:
    service = options.get("service", "smtpd")
    async with connected(site.postfix.ports[service], options.get("helo", HELO)) as session:
        await session.expect("250", f"MAIL FROM:<{sender}>")
        await session.expect(code, f"RCPT TO:<{recipient}>")


async def check(site: MailSite, case: str, wanted: Fields) -> None:
    (event,) = await site.events(case, 1)
    assert said(event, wanted) == wanted


async def test_relay_denied(site: MailSite) -> None:
    await refused(site, "554", "a@b.example", "relay-denied@elsewhere.example")
    response = "554 5.7.1 <relay-denied@elsewhere.example>: Relay access denied"
    await check(
        site,
        "relay-denied",
        at_the_door(
            sender="a@b.example",
            recipient="relay-denied@elsewhere.example",
            smtp_code=554,
            enhanced_code="5.7.1",
            response=response,
            category="relay_denied",
        ),
    )


@pytest.mark.parametrize("table", ["local recipient", "virtual mailbox"])
async def test_unknown_recipient(site: MailSite, table: str) -> None:
    domain = table.partition(" ")[0] + ".example"
    recipient = f"nobody-here@{domain}"
    await refused(site, "550", "", recipient)
    await check(
        site,
        recipient,
        at_the_door(
            sender="",
            recipient=recipient,
            smtp_code=550,
            enhanced_code="5.1.1",
            response=f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown in"
            f" {table} table",
            category="unknown_user",
        ),
    )


async def test_a_recipient_refused_after_one_accepted_has_the_queue_id(site: MailSite) -> None:
    async with connected(site.postfix.ports["smtpd"]) as session:
        await session.expect("250", "MAIL FROM:<a@b.example>")
        await session.expect("250", "RCPT TO:<ok@next.example>")
        await session.expect("550", "RCPT TO:<second-refused@local.example>")
        queue_id = await session.data("Subject: x\r\n\r\nhi")
    await check(
        site,
        "second-refused",
        at_the_door(
            queue_id=queue_id,
            sender="a@b.example",
            recipient="second-refused@local.example",
            smtp_code=550,
            enhanced_code="5.1.1",
            response="550 5.1.1 <second-refused@local.example>: Recipient address rejected: User"
            " unknown in local recipient table",
        ),
    )


async def test_helo_refused_with_the_recipient(site: MailSite) -> None:
    await refused(site, "554", "a@b.example", "helo-late@next.example", helo="bad-helo.example")
    await check(
        site,
        "helo-late",
        at_the_door(
            sender="a@b.example",
            recipient="helo-late@next.example",
            helo="bad-helo.example",
            smtp_code=554,
            enhanced_code="5.7.1",
            response="554 5.7.1 <bad-helo.example>: Helo command rejected: no mail from you",
            category="helo_rejected",
        ),
    )


async def test_helo_refused_at_once(site: MailSite) -> None:
    async with connected(site.postfix.ports["early"], helo=None) as session:
        await session.expect("554", "EHLO bad-helo.example")
    await check(
        site,
        ": reject: EHLO ",
        at_the_door(
            stage="EHLO",
            helo="bad-helo.example",
            # No HELO was accepted, so Postfix still speaks of plain SMTP.
            protocol="SMTP",
            smtp_code=554,
            enhanced_code="5.7.1",
            response="554 5.7.1 <bad-helo.example>: Helo command rejected: no mail from you",
        ),
    )


async def test_a_helo_that_lies(site: MailSite) -> None:
    """What is dangerous in a HELO name Postfix makes `?`."""
    helo = "x>;_from=<fake@x>_to=<y@z"
    await refused(site, "554", "a@b.example", "helo-lies@elsewhere.example", helo=helo)
    await check(
        site,
        "helo-lies",
        at_the_door(
            sender="a@b.example",
            recipient="helo-lies@elsewhere.example",
            helo="x??_from=?fake?x?_to=?y?z",
            smtp_code=554,
            enhanced_code="5.7.1",
            response="554 5.7.1 <helo-lies@elsewhere.example>: Relay access denied",
        ),
    )


async def test_sender_refused_by_a_table_with_a_text_that_lies(site: MailSite) -> None:
    await refused(site, "554", "denied@sender.example", "table-lies@next.example")
    await check(
        site,
        "table-lies",
        at_the_door(
            sender="denied@sender.example",
            recipient="table-lies@next.example",
            smtp_code=554,
            enhanced_code="5.7.9",
            response="554 5.7.9 <denied@sender.example>: Sender address rejected: go away;"
            " from=<x@y>",
        ),
    )


async def test_addresses_that_lie(site: MailSite) -> None:
    sender = '"x> to=<boss@next.example"@bad.example'
    recipient = '"quoted-lies> proto=SMTP helo=<fake"@elsewhere.example'
    await refused(site, "554", sender, recipient)
    await check(
        site,
        "quoted-lies",
        at_the_door(
            sender=sender,
            recipient=recipient,
            smtp_code=554,
            enhanced_code="5.7.1",
            # The text has the address as Postfix uses it inside: without its quotes.
            response="554 5.7.1 <quoted-lies> proto=SMTP helo=<fake@elsewhere.example>: Relay"
            " access denied",
        ),
    )


async def test_utf8_address(site: MailSite) -> None:
    recipient = "jörg+utf8-case@例え.example"
    async with connected(site.postfix.ports["smtpd"]) as session:
        await session.expect("250", "MAIL FROM:<å@b.example> SMTPUTF8")
        await session.expect("554", f"RCPT TO:<{recipient}>")
    await check(
        site,
        "utf8-case",
        at_the_door(
            sender="å@b.example",
            recipient=recipient,
            smtp_code=554,
            enhanced_code="5.7.1",
            response=f"554 5.7.1 <{recipient}>: Relay access denied",
        ),
    )


async def test_too_large_as_announced(site: MailSite) -> None:
    """At MAIL Postfix knows no recipient."""
    async with connected(site.postfix.ports["smtpd"], helo="too-large.example") as session:
        await session.expect("552", "MAIL FROM:<a@b.example> SIZE=30000")
    await check(
        site,
        "too-large.example",
        at_the_door(
            stage="MAIL",
            sender="a@b.example",
            helo="too-large.example",
            smtp_code=552,
            enhanced_code="5.3.4",
            response="552 5.3.4 Message size exceeds fixed limit",
            category="too_large",
        ),
    )


async def test_policy_server_greylists(site: MailSite) -> None:
    await refused(site, "450", "a@b.example", "greylisted+case@next.example")
    await check(
        site,
        "greylisted+case",
        at_the_door(
            sender="a@b.example",
            recipient="greylisted+case@next.example",
            smtp_code=450,
            enhanced_code="4.7.1",
            response="450 4.7.1 <greylisted+case@next.example>: Recipient address rejected:"
            " Greylisted, see http://postgrey.example/help.html?a=1;b=2",
            category="greylisted",
        ),
    )


async def test_policy_server_refuses_with_a_text_that_lies(site: MailSite) -> None:
    await refused(site, "550", "a@b.example", "spf+case@next.example")
    await check(
        site,
        "spf+case",
        at_the_door(
            sender="a@b.example",
            recipient="spf+case@next.example",
            smtp_code=550,
            enhanced_code="5.7.23",
            response="550 5.7.23 <spf+case@next.example>: Recipient address rejected: Message"
            " rejected due to: SPF fail; from=<fake@x> to=<y@z>",
            category="auth_failed",
        ),
    )


async def test_milter_refuses_a_recipient(site: MailSite) -> None:
    recipient = "milter-busy+case@next.example"
    await refused(site, "451", "a@b.example", recipient, service="milter")
    await check(
        site,
        "milter-busy+case",
        at_the_door(
            action="milter-reject",
            sender="a@b.example",
            recipient=recipient,
            smtp_code=451,
            enhanced_code="4.7.1",
            response="451 4.7.1 Greylisting in action, please come back later",
            category="greylisted",
        ),
    )


async def test_postscreen(site: MailSite) -> None:
    async with connected(site.postfix.ports["postscreen"]) as session:
        await session.expect("250", "MAIL FROM:<a@b.example>")
        await session.expect("550", "RCPT TO:<postscreen-case@next.example>")
    (event,) = await site.events("postscreen-case", 1)
    wanted = at_the_door(
        sender="a@b.example",
        recipient="postscreen-case@next.example",
        smtp_code=550,
        enhanced_code="5.3.2",
        response="550 5.3.2 Service currently unavailable",
    )
    del wanted["client"]
    assert said(event, wanted) == wanted
    assert event.event_type == "reject"
    assert event.client is not None
    assert (event.client.name, event.client.ip) == (None, "127.0.0.1")
    assert event.client.port
    assert event.mta.daemon == "postscreen"


async def test_what_is_no_refusal(site: MailSite) -> None:
    """WARN and DISCARD answer 250; the mail that is discarded is no event of these types."""
    for sender in ("warned@sender.example", "discarded@sender.example"):
        async with connected(site.postfix.ports["smtpd"]) as session:
            await session.send(sender, "no-refusal+case@next.example")
    await site.logged("warn: RCPT", "no-refusal+case")
    await site.logged("discard: RCPT", "no-refusal+case")
    await site.logged("to=<no-refusal+case", "status=sent")
    await site.nothing("no-refusal+case")
