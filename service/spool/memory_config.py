"""How much may wait in memory."""

from pydantic import BaseModel, ConfigDict, Field


class MemoryQueueConfig(BaseModel):
    """How many events may wait in memory, for NATS and for the disk each."""

    model_config = ConfigDict(extra="forbid")

    max_events: int = Field(
        50_000, ge=1, description="Events that may wait before senders are held back."
    )
    max_bytes: int = Field(
        128 * 1024 * 1024, ge=1, description="Bytes of event bodies that may wait."
    )
