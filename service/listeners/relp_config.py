"""Settings of the RELP listeners, plain and over TLS."""

from pydantic import Field

from service.core.framing.base import MAX_FRAME_BYTES
from service.listeners.config import StreamConfig
from service.listeners.tls_config import TlsStreamConfig


class RelpConfig(StreamConfig):
    """Syslog over RELP: acknowledged once durable."""

    max_frame_bytes: int = Field(
        MAX_FRAME_BYTES,
        ge=480,
        le=1024 * 1024,
        description="Longer lines are cut here and marked `truncated`. Over 1 MiB the connection "
        "is closed.",
    )
    max_unanswered: int = Field(
        4096,
        ge=1,
        description="Frames of one connection that may wait for their acknowledgement; it is read "
        "no further at that number. omrelp itself waits at 128 (`windowSize`).",
    )
    max_answer_bytes: int = Field(
        1024 * 1024,
        ge=4096,
        description="Answers that one peer may leave unread before its connection is closed.",
    )


class RelpTlsConfig(TlsStreamConfig, RelpConfig):
    """RELP over TLS. omrelp cannot do without a client certificate (`tls.myCert`)."""
