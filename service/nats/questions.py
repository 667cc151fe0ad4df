"""Questions to the bucket: what did other receivers write of a message?

In: keys, any number of them at once. Out: an answer to each, after `ask_timeout` at the latest. A
bucket that stays silent is not asked for a while.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from nats.aio.msg import Msg

from service.nats.bucket import read_subject
from service.nats.bucket_watch import UNSENT_BYTES, BucketWatch
from service.nats.client import BROKEN, obey_cancellation
from service.nats.sharing_config import SharingConfig
from service.patient_timer import PatientTimer

_SILENT_MAX = 8
"""Questions in a row without an answer after which nobody is asked for a while."""


class Answered(StrEnum):
    """How a question ended."""

    FOUND = "found"
    MISSING = "missing"
    """Nobody wrote of this message: the common case, as few are deferred."""
    TIMEOUT = "timeout"
    OVERLOAD = "overload"
    """More questions at once than `max_asked`, or a server that does not read."""
    UNAVAILABLE = "unavailable"
    """No connection, or no bucket that can be read."""


@dataclass(slots=True)
class _Question:
    key: bytes
    name: str
    deadline: float
    """Loop time."""


class Questions:
    """`attach` for each new connection, `detach` when it is lost, `run` meanwhile."""

    def __init__(
        self,
        config: SharingConfig,
        bucket: BucketWatch,
        on_value: Callable[[bytes, str, bytes], object],
        on_answer: Callable[[bytes, str], None],
    ) -> None:
        """`on_answer` is called with key and name, once for each question and never from within
        `ask`; `on_value` just before it where a value was found."""
        self._config = config
        self._bucket = bucket
        self._on_value = on_value
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self._inbox = ""
        self._to_ask: dict[bytes, str] = {}
        """Keys of the bucket by those of the correlator."""
        self._has_to_ask = asyncio.Event()
        self._was_looked_at = asyncio.Event()
        """Or it was waited for long enough."""
        self._asked: dict[int, _Question] = {}
        self._last_token = 0
        self._silent = 0
        self._sweep: PatientTimer | None = None
        self.answered: dict[str, float] = dict.fromkeys(Answered, 0)

    @property
    def asked_now(self) -> int:
        return len(self._asked) + len(self._to_ask)

    def ask(self, key: bytes, name: str) -> None:
        self._to_ask[key] = name
        self._has_to_ask.set()

    def attach(self, inbox: str) -> None:
        """`inbox`: what the subjects of answers begin with."""
        self._inbox = inbox

    def detach(self) -> None:
        questions = list(self._asked.values())
        self._asked.clear()
        for question in questions:
            self._answer(question, Answered.UNAVAILABLE)

    def looked(self) -> None:
        """The bucket has just been looked at: what was silent before that does not count."""
        self._silent = 0
        self._was_looked_at.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._has_to_ask.wait()
            deadline = self._loop.time() + self._config.ask_timeout
            if not self._was_looked_at.is_set():
                await self._first_look(deadline)
            self._has_to_ask.clear()
            wanted, self._to_ask = self._to_ask, {}
            for key, name in wanted.items():
                refusal = await self._put_question(name, key, deadline)
                if refusal is not None:
                    self._answer(_Question(key, name, deadline), refusal)
            obey_cancellation()
            self._sweep_later()

    async def _first_look(self, deadline: float) -> None:
        """Who was just started has lines before he has a connection: whose host sent on to him at
        once would be known nothing of."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._was_looked_at.wait()
        self._was_looked_at.set()

    async def _put_question(self, name: str, key: bytes, deadline: float) -> Answered | None:
        """None: the answer comes later."""
        client = self._bucket.client
        if client is None or not self._bucket.is_readable:
            return Answered.UNAVAILABLE
        is_full = len(self._asked) >= self._config.max_asked
        if is_full or client.pending_data_size > UNSENT_BYTES:
            return Answered.OVERLOAD
        token = self._last_token = self._last_token + 1
        self._asked[token] = _Question(key, name, deadline)
        try:
            subject = read_subject(self._config.bucket, name)
            await client.publish(subject, reply=f"{self._inbox}{token}")
        except BROKEN:
            return None if self._asked.pop(token, None) is None else Answered.UNAVAILABLE
        return None

    def take_answer(self, token: str, message: Msg, status: str | None) -> None:
        question = self._asked.pop(int(token), None) if token.isdecimal() else None
        if question is None:
            return  # too late
        self._silent = 0
        if status == "503":  # nobody answers for this bucket: it is gone
            self._bucket.close_reading()
            self._answer(question, Answered.UNAVAILABLE)
        elif status is not None or not message.data:
            self._answer(question, Answered.MISSING)
        else:
            # It may come when its lines wait no longer: it is good for the next ones.
            self._on_value(question.key, question.name, message.data)
            self._answer(question, Answered.FOUND)

    def _answer(self, question: _Question, how: Answered) -> None:
        self.answered[how] += 1
        self._on_answer(question.key, question.name)

    def _sweep_later(self) -> None:
        if self._sweep is None and self._asked:
            oldest = next(iter(self._asked.values()))
            self._sweep = PatientTimer(oldest.deadline, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        now = self._loop.time()
        late = []
        for token, question in self._asked.items():  # in order of their deadlines
            if question.deadline > now:
                break
            late.append(token)
        self._silent += len(late)
        if self._silent >= _SILENT_MAX:
            self._bucket.close_reading()
        for token in late:
            self._answer(self._asked.pop(token), Answered.TIMEOUT)
        self._sweep_later()
