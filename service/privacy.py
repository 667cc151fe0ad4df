"""Settings of what personal data events show, and the key of the hash.

In: the table `[privacy]`. Out: a `Privacy` for the pipeline, or None where everything is kept.
"""

from hashlib import blake2b
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from service.core.privacy import Policy, Privacy, Treatment

_KEY_CHARACTERS = 16
_KEY_MAX_BYTES = 64 * 1024


class PrivacyError(Exception):
    """The file of the key cannot be used; the message names the setting. Show it to the operator
    and stop: without the key nothing may be published."""


class PrivacyConfig(BaseModel):
    """What personal data events show. Each `keep` is as logged."""

    model_config = ConfigDict(extra="forbid")

    sender: Treatment = Field(
        Treatment.KEEP,
        description="Envelope senders: `keep`, `hash` (keyed, the domain stays), `domain` (only "
        "that) or `drop`.",
    )
    recipient: Treatment = Field(
        Treatment.KEEP,
        description="Recipients, `original_recipient` too: `keep`, `hash`, `domain` or `drop`.",
    )
    client: Treatment = Field(
        Treatment.KEEP,
        description="IP address, name and HELO of clients: `keep`, `hash`, `domain` (the network, "
        "/24 or /64, and the last two labels of names) or `drop`.",
    )
    sasl_username: Treatment = Field(
        Treatment.KEEP, description="Login names: `keep`, `hash`, `domain` or `drop`."
    )
    message_id: Treatment = Field(
        Treatment.KEEP,
        description="The `Message-ID`: `keep`, `hash` (nothing of it stays), `domain` or `drop`.",
    )
    response: Literal["keep", "drop"] = Field(
        "keep",
        description="Texts of refusals and replies: `keep` (without what the settings above keep "
        "out) or `drop`.",
    )
    content: Literal["keep", "drop"] = Field(
        "keep",
        description="Header or body text that a content check matched: `keep` (as `response`) or "
        "`drop`.",
    )
    raw: Literal["keep", "drop"] = Field(
        "keep",
        description="The line as received; `drop` where anything else is not kept. Dead letters "
        "then hold only its shape.",
    )
    hash_key: SecretStr | None = Field(
        None,
        description="Key of the hashes, at least 16 characters; the same on all receivers whose "
        "events are to be joined. It keys event ids too.",
    )
    hash_key_file: Path | None = Field(None, description="File that holds the key.")

    @model_validator(mode="after")
    def _fits_together(self) -> "PrivacyConfig":
        if self.hash_key is not None and self.hash_key_file is not None:
            raise ValueError("give either hash_key or hash_key_file, not both")
        hashed = [name for name, treatment in self._values() if treatment is Treatment.HASH]
        if hashed and self.hash_key is None and self.hash_key_file is None:
            raise ValueError(f"{hashed[0]} is hash: hash_key or hash_key_file is needed")
        if self.hash_key is not None:
            _checked("hash_key", self.hash_key.get_secret_value())
        hidden = [name for name, how in (*self._values(), *self._texts()) if how != "keep"]
        if hidden and self.raw == "keep":
            if "raw" in self.model_fields_set:
                raise ValueError(f"raw cannot be kept: the line holds what {hidden[0]} keeps out")
            self.raw = "drop"
        return self

    def _values(self) -> list[tuple[str, Treatment]]:
        names = ("sender", "recipient", "client", "sasl_username", "message_id")
        return [(name, getattr(self, name)) for name in names]

    def _texts(self) -> list[tuple[str, str]]:
        return [("response", self.response), ("content", self.content)]

    def build(self) -> Privacy | None:
        """Raises `PrivacyError`."""
        key = self._key()
        policy = Policy(
            **dict(self._values()),
            keeps_response=self.response == "keep",
            keeps_content=self.content == "keep",
            keeps_raw=self.raw == "keep",
            # BLAKE2b takes 64 bytes of key.
            key=None if key is None else blake2b(key.encode()).digest(),
        )
        return None if policy.keeps_everything else Privacy(policy)

    def _key(self) -> str | None:
        if self.hash_key is not None:
            return self.hash_key.get_secret_value()
        if self.hash_key_file is None:
            return None
        try:
            with self.hash_key_file.open("rb") as file:
                text = file.read(_KEY_MAX_BYTES).decode("utf-8").rstrip("\r\n")
            _checked(str(self.hash_key_file), text)
        except OSError as error:
            raise PrivacyError(f"hash_key_file: {self.hash_key_file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise PrivacyError(f"hash_key_file: {self.hash_key_file} is not a text file") from None
        except ValueError as error:
            raise PrivacyError(f"hash_key_file: {error}") from None
        return text


def _checked(where: str, key: str) -> None:
    if len(key) < _KEY_CHARACTERS:  # hashes of a short key can be tried out
        raise ValueError(f"{where}: a key needs at least {_KEY_CHARACTERS} characters")
