"""The records of one message, read once it fails: what earlier lines told of it.

In: a record set (`records`). Out: a `Story`, typed. Grammar: Postfix `smtpd/smtpd.c` (client=),
`pickup/pickup.c` (uid=), `cleanup/cleanup_message.c` (message-id=), `qmgr/qmgr_message.c` (from=).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from schemas.base import Message
from service.core.correlate.memory import STAMP_BYTES, begun
from service.core.correlate.records import (
    ACTIVE_RECORD,
    BEGUN_RECORD,
    CLIENT_RECORD,
    LONGEST_RECORD,
    MESSAGE_ID_RECORD,
    NOTICE_RECORD,
    ORIGIN_RECORD,
    PARENT_RECORD,
    SEPARATOR,
    UID_RECORD,
)
from service.core.postfix.facts import Client
from service.core.postfix.fragments import CLIENT, QUEUE_ID, known, pattern, port
from service.core.postfix.remembered import remember
from service.core.syslog.timestamp import exact_time, stamp_time

# `Final`: the compiled core then looks no name up.
_STAMPED = frozenset({b"c", b"u", b"b", b"p"})
_CLIENTS = (b"c", b"pc")
_MESSAGE_ID: Final = MESSAGE_ID_RECORD[1:]

_SEPARATOR: Final = SEPARATOR.decode()
_CLIENT_KIND: Final = CLIENT_RECORD[1:].decode()
_UID_KIND: Final = UID_RECORD[1:].decode()
_BEGUN_KIND: Final = BEGUN_RECORD[1:].decode()
_MESSAGE_ID_KIND: Final = MESSAGE_ID_RECORD[1:].decode()
_ACTIVE_KIND: Final = ACTIVE_RECORD[1:].decode()
_PARENT_KIND: Final = PARENT_RECORD[1:].decode()
_ORIGIN_KIND: Final = ORIGIN_RECORD[1:].decode()
_NOTICE_KIND: Final = NOTICE_RECORD[1:].decode()
_CLIENT: Final = pattern(CLIENT)
_SASL_USERNAME: Final = ", sasl_username="
_LOGIN_END: Final = pattern(", (?:sasl_sender|orig_queue_id|orig_client)=")
# A filter before the queue may say NOQUEUE.
_ORIGINAL_QUEUE_ID: Final = pattern(
    rf", orig_queue_id=(?!NOQUEUE)({QUEUE_ID})(?=, orig_client=|\Z)"
)
_ORIGINAL_CLIENT: Final = ", orig_client="
_Came = tuple[Client | None, str | None, str | None]
_CAME: Final[dict[str, _Came]] = {}

_UID: Final = pattern(rf"([0-9]{{1,10}}) from=<(.*)>(?: orig_id=({QUEUE_ID}))?\Z")
_SIZE: Final = ">, size="
_RECIPIENTS: Final = ", nrcpt="
_SIZE_DIGITS: Final = 18
_RECIPIENTS_DIGITS: Final = 9
_DOUBLE_BOUNCE: Final = "double-bounce@"


@dataclass(slots=True, eq=False, init=False)
class Story:
    """What is known of a message. None: no line told. Compared by identity: the same records give
    the same one, as long as they are remembered."""

    message_id: str | None
    sender: str | None
    size: int | None
    recipients: int | None
    client: Client | None
    sasl_username: str | None
    queued_at: datetime | None
    origin_queue_id: str | None
    is_whole: bool
    """Its beginning, its ids and its sender were seen."""
    is_begun: bool
    """The first line Postfix writes of it was seen, so every attempt was."""
    is_active: bool
    """qmgr took it up."""
    is_local: bool
    """It did not come over the network: submitted on this host, or made by Postfix."""

    message: Message | None = field(default=None, init=False)
    """As events have it, once `core.context` was asked for it."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        message_id: str | None,
        sender: str | None,
        size: int | None,
        recipients: int | None,
        client: Client | None,
        sasl_username: str | None,
        queued_at: datetime | None,
        origin_queue_id: str | None,
        is_whole: bool,
        is_begun: bool,
        is_active: bool,
        is_local: bool,
    ) -> None:
        self.message_id = message_id
        self.sender = sender
        self.size = size
        self.recipients = recipients
        self.client = client
        self.sasl_username = sasl_username
        self.queued_at = queued_at
        self.origin_queue_id = origin_queue_id
        self.is_whole = is_whole
        self.is_begun = is_begun
        self.is_active = is_active
        self.is_local = is_local
        self.message = None

    @property
    def is_orphan(self) -> bool:
        """Its beginning was seen, which does not tell where it came from: local(8), which names the
        message that it was forwarded from, has yet to be heard."""
        return (
            self.is_begun
            and not self.is_local
            and self.client is None
            and self.origin_queue_id is None
        )


def read_story(value: bytes, zone: tzinfo) -> Story:
    """Never raises. `zone` is for stamps that name none."""
    kept = value[STAMP_BYTES + 1 :]
    if len(kept) > LONGEST_RECORD:  # or none of them can be cut
        kept = b"\n".join(map(_believed, kept.split(b"\n")))
    records: dict[str, str] = {}
    for record in reversed(kept.decode("utf-8", "replace").split("\n")):
        records[record[:1]] = record[1:]
    client_line, uid_line = records.get(_CLIENT_KIND), records.get(_UID_KIND)
    first = client_line or uid_line or records.get(_BEGUN_KIND)
    queued_at = None
    if first is not None:
        queued_at = _time(first.partition(_SEPARATOR)[0], value, zone)
    client, sasl_username, origin = _client(client_line)
    sender = None
    if uid_line is not None and (match := _UID.match(uid_line.partition(_SEPARATOR)[2])):
        sender, origin = match[2], match[3]
    made_from = records.get(_ORIGIN_KIND)
    parent = records.get(_PARENT_KIND)
    if parent is not None:
        inherited, inherited_username, _ = _client(parent[1:] if parent[:1] == "c" else None)
        if made_from is not None or uid_line is not None or client is None:
            client = inherited
        sasl_username = sasl_username or inherited_username
    size = recipients = None
    active = records.get(_ACTIVE_KIND)
    if active is not None and (told := _active(active)) is not None:
        sender, size, recipients = told
        if first is None:  # then this may be a later try, with fewer that are left
            recipients = None
    message_id = records.get(_MESSAGE_ID_KIND)
    is_own = _NOTICE_KIND in records or (
        _BEGUN_KIND in records
        and sender is not None
        and (sender == "" or sender.startswith(_DOUBLE_BOUNCE))
    )
    is_from_outside = client_line is not None or made_from is not None
    is_born = is_from_outside or uid_line is not None or is_own
    return Story(
        None if message_id is None else _bare(message_id),
        sender,
        size,
        recipients,
        client,
        sasl_username,
        queued_at,
        origin or made_from,
        is_whole=is_born and message_id is not None and sender is not None,
        is_begun=first is not None,
        is_active=active is not None,
        is_local=not is_from_outside and (uid_line is not None or is_own),
    )


def _time(stamp: str, value: bytes, zone: tzinfo) -> datetime | None:
    """A stamp without its year is near to when these records were begun."""
    time = exact_time(stamp)
    if time is not None:
        return time
    time, quality = stamp_time(stamp, datetime.fromtimestamp(begun(value), UTC), zone)
    return time if quality != "received" else None


def _believed(record: bytes) -> bytes:
    """All of it, but for one that is cut: of that its stamp, and the name of a client; of a
    message-id nothing."""
    head, separator, text = record[:1], b"", record[1:]
    if head in _STAMPED:
        head, separator, text = record.partition(SEPARATOR)
    if len(text) < LONGEST_RECORD:
        return record
    if head == _MESSAGE_ID:
        return b""
    return head + separator + (text.partition(b",")[0] if head.startswith(_CLIENTS) else b"")


def _active(text: str) -> tuple[str, int, int] | None:
    """Sender, size and number of recipients of `<sender>, size=n, nrcpt=n`. From the right:
    whatever the sender holds, it ends before these."""
    rest, _, recipients = text.rpartition(_RECIPIENTS)
    sender, _, size = rest.rpartition(_SIZE)
    if sender[:1] != "<" or not (
        _is_number(size, _SIZE_DIGITS) and _is_number(recipients, _RECIPIENTS_DIGITS)
    ):
        return None
    return sender[1:], int(size), int(recipients)


def _is_number(text: str, most_digits: int) -> bool:
    return len(text) <= most_digits and text.isdigit() and text.isascii()


def _client(line: str | None) -> _Came:
    """Client, login and original queue id of a `client=` line."""
    if line is None:
        return None, None, None
    text = line.partition(_SEPARATOR)[2]
    came = _CAME.get(text)
    if came is None:
        came = _came(text)
        # Each such id stands in one line.
        if came[2] is None and len(text) <= LONGEST_RECORD:
            remember(_CAME, text, came)
    return came


def _came(text: str) -> _Came:
    """Of mail that a content filter gave back, the client is the one the filter had it from."""
    text, has_login, login = text.partition(_SASL_USERNAME)
    if has_login:
        # A login is the client's to choose: what follows it is not believed.
        return _read_client(text), _LOGIN_END.split(login, 1)[0] or None, None
    origin = _ORIGINAL_QUEUE_ID.search(text)
    original = text.rpartition(_ORIGINAL_CLIENT)[2]
    client = _read_client(original) if original != text else None
    return client or _read_client(text), None, origin[1] if origin is not None else None


def _read_client(text: str) -> Client | None:
    match = _CLIENT.match(text)
    return None if match is None else Client(known(match[1]), known(match[2]), port(match[3]))


def _bare(message_id: str) -> str | None:
    """Without its brackets; a header may hold anything. None: `<>` is what Postfix writes of a
    message without that header."""
    if message_id.startswith("<") and message_id.endswith(">"):
        message_id = message_id[1:-1]
    return message_id or None
