"""What one Postfix failure line says, typed: the parser's output, the assembler's input.

Plain slotted classes on the hot path: they are made once per failure line, read once and thrown
away. Values are as logged; `None` means the line does not tell.

The constructors of the busiest are written out: one that `dataclass` makes stays interpreted in a
compiled core (`hatch_build.py`), where it costs more than it did before.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(slots=True, init=False)
class Record:
    """The parts every Postfix record shares (Postfix `global/mail_task.c`, `util/msg_syslog.c`)."""

    service: str
    """The whole tag: `postfix/submission/smtpd`."""
    instance: str
    """The first path element of the tag: `postfix`, `postfix-out`."""
    daemon: str | None
    """The last path element: `smtpd`. None where the relay cut it off (`postfix` alone)."""
    queue_id: str | None
    """None for `NOQUEUE` and for lines without one."""

    def __init__(
        self,
        service: str,
        instance: str,
        daemon: str | None,
        queue_id: str | None,
    ) -> None:
        self.service = service
        self.instance = instance
        self.daemon = daemon
        self.queue_id = queue_id


class Client(NamedTuple):
    """Hashable, as is `Relay`: a log names the same ones again and again."""

    name: str | None
    """None where Postfix logged `unknown`."""
    ip: str | None
    port: int | None


class Relay(NamedTuple):
    host: str
    """Host name, or the service name of a delivery agent (`local`, `dovecot`)."""
    ip: str | None
    port: int | None
    path: str | None
    """UNIX socket path."""


@dataclass(slots=True, init=False)
class RemoteReply:
    """What a remote server said, cut out of the status reason (Postfix `smtp/smtp_trouble.c`)."""

    host: str | None
    ip: str | None
    smtp_code: int | None
    enhanced_code: str | None
    text: str
    """The reply as logged, code included, without `(in reply to ...)`."""
    command: str | None
    """`RCPT TO`, `end of DATA` ...: the part of `(in reply to X command)` that names it."""

    def __init__(
        self,
        host: str | None,
        ip: str | None,
        smtp_code: int | None,
        enhanced_code: str | None,
        text: str,
        command: str | None,
    ) -> None:
        self.host = host
        self.ip = ip
        self.smtp_code = smtp_code
        self.enhanced_code = enhanced_code
        self.text = text
        self.command = command


@dataclass(slots=True, init=False)
class Reject:
    """Refused at the door: Postfix never took responsibility for it."""

    action: str
    """`reject`, `milter-reject`, `proxy-reject`, `milter-header-reject`, `abort` ..."""
    stage: str
    """`CONNECT`, `RCPT`, `END-OF-MESSAGE`, `TLS`, `header`, `body`, `mime-error` ..."""
    response: str
    """Text of the refusal as logged, code included where it has one. May be empty."""
    severity: Literal["permanent", "temporary"] | None
    smtp_code: int | None = None
    enhanced_code: str | None = None
    client: Client | None = None
    sender: str | None = None
    recipient: str | None = None
    protocol: str | None = None
    helo: str | None = None
    sasl_method: str | None = None
    sasl_username: str | None = None
    sasl_sender: str | None = None
    dnsbl: str | None = None
    content: str | None = None
    """The header or body text that a content check matched: attacker text, never interpreted."""
    truncated: bool = False

    def __init__(
        self,
        action: str,
        stage: str,
        response: str,
        severity: Literal["permanent", "temporary"] | None,
        smtp_code: int | None = None,
        enhanced_code: str | None = None,
        client: Client | None = None,
        sender: str | None = None,
        recipient: str | None = None,
        protocol: str | None = None,
        helo: str | None = None,
        sasl_method: str | None = None,
        sasl_username: str | None = None,
        sasl_sender: str | None = None,
        dnsbl: str | None = None,
        content: str | None = None,
        truncated: bool = False,
    ) -> None:
        self.action = action
        self.stage = stage
        self.response = response
        self.severity = severity
        self.smtp_code = smtp_code
        self.enhanced_code = enhanced_code
        self.client = client
        self.sender = sender
        self.recipient = recipient
        self.protocol = protocol
        self.helo = helo
        self.sasl_method = sasl_method
        self.sasl_username = sasl_username
        self.sasl_sender = sasl_sender
        self.dnsbl = dnsbl
        self.content = content
        self.truncated = truncated


DeliveryKind = Literal["deferred", "bounced", "sent"]


@dataclass(slots=True, init=False)
class Delivery:
    """A delivery attempt of an accepted message: it failed, for now or for good, or it did not."""

    kind: DeliveryKind
    status: str
    """As logged: `deferred`, `SOFTBOUNCE`, `bounced`, `expired`, `force-expired`, `sent`."""
    response: str
    """The reason without its enclosing parentheses; of an expiry `returned to sender`."""
    recipient: str | None = None
    """None for lines about the whole message (expiry, `bounce failed`)."""
    original_recipient: str | None = None
    sender: str | None = None
    """Only an expiry line names it."""
    relay: Relay | None = None
    connection_use: int | None = None
    delay: float | None = None
    delays: tuple[float, ...] | None = None
    """Four of them."""
    tls: str | None = None
    enhanced_code: str | None = None
    remote_reply: RemoteReply | None = None
    truncated: bool = False

    def __init__(
        self,
        kind: DeliveryKind,
        status: str,
        response: str,
        recipient: str | None = None,
        original_recipient: str | None = None,
        sender: str | None = None,
        relay: Relay | None = None,
        connection_use: int | None = None,
        delay: float | None = None,
        delays: tuple[float, ...] | None = None,
        tls: str | None = None,
        enhanced_code: str | None = None,
        remote_reply: RemoteReply | None = None,
        truncated: bool = False,
    ) -> None:
        self.kind = kind
        self.status = status
        self.response = response
        self.recipient = recipient
        self.original_recipient = original_recipient
        self.sender = sender
        self.relay = relay
        self.connection_use = connection_use
        self.delay = delay
        self.delays = delays
        self.tls = tls
        self.enhanced_code = enhanced_code
        self.remote_reply = remote_reply
        self.truncated = truncated


Facts = Reject | Delivery
