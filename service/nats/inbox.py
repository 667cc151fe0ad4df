"""Messages of a subscription, taken in nats-py's reading task itself."""

import asyncio
from collections.abc import Callable

from nats.aio.msg import Msg


class Inbox(asyncio.Future[Msg]):
    """A subscription's future that is never done: nats-py hands it each message in the reading
    task. A callback would cost a queue and a task, and nats-py leaves that task behind when a
    connection breaks. `take` must not raise: it would end that reading task."""

    def __init__(self, take: Callable[[Msg], None]) -> None:
        super().__init__()
        self._take = take

    def set_result(self, message: Msg, /) -> None:
        self._take(message)
