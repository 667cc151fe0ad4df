"""What the receivers of a fleet tell each other of a message with deferred recipients.

In: what another receiver told (`shared`). Out: what is known here, to be told; and whether the
others may know more. To take over what another tells is the same whether it comes twice, late, or
behind what came after it.
"""

from service.core.correlate.attempts import Attempts
from service.core.correlate.endings import End
from service.core.correlate.memory import STAMP_BYTES, Memory, begun, stamp_of
from service.core.correlate.queued import NAME, name_of, names_of
from service.core.correlate.records import (
    ACTIVE_RECORD,
    ASKED_RECORD,
    BEGUN_RECORD,
    CLIENT_RECORD,
    NEIGHBOUR_SECONDS,
    NOTICE_RECORD,
    ORIGIN_RECORD,
    SEPARATOR,
    UID_RECORD,
    add_record,
    has_begun,
    kind_of,
    records_of,
)
from service.core.correlate.shared import Shared, encode, encode_gone
from service.core.correlate.waiting import Waiting, pack


class Exchange:
    def __init__(self, messages: Memory, attempts: Attempts) -> None:
        """`messages`: the record sets."""
        self._messages = messages
        self._attempts = attempts
        self._asked = ASKED_RECORD
        self._unsure_before = stamp_of(0)

    def is_foreign(self, key: bytes) -> bool:
        """Others may know of it what is not known here, and have not been asked."""
        value = self._messages.get(key)
        if value is None:
            return True
        # Stamps stand first, and in order as bytes.
        began_here = value >= self._unsure_before and (
            has_begun(value) or value.find(NOTICE_RECORD) >= 0 or value.find(ORIGIN_RECORD) >= 0
        )
        return not began_here and value.find(self._asked) < 0

    def asked(self, key: bytes, seconds: int) -> None:
        """They were asked, and need not be asked again."""
        add_record(self._messages, key, self._asked, stamp_of(seconds))

    def doubt(self, seconds: int) -> None:
        """They were not heard for a while: they are asked anew of all that is known here."""
        self._unsure_before = stamp_of(seconds)
        self._asked = ASKED_RECORD + self._unsure_before

    def holds(self, key: bytes) -> bool:
        """Whether this message is known here and has not left the queue."""
        return key in self._messages.entries or key in self._attempts.queued.entries

    def has_left(self, key: bytes) -> bool:
        """Whether this message was seen to leave the queue a moment ago."""
        return not self.holds(key) and self._messages.get(key) is not None

    def export(self, key: bytes) -> bytes:
        """What others should know of a message that has, or had, deferred recipients."""
        queued = self._attempts.queued.entries.get(key)
        if queued is None:
            left = self._attempts.queued.left(key)
            names = [] if left is None else list(dict.fromkeys(names_of(left)))
            ends = self._attempts.endings.ends(key, names, is_gone=True)
            # All have ended, but their events may wait for the notice, and `removed` is to come.
            known = self._messages.entries.get(key)
            return encode_gone(ends, 0 if known is None else begun(known), _told(known))
        known = self._messages.get(key)
        waiting, ended = [], []
        for name in dict.fromkeys(names_of(queued)):
            packed = self._attempts.recipients.entries.get(key + NAME + name)
            if packed is None:
                ended.append(name)
            else:
                waiting.append(packed[STAMP_BYTES:])
        return encode(
            begun(queued if known is None else known),
            _told(known),
            self._attempts.activation(key, None),
            waiting,
            ended,
            self._attempts.endings.ends(key, ended, is_gone=False),
        )

    def learn(self, key: bytes, shared: Shared, seconds: int) -> bool:
        """Take over what another receiver tells. It may come late, twice, or in another order than
        it was written. True: more is known here than it tells."""
        ends = {end.name: end for end in shared.ends}
        if shared.is_gone:
            gone = self._attempts.queued.entries.get(key)
            for name in [] if gone is None else names_of(gone):
                ends.setdefault(name, End(name, 0, "", False, None))
            self._attempts.endings.ended_elsewhere(key, list(ends.values()), seconds)
            self._attempts.drop(key)
            if shared.records and not self.holds(key):
                self._learn_records(key, None, shared, seconds)
            return False
        known = self._messages.entries.get(key)
        if known is not None and _is_other(known, shared):
            if begun(known) > shared.begun:
                return True
            self._attempts.drop(key)
            self._messages.discard(key)
            known = None
        # Counted by whoever saw it from its beginning, if nothing was missed since.
        has_all = known is not None and not self.is_foreign(key) and has_begun(known)
        knows_more = self._learn_records(key, known, shared, seconds)
        queued = self._attempts.queued.entries.get(key)
        # All may have ended here a moment ago, and the others, or the bucket, not know it yet.
        left = self._attempts.queued.left(key) if queued is None and known is not None else None
        names = [] if queued is None else names_of(queued)
        # Sets: of thousands of names each is looked for.
        listed = set(names)
        ended_here = listed if left is None else set(names_of(left))
        activations = shared.activations
        if queued is not None:
            activations = max(activations, self._attempts.activation(key, None))
        elif known is not None and ACTIVE_RECORD in known:
            activations += 1  # it was taken up anew, and that line came here
        stamp = stamp_of(seconds)
        told = set()
        for waiting in shared.waiting:
            name = name_of(waiting.recipient)
            told.add(name)
            here = self._attempts.waiting(key + NAME + name)
            if here is None and name in ended_here:
                knows_more = True  # it has ended
                continue
            if here is None:
                knows_more |= has_all and not waiting.is_counted
                waiting.is_counted |= has_all
                names.append(name)
                listed.add(name)
            elif not _is_ahead(waiting, here):
                knows_more |= _is_ahead(here, waiting)
                continue
            elif here.first_deferred < waiting.first_deferred:
                knows_more = True  # they did not know of the attempts that were seen here
                waiting.attempts += here.attempts
                waiting.first_deferred, waiting.is_counted = here.first_deferred, here.is_counted
            self._attempts.recipients.renew(key + NAME + name, stamp + pack(waiting))
        for recipient in shared.ended:
            name = name_of(recipient)
            told.add(name)
            ends.setdefault(name, End(name, 0, "", False, None))
            if name not in listed and name not in ended_here:
                names.append(name)
                listed.add(name)
        self._attempts.endings.ended_elsewhere(key, list(ends.values()), seconds)
        if not names:
            return left is not None
        self._attempts.queued.renew(key, b"%b%d\n%b" % (stamp, activations, NAME.join(names)))
        return (knows_more or any(name not in told for name in names)) and not shared.is_cut

    def _learn_records(self, key: bytes, known: bytes | None, shared: Shared, seconds: int) -> bool:
        if known is None:
            # Not younger than now, and not so old that it would be forgotten at once.
            at = min(max(shared.begun, seconds - self._messages.bounds.seconds // 2), seconds)
            if shared.records:
                told = b"".join(b"\n" + record for record in shared.records)
                self._messages.renew(key, stamp_of(at) + told)
            return False
        is_begun = has_begun(known)
        kinds = set()
        for record in shared.records:
            kind = kind_of(record)
            kinds.add(kind)
            if kind not in known and not (kind == BEGUN_RECORD and is_begun):
                known += b"\n" + record
        self._messages.put(key, known)
        return any(kind_of(record) not in kinds | {ASKED_RECORD} for record in records_of(known))


def _told(known: bytes | None) -> list[bytes]:
    """The records of it that others should have."""
    if known is None:
        return []
    return [record for record in records_of(known) if kind_of(record) != ASKED_RECORD]


def _is_other(known: bytes, shared: Shared) -> bool:
    """Whether a message told of is not the one known by that id, but an earlier or a later one."""
    if abs(begun(known) - shared.begun) < NEIGHBOUR_SECONDS:
        return False  # resent lines may come with stamps of another form
    for record in shared.records:
        kind = kind_of(record)
        if kind in (CLIENT_RECORD, UID_RECORD, BEGUN_RECORD) and kind in known:
            return b"\n" + record.partition(SEPARATOR)[0] not in known
    return False


def _is_ahead(told: Waiting, here: Waiting) -> bool:
    """Whether what is told of a recipient goes beyond what is known here. Who counts for himself,
    for want of hearing of the others, has another first deferral than they."""
    if told.first_deferred == here.first_deferred:
        return (told.attempts, told.is_counted) > (here.attempts, here.is_counted)
    return told.first_deferred < here.first_deferred or told.last_id != here.last_id
