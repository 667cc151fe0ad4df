"""Syslog over TCP: RFC 6587 octet counting and LF framing, told apart frame by frame.

Backpressure: while the intake has no room the connection is not read, so that the sender's queue
fills and not ours. Idle connections are normal for log senders and are never closed for it.
"""

import socket

from pydantic import Field

from service.core.framing.base import MAX_FRAME_BYTES
from service.listeners.base import Intake
from service.listeners.config import StreamConfig
from service.listeners.session import Session, Wire
from service.listeners.stream import StreamServer
from service.listeners.syslog_session import SyslogSession
from service.metrics import Metrics
from service.received import Origin


class TcpConfig(StreamConfig):
    """Syslog over plain TCP."""

    max_frame_bytes: int = Field(
        MAX_FRAME_BYTES,
        ge=480,
        le=1024 * 1024,
        description="Longer lines are cut here and marked `truncated`. RFC 5425 asks for 2048.",
    )


class TcpListener(StreamServer):
    transport = "tcp"

    def __init__(
        self,
        listen: str,
        config: TcpConfig,
        intake: Intake,
        metrics: Metrics,
        inherited: socket.socket | None = None,
    ) -> None:
        def open_session(wire: Wire, origin: Origin) -> Session:
            return SyslogSession(wire, origin, intake, config.max_frame_bytes)

        super().__init__(
            self.transport, listen, config, intake, metrics, open_session, inherited=inherited
        )
