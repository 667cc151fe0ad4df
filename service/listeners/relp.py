"""Syslog over RELP, as rsyslog's omrelp speaks it: a frame is acknowledged once it is durable.

The end has two steps: `stop` hears what the kernel holds and reads no further, `close` comes when
everything is delivered, sends the last acknowledgements and `serverclose`.
"""

import asyncio
import socket

from service.listeners.base import Intake
from service.listeners.relp_config import RelpConfig
from service.listeners.relp_speaker import RelpSpeaker
from service.listeners.session import Session, Wire
from service.listeners.stream import StreamServer
from service.listeners.tls_context import ServerTls
from service.metrics import Metrics
from service.received import Origin


class RelpListener(StreamServer):
    transport = "relp"
    largest_segment = 8192
    """librelp corks its socket (`TCP_CORK`): what fills no segment stays in its kernel until a
    batch of its queue ends, or for 200 ms. Over loopback a segment is 64 KB, more than a window of
    usual lines. Where a batch is more than the window, as of rsyslog's main queue, it would send
    one window in 200 ms; elsewhere it and we would work by turns. (Over Ethernet a segment has
    1,448 bytes.)"""

    def __init__(
        self,
        listen: str,
        config: RelpConfig,
        intake: Intake,
        metrics: Metrics,
        tls: ServerTls | None = None,
        inherited: socket.socket | None = None,
    ) -> None:
        self._speakers: set[RelpSpeaker] = set()

        def open_session(wire: Wire, origin: Origin) -> Session:
            return RelpSpeaker(wire, origin, config, intake, metrics, self._speakers)

        super().__init__(
            self.transport, listen, config, intake, metrics, open_session, tls, inherited
        )

    @property
    def unanswered(self) -> int:
        """Frames received and not acknowledged."""
        return sum(speaker.unanswered for speaker in self._speakers)

    @property
    def answer_bytes(self) -> int:
        """Answers that peers have not read."""
        return sum(speaker.answer_bytes for speaker in self._speakers)

    async def stop(self, timeout: float) -> None:
        """Accept no more and hear what the kernel holds; connections stay open for answers."""
        self.finish()
        ends = [speaker.heard for speaker in self._speakers]
        if ends:
            await asyncio.wait(ends, timeout=timeout)

    async def close(self, timeout: float) -> None:
        """After `stop`: the last answers, `serverclose`, and the end."""
        for speaker in list(self._speakers):
            speaker.say_goodbye()
        await self.closed(timeout)
        self.cut()


class RelpTlsListener(RelpListener):
    """TLS from the first byte; omrelp knows no other way."""

    transport = "relp-tls"
