"""The lives of accepted messages, from `client=` to `removed`, retries and notices included.

In: the world, the moment of arrival. Out: rounds of lines; the second and later rounds are
retries and come much later. Order of lines: Postfix `smtpd/`, `cleanup/`, `qmgr/`, `smtp/`,
`bounce/`.
"""

from benchmarks import shapes
from benchmarks.lines import Item, Kind, Round
from benchmarks.stamps import Clock
from benchmarks.world import Host, World

_DEFERRED = shapes.reasons("deferred")
_BOUNCED = shapes.reasons("bounced")
_QUEUED = shapes.texts("smtpd_queued")
_CLEANUP = shapes.texts("cleanup")
_HOSTILE = shapes.hostile()
_HOSTILE_CONTENT = [row.text for row in _HOSTILE if row.program == "cleanup"]
_HOSTILE_DELIVERY = {
    kind: [row.text for row in _HOSTILE if row.program == "smtp" and row.kind is kind]
    for kind in (Kind.DEFERRED, Kind.BOUNCED)
}


class Message:
    """One queue file."""

    def __init__(self, world: World, host: Host, clock: Clock) -> None:
        self.world = world
        self.host = host
        self.queue_id = host.queue_id(clock.seconds, clock.microseconds)
        self.sender = "" if world.chance(0.04) else world.pick(world.senders)
        self.client = world.pick(world.clients)
        self.smtpd = world.pick(host.headers["smtpd"])
        self.cleanup = world.pick(host.headers["cleanup"])
        self.qmgr = host.headers["qmgr"][0]
        self.size = 900 + world.below(60_000)
        self.has_strangers = False
        """A hostile line named a recipient of its own, who waits like the others."""
        self._originals: dict[str, str] = {}
        """What stands behind `to=` of each recipient: his original address lies in the queue file
        beside him, and is the same in every attempt."""

    def arrives(self) -> Round:
        world, queue_id = self.world, self.queue_id
        identified = (self.cleanup, f"{queue_id}: message-id=<{world.message_id()}>", Kind.OTHER)
        if world.chance(0.06):
            header = self.host.headers["pickup"][0]
            return [(header, f"{queue_id}: uid=1000 from=<{self.sender}>", Kind.OTHER), identified]
        name = self.client[0]
        header, sasl = self.smtpd, ""
        if world.chance(0.15):
            header = world.pick(self.host.headers["submission/smtpd"])
            sasl = f", sasl_method=PLAIN, sasl_username={self.sender or 'robot'}"
        return [
            (header, f"connect from {name}", Kind.OTHER),
            (header, f"{queue_id}: client={name}{sasl}", Kind.OTHER),
            identified,
        ]

    def leaves_smtpd(self) -> Item:
        text = f"disconnect from {self.client[0]} ehlo=1 starttls=1 mail=1 rcpt=1 data=1 quit=1"
        return self.smtpd, f"{text} commands=6", Kind.OTHER

    def active(self, recipients: int) -> Item:
        text = f"{self.queue_id}: from=<{self.sender}>, size={self.size}, nrcpt={recipients}"
        return self.qmgr, f"{text} (queue active)", Kind.OTHER

    def removed(self) -> Item:
        return self.qmgr, f"{self.queue_id}: removed", Kind.OTHER

    def sent(self, recipient: str, age: int = 0) -> Item:
        world = self.world
        remote, ip = world.pick(world.exchangers)
        relay = f"{remote}[{ip}]:25"
        reply = f"250 2.0.0 Ok: queued as {world.below(1 << 40):010X}"
        if world.chance(0.3):
            relay = "mail.example[private/dovecot-lmtp]"
            reply = f"250 2.0.0 <{recipient}> {world.below(1 << 40):010x} Saved"
        return self._status("smtp", recipient, relay, age, "2.0.0", f"sent ({reply})", Kind.SENT)

    def deferred(self, recipient: str, age: int = 0) -> Item:
        if self.world.chance(0.01):
            return self._hostile(Kind.DEFERRED, recipient)
        return self._failed(self.world.pick(_DEFERRED), recipient, age, Kind.DEFERRED)

    def bounced(self, recipient: str, age: int = 0) -> Item:
        if self.world.chance(0.01):
            return self._hostile(Kind.BOUNCED, recipient)
        return self._failed(self.world.pick(_BOUNCED), recipient, age, Kind.BOUNCED)

    def expired(self) -> Item:
        text = f"{self.queue_id}: from=<{self.sender}>, status=expired, returned to sender"
        return self.qmgr, text, Kind.BOUNCED

    def notice(self, clock: Clock) -> Round:
        """The non-delivery notice: a message of its own, back to the sender."""
        if not self.sender:
            return []
        notice = Message(self.world, self.host, clock)
        bounce = self.world.pick(self.host.headers["bounce"])
        told = f"{self.queue_id}: sender non-delivery notification: {notice.queue_id}"
        identified = f"{notice.queue_id}: message-id=<{self.world.message_id()}>"
        recipient, notice.sender = self.sender, ""
        return [
            (self.cleanup, identified, Kind.OTHER),
            (bounce, told, Kind.OTHER),
            notice.active(1),
            notice.sent(recipient),
            notice.removed(),
        ]

    def refused(self) -> Item:
        """By a content check or a milter, after its queue file was opened."""
        world = self.world
        header, rows = self.cleanup, _CLEANUP
        luck = world.random()
        if luck < 0.2:
            header, rows = self.smtpd, _QUEUED
        elif luck < 0.23:
            rows = _HOSTILE_CONTENT
        text = world.pick(rows)
        recipient = world.pick(world.recipients)
        name, ip, helo = self.client
        text = text.format(
            q=self.queue_id, c=name, ip=ip, h=helo, s=self.sender, r=recipient,
            u=recipient.partition("@")[0], d=recipient.rpartition("@")[2],
        )  # fmt: skip
        return header, text, Kind.REJECT

    def _hostile(self, kind: Kind, recipient: str) -> Item:
        world = self.world
        self.has_strangers = True
        text = world.pick(_HOSTILE_DELIVERY[kind])
        remote, ip = world.pick(world.exchangers)
        text = text.format(
            q=self.queue_id, r=recipient, m=remote, ip=ip, d=recipient.rpartition("@")[2]
        )
        return world.pick(self.host.headers["smtp"]), text, kind

    def _failed(self, reason: shapes.Reason, recipient: str, age: int, kind: Kind) -> Item:
        world = self.world
        remote, ip = world.pick(world.exchangers)
        local, _, domain = recipient.rpartition("@")
        text = reason.text.format(
            m=remote, ip=ip, r=recipient, d=domain, u=local, n=world.below(99_999)
        )
        relay = f"{remote}[{ip}]:25" if reason.relay == "remote" else reason.relay
        said = f"{reason.status} ({text})"
        return self._status(reason.agent, recipient, relay, age, reason.code, said, kind)

    def _status(
        self, agent: str, recipient: str, relay: str, age: int, code: str, said: str, kind: Kind
    ) -> Item:
        world = self.world
        original = self._originals.get(recipient)
        if original is None:
            original = f", orig_to=<info@{world.pick(world.domains)}>" if world.chance(0.08) else ""
            self._originals[recipient] = original
        connection, sent = world.below(90), 1 + world.below(90)
        total = str(age) if age >= 10 else _seconds(4 + connection + sent)
        before = str(age) if age >= 10 else "0.04"
        delays = f"{before}/0.01/{_seconds(connection)}/{_seconds(sent)}"
        tls = ", tls=may" if self.host.logs_tls and agent == "smtp" else ""
        text = (
            f"{self.queue_id}: to=<{recipient}>{original}, relay={relay}, delay={total}, "
            f"delays={delays}{tls}, dsn={code}, status={said}"
        )
        return world.pick(self.host.headers[agent]), text, kind


def _seconds(hundredths: int) -> str:
    """As Postfix writes delays (`global/format_tv.c`): two digits, trailing zeros dropped."""
    if hundredths >= 100:
        return f"{hundredths / 100:.1f}".removesuffix(".0")
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
