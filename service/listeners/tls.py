"""Syslog over TLS (RFC 5425). Octet counting as it asks for, and LF framing, which rsyslog sends by
default here too.
"""

import socket

from pydantic import Field

from service.core.framing.base import MAX_FRAME_BYTES
from service.listeners.base import Intake
from service.listeners.session import Session, Wire
from service.listeners.stream import StreamServer
from service.listeners.syslog_session import SyslogSession
from service.listeners.tls_config import TlsStreamConfig
from service.listeners.tls_context import ServerTls
from service.metrics import Metrics
from service.received import Origin


class TlsConfig(TlsStreamConfig):
    """Syslog over TLS."""

    max_frame_bytes: int = Field(
        MAX_FRAME_BYTES,
        ge=480,
        le=1024 * 1024,
        description="Longer lines are cut here and marked `truncated`. RFC 5425 asks for 2048.",
    )


class TlsListener(StreamServer):
    transport = "tls"

    def __init__(
        self,
        listen: str,
        config: TlsConfig,
        intake: Intake,
        metrics: Metrics,
        tls: ServerTls,
        inherited: socket.socket | None = None,
    ) -> None:
        def open_session(wire: Wire, origin: Origin) -> Session:
            return SyslogSession(wire, origin, intake, config.max_frame_bytes)

        super().__init__(
            self.transport, listen, config, intake, metrics, open_session, tls, inherited
        )
