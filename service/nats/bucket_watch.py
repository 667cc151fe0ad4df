"""The state of the bucket that receivers share: whether it can be read and written.

In: connections as they come and go, and what questions and news find out. Out: a look at the bucket
on each connection, and again while it cannot be used; a line in the log for each change.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from nats.aio.client import Client

from service.nats.bucket import BucketReport, look_at_bucket
from service.nats.client import obey_cancellation
from service.nats.sharing_config import SharingConfig

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
"""Between two looks at the bucket, at least."""
_LOOK_AGAIN_SECONDS = 10.0
"""After which one that could not be used is looked at again."""
UNSENT_BYTES = 1024 * 1024
"""With this much waiting in nats-py the server does not read: nothing more is written."""


class BucketWatch:
    """`attach` for each new connection, `detach` when it is lost, `run` meanwhile."""

    def __init__(
        self, config: SharingConfig, look_timeout: float, on_look: Callable[[], None]
    ) -> None:
        """`on_look` is called after each look, when `is_readable` says what it found."""
        self._config = config
        self._look_timeout = look_timeout
        self._on_look = on_look
        self._loop = asyncio.get_running_loop()
        self._said: tuple[Any, ...] | None = None
        self._is_stopping = False
        self._look_wanted = asyncio.Event()
        self._is_writable = True
        self.client: Client | None = None
        """The connection, while there is one."""
        self.report: BucketReport | None = None
        self.is_readable = False
        self.is_looked_at = False
        """On this connection: before that the bucket may not exist, and what is written is lost."""

    @property
    def state(self) -> dict[str, Any]:
        """For health."""
        return {
            "bucket": self._config.bucket,
            "readable": self.is_readable,
            "writable": self._is_writable and self.client is not None,
            "findings": list(self.report.findings) if self.report else [],
        }

    def attach(self, client: Client) -> None:
        self.client = client
        self.is_looked_at = False
        self._look_wanted.set()

    def detach(self) -> None:
        self.client = None
        self.is_readable = False

    def stop(self) -> None:
        """Whether the bucket can be used is of no interest any more."""
        self._is_stopping = True

    def close_reading(self) -> None:
        """Nobody is asked until a look at the bucket has shown that somebody answers."""
        if self.is_readable:
            self.is_readable = False
            self._say()
            self._look_wanted.set()

    def set_writable(self, is_writable: bool) -> None:
        if is_writable is not self._is_writable:
            self._is_writable = is_writable
            self._say()
            if not is_writable:
                self._look_wanted.set()

    async def run(self) -> None:
        """Look on each connection, and while the bucket cannot be used."""
        while not self._is_stopping:
            await self._look_wanted.wait()
            self._look_wanted.clear()
            client = self.client
            if client is not None:
                report = await look_at_bucket(client, self._config, self._look_timeout)
                obey_cancellation()
                if client is self.client:
                    self.report = report
                    self.is_looked_at = True
                    self.is_readable = report.is_readable
                    self._on_look()
                    self._say()
                    if not report.is_readable:
                        self._loop.call_later(_LOOK_AGAIN_SECONDS, self._look_wanted.set)
            await asyncio.sleep(_LOOK_SECONDS)

    def _say(self) -> None:
        """Once for each change."""
        report = self.report
        if report is None or self._is_stopping:
            return
        now = (self.is_readable, self._is_writable, report.findings)
        if now == self._said:
            return
        self._said = now
        is_good = self.is_readable and self._is_writable
        (log.info if is_good else log.warning)(
            "sharing_checked",
            bucket=self._config.bucket,
            readable=self.is_readable,
            writable=self._is_writable,
            created=report.created,
            findings=list(report.findings),
        )
