"""A durable consumer of mailfault's events, on nats-py: the extra `mailfault-schemas[nats]`.

A subscriber::

    async with Consumer("nats://127.0.0.1:4222", durable="tickets", types="bounced") as consumer:
        async for message in consumer:
            await open_ticket(message.event)
            await message.ack()

or, with acknowledgement, backoff and giving up done for you: `await consumer.run(handler)`.

An event may come more than once, to any subscriber: deduplicate by `event_id`.
"""

try:
    import nats as _nats  # noqa: F401  # looked for here, so that the error can say what to install
except ModuleNotFoundError as error:
    if error.name != "nats":
        raise
    raise ModuleNotFoundError(
        "mailfault_schemas.nats needs nats-py: pip install 'mailfault-schemas[nats]'", name="nats"
    ) from None

from .consumer import Consumer
from .durable import ConsumerError, ConsumerMismatchError, StreamNotFoundError
from .message import Counts, Message, Terminate

__all__ = [
    "Consumer",
    "ConsumerError",
    "ConsumerMismatchError",
    "Counts",
    "Message",
    "StreamNotFoundError",
    "Terminate",
]
