"""The bucket that receivers share: created where it is absent, looked at where it exists, never
changed.

In: a connection. Out: whether it can be read, and what is not as wished. JetStream keeps a bucket
as the stream `KV_<bucket>` with the subjects `$KV.<bucket>.<key>` (nats-architecture-and-design,
ADR-8).
"""

from dataclasses import dataclass

import nats.js.errors
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.api import (
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
    StreamInfo,
)

from service.nats.client import words
from service.nats.sharing_config import SharingConfig

_DUPLICATE_WINDOW = 120.0
"""JetStream's default; it must not be longer than the age of what it keeps."""
_NOBODY = "receivers.none"
"""A key that nobody writes: a queue id is longer than `none`."""


@dataclass(frozen=True, slots=True)
class BucketReport:
    is_readable: bool
    created: bool = False
    findings: tuple[str, ...] = ()
    marks_expire: bool = False
    """The marks of deleted keys may have a time of their own to live (nats-server 2.11)."""


def subject_of(bucket: str, key: str) -> str:
    return f"$KV.{bucket}.{key}"


def read_subject(bucket: str, key: str) -> str:
    """Where to ask for the last value of a key (ADR-31, direct get)."""
    return f"$JS.API.DIRECT.GET.KV_{bucket}.{subject_of(bucket, key)}"


async def look_at_bucket(client: Client, config: SharingConfig, timeout: float) -> BucketReport:
    """Never raises for what the server answers or does not answer."""
    findings: list[str] = []
    info, created = None, False
    try:
        info, created = await _ensure(client, config, timeout)
        if info is not None:
            findings += _findings(info, config)
    except Exception as error:  # noqa: BLE001  # nats-py lets pass whatever it cannot read
        # Whoever owns the bucket may not let us ask for it, and we can work with it all the same.
        findings.append(f"not looked at: {words(error)}")
    try:
        # An answer of any kind, `404` among them, is one.
        await client.request(read_subject(config.bucket, _NOBODY), timeout=config.ask_timeout)
    except NoRespondersError:
        findings.append("no bucket")
        return BucketReport(False, findings=tuple(findings))
    except Exception as error:  # noqa: BLE001  # as above
        findings.append(f"cannot be read: {words(error)}")
        return BucketReport(False, findings=tuple(findings))
    return BucketReport(
        True,
        created,
        tuple(findings),
        marks_expire=info is not None and bool(info.config.allow_msg_ttl),
    )


async def _ensure(
    client: Client, config: SharingConfig, timeout: float
) -> tuple[StreamInfo | None, bool]:
    jetstream = client.jetstream(timeout=timeout)
    try:
        return await jetstream.stream_info(f"KV_{config.bucket}"), False
    except nats.js.errors.NotFoundError:
        if not config.create:
            return None, False
    wanted = StreamConfig(
        name=f"KV_{config.bucket}",
        description="What mailfault receivers tell each other of deferred messages",
        subjects=[subject_of(config.bucket, ">")],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,  # the youngest are worth more, and a write never waits
        storage=StorageType(config.storage),
        num_replicas=config.replicas,
        max_age=config.max_age,
        max_bytes=config.max_bytes,
        max_msgs_per_subject=1,
        duplicate_window=min(_DUPLICATE_WINDOW, config.max_age),
        compression=StoreCompression.S2,
        allow_direct=True,
        allow_rollup_hdrs=True,
        allow_msg_ttl=True,
        deny_delete=True,
    )
    return await jetstream.add_stream(wanted), True


def _findings(info: StreamInfo, config: SharingConfig) -> list[str]:
    found = info.config
    findings = []
    if subject_of(config.bucket, ">") not in (found.subjects or ()):
        findings.append("takes other subjects than a bucket does: it learns nothing")
    if not found.allow_direct:
        findings.append("allow_direct is off: it cannot be read")
    if not found.max_age:
        findings.append("no TTL: messages whose end nobody saw stay for ever")
    if found.max_msgs_per_subject != 1:
        findings.append("keeps a history, which nobody reads")
    return findings
