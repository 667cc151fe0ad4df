"""The policy, applied to one event.

In: the events of a line, as the assembler made them. Out: as many events with the same ids (keyed,
where there is a key), each valid by its schema. Never raises: an event that cannot be treated is
published as a dead letter that tells nothing of it.
"""

from base64 import b64decode, b64encode
from typing import Any, TypeVar

from schemas.base import Client, EventBase, Message
from schemas.invalid import InvalidEvent
from service.core.outcomes import Malformed
from service.core.privacy.known import Known
from service.core.privacy.masking import masked
from service.core.privacy.policy import Policy, Treatment
from service.core.privacy.pseudonyms import Pseudonyms
from service.core.privacy.texts import Texts
from service.core.privacy.values import Values

E = TypeVar("E", bound=EventBase)

_SERVERS = ("relay", "remote_reply")
_TEXT_FIELDS = ("response", "content", "dnsbl", "detail", "provider_code")
_WORD_FIELDS = ("tls", "stage", "protocol", "sasl_method")
"""Without a place for an address; but whoever wrote the line may have found one."""


class Privacy:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._pseudonyms = Pseudonyms(policy.key) if policy.key is not None else None
        self._values = Values(self._pseudonyms, shows_clients=policy.client is Treatment.KEEP)

    def treat(self, events: list[E]) -> list[E | InvalidEvent]:
        return [self._treat(event) for event in events]

    def _treat(self, event: E) -> E | InvalidEvent:
        try:
            return self._treated(event)
        except Exception as error:  # noqa: BLE001  # a defect of ours must not show what is hidden
            return self._withheld(event, type(error).__name__)

    def _treated(self, event: E) -> E:
        policy = self._policy
        # The line goes whatever else is kept: it holds everything that is not.
        fields: dict[str, Any] = {"event_id": self._event_id(event.event_id), "raw": None}
        if isinstance(event, InvalidEvent):
            fields["raw_base64"] = _masked(event)
        if not policy.keeps_all_values:
            fields |= self._values_of(event)
        if not policy.keeps_response:
            fields["response"] = None
            if (reply := (event.__dict__ | fields).get("remote_reply")) is not None:
                fields["remote_reply"] = reply.model_copy(update={"text": "", "command": None})
        if not policy.keeps_content and "content" in event.__dict__:
            fields["content"] = None
        return event.model_copy(update=fields)

    def _values_of(self, event: EventBase) -> dict[str, Any]:
        """The fields that hold something of somebody, treated."""
        policy, known = self._policy, self._known_of(event)
        texts = Texts(self._values, known, policy.of_addresses, policy.client, _servers_of(event))
        given = event.__dict__
        fields: dict[str, Any] = {
            "sender": self._address(given["sender"], policy.sender, known, texts),
            "recipient": self._address(given["recipient"], policy.recipient, known, texts),
            "recipient_domain": self._recipient_domain(event),
            "message": self._message(event.message, known, texts),
        }
        for name, how in (
            ("original_recipient", policy.recipient),
            ("sasl_sender", policy.sender),
            ("sasl_username", policy.sasl_username),
        ):
            if name in given:
                fields[name] = self._address(given[name], how, known, texts)
        if "client" in given:
            fields["client"] = self._client(given["client"], texts)
            fields["helo"] = self._host(given["helo"], texts)
        for name in _TEXT_FIELDS:
            if given.get(name) is not None:
                fields[name] = texts.clean(given[name])
        for name in _WORD_FIELDS:
            if given.get(name) is not None and "@" in given[name]:
                fields[name] = texts.clean(given[name])
        if (reply := given.get("remote_reply")) is not None:
            changes = {
                "text": texts.clean(reply.text),
                "command": _cleaned(reply.command, texts),
                "host": _without_addresses(reply.host, texts),
            }
            fields["remote_reply"] = reply.model_copy(update=changes)
        if (relay := given.get("relay")) is not None:
            changes = {
                "host": _without_addresses(relay.host, texts),
                "path": _without_addresses(relay.path, texts),
            }
            fields["relay"] = relay.model_copy(update=changes)
        return fields

    def _known_of(self, event: EventBase) -> Known:
        policy, given = self._policy, event.__dict__
        known = Known(self._values, policy.of_addresses)
        known.add_address(given["sender"], policy.sender)
        known.add_address(given.get("sasl_sender"), policy.sender)
        known.add_address(given["recipient"], policy.recipient)
        known.add_address(given.get("original_recipient"), policy.recipient)
        known.add_address(given.get("sasl_username"), policy.sasl_username)
        clients: list[Client | None] = [given.get("client")]
        if (message := event.message) is not None:
            known.add_address(message.sender, policy.sender)
            known.add_address(message.sasl_username, policy.sasl_username)
            known.add_message_id(message.message_id, policy.message_id)
            clients.append(message.client)
        for client in clients:
            if client is not None:
                known.add_ip(client.ip, policy.client)
                known.add_host(client.name, policy.client)
        known.add_host(given.get("helo"), policy.client)
        known.complete()
        return known

    def _address(self, value: str | None, how: Treatment, known: Known, texts: Texts) -> str | None:
        """As its field says, or stricter where another field has it too."""
        if value is None:
            return None
        how = known.treatment(value) or how
        return (
            texts.without_ips(value) if how is Treatment.KEEP else self._values.address(value, how)
        )

    def _recipient_domain(self, event: EventBase) -> str | None:
        domain = event.recipient_domain
        if domain is None or self._policy.recipient is Treatment.DROP:
            return None
        return domain if self._values.may_show(domain) else None

    def _message(self, message: Message | None, known: Known, texts: Texts) -> Message | None:
        if message is None:
            return None
        policy, message_id = self._policy, message.message_id
        if message_id is not None:
            how = known.treatment(message_id) or policy.message_id
            is_kept = how is Treatment.KEEP
            message_id = (
                texts.clean(message_id) if is_kept else self._values.message_id(message_id, how)
            )
        return message.model_copy(
            update={
                "message_id": message_id,
                "sender": self._address(message.sender, policy.sender, known, texts),
                "sasl_username": self._address(
                    message.sasl_username, policy.sasl_username, known, texts
                ),
                "client": self._client(message.client, texts),
            }
        )

    def _client(self, client: Client | None, texts: Texts) -> Client | None:
        how = self._policy.client
        if client is None or how is Treatment.DROP:
            return None
        if how is Treatment.KEEP:
            return client.model_copy(update={"name": _without_addresses(client.name, texts)})
        name, ip = client.name, client.ip
        return Client(
            name=None if name is None else self._values.host(name, how),
            ip=None if ip is None else self._values.client_ip(ip, how),
        )

    def _host(self, helo: str | None, texts: Texts) -> str | None:
        if helo is None or self._policy.client is Treatment.KEEP:
            return _without_addresses(helo, texts)
        return self._values.host(helo, self._policy.client)

    def _event_id(self, event_id: str) -> str:
        """Anybody can hash a guessed line; with a key only who has it."""
        return self._pseudonyms.of_event_id(event_id) if self._pseudonyms else event_id

    def _withheld(self, event: EventBase, defect: str) -> InvalidEvent:
        given = event.__dict__
        return InvalidEvent(
            event_id=self._event_id(given["event_id"]),
            event_time=given["event_time"],
            received_at=given["received_at"],
            time_quality=given["time_quality"],
            mta=given["mta"],
            queue_id=given["queue_id"],
            reason=Malformed.PRIVACY_FAILED.value,
            detail=defect,
            raw_base64="",
        )


def _servers_of(event: EventBase) -> frozenset[str]:
    """IP addresses that the event shows as those of servers."""
    servers = {event.mta.source_ip}
    servers.update(found.ip for name in _SERVERS if (found := event.__dict__.get(name)) is not None)
    return frozenset(filter(None, servers))


def _cleaned(text: str | None, texts: Texts) -> str | None:
    return None if text is None else texts.clean(text)


def _without_addresses(name: str | None, texts: Texts) -> str | None:
    """A server's name is nobody's; but it may have been made to look like one."""
    return texts.clean(name) if name is not None and "@" in name else name


def _masked(event: InvalidEvent) -> str:
    mta = event.mta
    shown = {mta.host, event.queue_id or "", *(mta.service or "").split("/")}
    line = b64decode(event.raw_base64).decode("utf-8", "replace")
    return b64encode(masked(line, shown).encode()).decode("ascii")
