"""What a log tells of its messages: a second opinion, to hold the events of a run against.

In: the lines of a whole run, in order, of Postfixes whose queue ids do not meet. Out: for each
message what the lines so far have told. It reads as plainly as it can, for it needs no bounds, no
speed and no doubt: nobody here writes a line to deceive it but in places it does not look at.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_LINE = re.compile(r"<22>(\S+) \S+ [^\s\[]+\[\d+\]: ([0-9A-Za-z]{6,}): (.*)", re.DOTALL)
_CLIENT = re.compile(r"client=([^\[]+)\[([^\]]+)\]")
_LOGIN = re.compile(r", sasl_username=(\S+)$")
_ORIGIN = re.compile(r", orig_queue_id=([0-9A-Za-z]+)")
_ORIGINAL_CLIENT = re.compile(r", orig_client=([^\[]+)\[([^\]]+)\]$")
_SUBMITTED = re.compile(r"uid=\d+ from=<(.*)>(?: orig_id=(\w+))?$")
_ACTIVE = re.compile(r"from=<(.*)>, size=(\d+), nrcpt=(\d+) \(queue active\)$")
_TO = re.compile(r'to=<((?:"[^"]*"|[^">])*)>.*? status=(\w+)')
_FORWARDED = re.compile(r" \(forwarded as (\w+)\)$")
_NOTICE = re.compile(r"(sender|postmaster) (\S+) notification: (\w+)$")


@dataclass
class Told:
    """What is known of one message."""

    message_id: str | None = None
    sender: str | None = None
    size: int | None = None
    recipients: int | None = None
    client: dict[str, Any] | None = None
    sasl_username: str | None = None
    queued_at: datetime | None = None
    origin_queue_id: str | None = None
    is_own: bool = False
    """Its first line is cleanup's: a notice, or forwarded."""
    activation: int = 0
    """How often qmgr has taken it up."""
    attempts: dict[str, set[int]] = field(default_factory=dict)
    """The activations in which each recipient was deferred."""
    first_deferred: dict[str, datetime] = field(default_factory=dict)

    @property
    def is_begun(self) -> bool:
        """Its first line is in the log."""
        return self.queued_at is not None

    def attempt(self, recipient: str) -> int:
        """The number of the attempt going on, of those in the log."""
        return len(self.attempts.get(recipient, set()) | {self.activation})


class Log:
    def __init__(self) -> None:
        self.messages: dict[str, Told] = {}
        self.successors: dict[str, str] = {}
        """The queue id that `postsuper -r` gave a message."""

    def told(self, queue_id: str) -> Told:
        return self.messages.setdefault(queue_id, Told())

    def chain(self, queue_id: str) -> str:
        """The last of a message's queue ids."""
        while queue_id in self.successors:
            queue_id = self.successors[queue_id]
        return queue_id

    def learn(self, line: str) -> None:
        found = _LINE.match(line)
        if found is None:
            return
        at, queue_id, text = datetime.fromisoformat(found[1]), found[2], found[3]
        if text.startswith(("client=", "uid=")):
            self.messages.pop(queue_id, None)  # the id was another message's
        told = self.told(queue_id)
        if text.startswith("client="):
            told.queued_at = at
            self._accepted(told, text)
        elif submitted := _SUBMITTED.match(text):
            told.queued_at = at
            self._submitted(told, queue_id, submitted[1], submitted[2])
        elif text.startswith("message-id="):
            told.is_own = told.is_own or told.queued_at is None
            told.queued_at = told.queued_at or at
            if told.message_id is None:
                told.message_id = text.removeprefix("message-id=")
        elif active := _ACTIVE.match(text):
            told.activation += 1
            if told.size is None:
                told.sender = active[1]
                told.size = int(active[2])
                if told.is_begun:
                    told.recipients = int(active[3])
        elif to := _TO.match(text):
            if to[2] in ("deferred", "SOFTBOUNCE"):
                told.attempts.setdefault(to[1], set()).add(told.activation)
                told.first_deferred.setdefault(to[1], at)
            elif forwarded := _FORWARDED.search(text):
                self._link(forwarded[1], queue_id)

    def adopt(self, queue_id: str, ahead: Iterable[str]) -> None:
        """A message that fails before local(8) says what it was forwarded from: its events wait
        for that, which stands in one of the lines `ahead`."""
        for line in ahead:
            found = _LINE.match(line)
            if found and (link := _FORWARDED.search(found[3])) and link[1] == queue_id:
                self._link(queue_id, found[2])
                return

    def _link(self, queue_id: str, origin: str) -> None:
        child, told = self.told(queue_id), self.told(origin)
        child.origin_queue_id, child.client = origin, told.client
        child.sasl_username = told.sasl_username

    def _accepted(self, told: Told, text: str) -> None:
        client = _ORIGINAL_CLIENT.search(text) or _CLIENT.match(text)
        assert client is not None, text
        name = None if client[1] == "unknown" else client[1]
        told.client = {"name": name, "ip": client[2], "port": None}
        if login := _LOGIN.search(text):
            told.sasl_username = login[1]
        if (origin := _ORIGIN.search(text)) and origin[1] != "NOQUEUE":
            told.origin_queue_id = origin[1]
            told.sasl_username = self.told(origin[1]).sasl_username

    def _submitted(self, told: Told, queue_id: str, sender: str, origin: str | None) -> None:
        told.sender = sender
        if origin is not None:
            before = self.told(origin)
            told.origin_queue_id, told.client = origin, before.client
            told.sasl_username = before.sasl_username
            told.attempts = {
                name: {-n for n in range(1, 1 + len(tries))}
                for name, tries in before.attempts.items()
            }
            told.first_deferred = before.first_deferred
            self.successors[origin] = queue_id


def notices(lines: list[str]) -> dict[str, tuple[str, str]]:
    """For each line of a bounce the notice that was made of it: queue id and kind."""
    found: dict[str, tuple[str, str]] = {}
    waiting: dict[str, list[str]] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        queue_id, text = match[2], match[3]
        if re.match(r"to=<.* status=bounced|from=<.*>, status=(force-)?expired", text):
            waiting.setdefault(queue_id, []).append(line)
        elif (notice := _NOTICE.match(text)) and notice[2] == "non-delivery":
            for bounce in waiting.pop(queue_id, []):
                found[bounce] = (notice[3], notice[1])
        elif text == "removed":
            waiting.pop(queue_id, None)
    return found
