"""The settings of the disk spool."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SpoolConfig(BaseModel):
    """Where events wait on disk, and when."""

    model_config = ConfigDict(extra="forbid")

    durability: Literal["on-outage", "write-ahead"] = Field(
        "on-outage",
        description="`on-outage`: events go to disk while NATS is away or slow. `write-ahead`: "
        "each goes to disk before it is published, so that a crash loses none that is committed.",
    )
    after: float = Field(
        1.0,
        ge=0,
        le=3600,
        description="Seconds that NATS may be away, or owe an acknowledgement, before what waits "
        "goes to disk. RELP senders wait that long for their acknowledgements.",
    )
    max_bytes: int = Field(
        1024 * 1024 * 1024,
        ge=1,
        description="Bytes of events that may wait on disk; beyond, senders are held back.",
    )
    max_events: int = Field(
        10_000_000, ge=1, description="Events that may wait on disk; beyond, senders are held back."
    )
    max_dead_letters: int = Field(
        10_000,
        ge=1,
        description="Refused events kept for the operator; beyond, the oldest are deleted, and "
        "that is logged.",
    )
    commit_interval: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Least seconds from one commit to the next. Events that come meanwhile share "
        "one; 0 leaves the pace to the disk.",
    )
