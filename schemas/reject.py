"""`reject`: refused at the door, before Postfix took responsibility for the message."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from .base import Client, EventBase


class RejectEvent(EventBase):
    """A client, sender, recipient or message was refused by smtpd, postscreen, cleanup or a milter.

    The client was told so live; no notice is sent. A 4xx refusal is a reject with
    `severity: temporary`.
    """

    event_type: Literal["reject"] = "reject"
    """Always `reject`."""
    action: Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z]+)*$", max_length=64)]
    """`reject`, `milter-reject`, `proxy-reject`, `milter-header-reject`, `abort` ..."""
    stage: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """SMTP command or phase: `CONNECT`, `RCPT`, `END-OF-MESSAGE`, `header`, `body` ..."""
    client: Client | None = None
    """null for local submissions and where the line does not name it."""
    helo: str | None = None
    """The name the client gave itself. Hostile input."""
    protocol: str | None = None
    """`SMTP` or `ESMTP`."""
    sasl_method: str | None = None
    """SASL mechanism of a client that had logged in."""
    sasl_username: str | None = None
    """Who had logged in."""
    sasl_sender: str | None = None
    """The `AUTH=` address given with MAIL FROM (RFC 4954)."""
    dnsbl: str | None = None
    """The DNS list that blocked it, where one did."""
    content: str | None = None
    """The header or body text a content check matched. Hostile input."""
