"""What the receivers of a fleet tell each other, and within which bounds."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)


def _told_once(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """pydantic tells what is wrong by each part of a union."""
    try:
        return check(value)
    except ValidationError:
        raise ValueError("is one of auto, true and false") from None


class SharingConfig(BaseModel):
    """Context of deferred messages, shared by the receivers of a fleet."""

    model_config = ConfigDict(extra="forbid")

    enabled: Annotated[Literal["auto"] | bool, WrapValidator(_told_once)] = Field(
        "auto",
        description="Share what is known of deferred messages with other receivers. `auto`: where "
        "`nats.servers` are named.",
    )
    bucket: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,200}$")] = Field(
        "mailfault_context", description="Name of the JetStream key-value bucket."
    )
    create: bool = Field(True, description="Create the bucket if it does not exist.")
    storage: Literal["file", "memory"] = Field("file", description="Where JetStream keeps it.")
    replicas: int = Field(1, ge=1, le=5, description="Copies in a cluster; 3 survive a node.")
    max_age: int = Field(
        6 * 86_400,
        ge=60,
        description="Seconds without news of a message after which JetStream forgets it.",
    )
    max_bytes: int = Field(
        1_073_741_824, ge=-1, description="Bytes the bucket may take; -1 is no bound."
    )
    ask_timeout: float = Field(
        0.5,
        gt=0,
        le=0.9,
        description="Seconds a line may wait for what other receivers know of its message.",
    )
    max_asked: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Messages that may be asked for at once. Lines of further ones do not wait: "
        "their events say what is known here.",
    )
    max_unwritten: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Messages whose news may wait to be written to the bucket. News of further "
        "ones are dropped.",
    )

    def is_on(self, has_servers: bool) -> bool:
        return has_servers if self.enabled == "auto" else self.enabled
