"""What is remembered of messages, and within which bounds."""

from pydantic import BaseModel, ConfigDict, Field

_DAY = 86_400


class CorrelationConfig(BaseModel):
    """What is remembered of messages, so that a failure tells whose message failed."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = Field(
        True,
        description="Off: events say what their own line says, and there are none of recipients "
        "that were deferred and have ended. Lines that are no failure are then not even read.",
    )
    max_messages: int = Field(
        1_000_000,
        ge=1,
        le=100_000_000,
        description="Messages remembered; about 300 bytes each. The oldest go first.",
    )
    max_bytes: int = Field(
        402_653_184,
        ge=65_536,
        description="Bytes these may take, and as many again those of deferred recipients.",
    )
    max_age: int = Field(
        6 * _DAY,
        ge=60,
        description="Seconds a message is remembered that is not seen to leave the queue. Postfix "
        "keeps mail for five days (`maximal_queue_lifetime`).",
    )
    snapshot_interval: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="Seconds between snapshots of what is remembered, under the data directory; "
        "one is written when stopping, too. 0: only then.",
    )
    notice_wait: float = Field(
        0.25,
        ge=0,
        le=60,
        description="Seconds a `bounced` event waits for the line that names its non-delivery "
        "notice, and a failure of forwarded mail for the line that names what it was forwarded "
        "from; 0: not at all.",
    )
    notice_rate: int = Field(
        20,
        ge=1,
        le=1_000_000,
        description="Bounced messages a second above which none waits, until they are fewer: then "
        "being quick matters more.",
    )
    max_held: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Lines that may wait at once, for a notice or for other receivers.",
    )
    max_held_bytes: int = Field(
        16 * 1024 * 1024,
        ge=1,
        le=1024 * 1024 * 1024,
        description="Bytes of these lines, as received, a folded one as often as it happened; in "
        "memory they may take several times as much.",
    )
    removal_wait: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Seconds after a message left the queue in which the last line of a deferred "
        "recipient may still come, before it counts as removed.",
    )
    alias_wait: float = Field(
        6.0,
        ge=0,
        le=600,
        description="Seconds after local(8) served one target of an alias in which another one may "
        "still fail: a program may be slow. Less where a line tells before that the attempt is "
        "over, as it always does where nobody else waits.",
    )
