"""How lines are read."""

from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator


class PipelineConfig(BaseModel):
    """How lines are read."""

    model_config = ConfigDict(extra="forbid")

    default_timezone: str = Field(
        "UTC", description="Zone of stamps that name none, as `Europe/Berlin`."
    )
    keep_raw: bool = Field(True, description="Put the line as received into each event (`raw`).")
    remembered_lines: int = Field(
        65_536,
        ge=1,
        le=10_000_000,
        description="Failure lines with stamps of whole seconds to remember, and how often each "
        "came in, so that equal ones stay events of their own; some 200 bytes each.",
    )

    @field_validator("default_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
            raise ValueError(f"no time zone {value!r}; use a name as 'Europe/Berlin'") from error
        return value
