"""What is remembered of messages, and within which bounds."""

from pydantic import BaseModel, ConfigDict, Field

_DAY = 86_400


class CorrelationConfig(BaseModel):
    """What is remembered of messages, so that a failure tells whose message failed."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = Field(
        True,
        description="If off, events say only what their own line says, there are no `resolved` "
        "events, and lines that are no failure are not even read.",
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
        description="Bytes that these may take. Deferred recipients may take as many again.",
    )
    max_age: int = Field(
        6 * _DAY,
        ge=60,
        description="Seconds after which a message is forgotten that was not seen to leave the "
        "queue. Postfix keeps mail for five days (`maximal_queue_lifetime`).",
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
        description="When more messages than that bounce in a second, none waits for its notice "
        "until they are fewer: then being quick matters more.",
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
        description="Bytes of these lines, as received; a folded line counts as often as it says "
        "it was repeated. In memory they may take several times as much.",
    )
    removal_wait: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Seconds that the last line of a deferred recipient may come after its message "
        "left the queue. Then the recipient counts as removed.",
    )
    alias_wait: float = Field(
        6.0,
        ge=0,
        le=600,
        description="Seconds that another target of an alias may still fail after local(8) served "
        "one of them: a program may be slow. The wait ends earlier when a line says that the "
        "attempt is over, as one always does where no other recipient waits.",
    )
