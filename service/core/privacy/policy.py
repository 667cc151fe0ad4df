"""What is wished for each kind of value.

In: settings. Out: a `Policy`, asked by the rest of the room.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Treatment(StrEnum):
    """What becomes of a value, the least strict first."""

    KEEP = "keep"
    HASH = "hash"
    DOMAIN = "domain"
    DROP = "drop"


_STRICTNESS = {treatment: place for place, treatment in enumerate(Treatment)}


def strictest(treatments: Iterable[Treatment]) -> Treatment:
    """A hash tells more than a domain: it shows the domain too, and who is the same."""
    return max(treatments, key=_STRICTNESS.__getitem__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    sender: Treatment = Treatment.KEEP
    recipient: Treatment = Treatment.KEEP
    client: Treatment = Treatment.KEEP
    sasl_username: Treatment = Treatment.KEEP
    message_id: Treatment = Treatment.KEEP
    keeps_response: bool = True
    keeps_content: bool = True
    keeps_raw: bool = True
    key: bytes | None = None
    """Of the hash; up to 64 bytes. With it event ids are keyed too."""

    @property
    def of_addresses(self) -> Treatment:
        """For an address in a text of which nobody knows whose it is."""
        return strictest([self.sender, self.recipient, self.sasl_username, self.message_id])

    @property
    def keeps_all_values(self) -> bool:
        return self.of_addresses is Treatment.KEEP is self.client

    @property
    def keeps_everything(self) -> bool:
        return (
            self.keeps_all_values and self.keeps_response and self.keeps_content and self.keeps_raw
        )
