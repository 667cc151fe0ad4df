"""A subscriber that one event kills, the hard way: run by `test_killed.py` again and again.

Arguments: server, the number of the event that kills it. Prints each event it has dealt with.
"""

import asyncio
import os
import signal
import sys

from schemas.nats import Consumer, Message

KILLER = int(sys.argv[2])


async def handle(message: Message) -> None:
    number = int(message.event.event_id, 16)
    if number == KILLER:
        os.kill(os.getpid(), signal.SIGKILL)
    print(number, message.deliveries, flush=True)


async def main() -> None:
    consumer = Consumer(
        sys.argv[1], durable="tests", ack_wait=0.5, backoff=(0.1,), max_deliveries=4
    )
    async with consumer:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, consumer.stop)
        await consumer.run(handle)


asyncio.run(main())
