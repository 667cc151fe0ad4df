"""`mailfault demo`: see it work, with real parts, in a few seconds.

An embedded nats-server, a receiver on free ports, sample lines sent over UDP, TCP and RELP, the
events as a subscriber gets them, and the balance of counts.
"""

import asyncio
import socket
import tempfile
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import nats
import typer
import uvloop
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.client import JetStreamContext
from rich.console import Console
from rich.table import Table

import schemas
from service import logs
from service.cli.demo_relp import send_relp
from service.cli.tail import row
from service.cli.terminal import console, quiet_pipe
from service.nats.client import words
from service.nats.embedded import EmbeddedServerError
from service.receiver import Receiver
from service.settings import fixed

_SECONDS = 30


def demo() -> None:
    """See it work: a receiver, lines sent to it, their events. Nothing to set up.

    Examples:

      mailfault demo
    """
    logs.configure("warning")
    out = console(soft_wrap=True)
    try:
        with quiet_pipe(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            is_balanced = runner.run(_demo(out))
    except (EmbeddedServerError, OSError, TimeoutError) as error:
        typer.echo(f"demo: {words(error)}", err=True)
        raise typer.Exit(1) from None
    if not is_balanced:
        raise typer.Exit(1)


async def _demo(out: Console) -> bool:
    with tempfile.TemporaryDirectory(prefix="mailfault-demo-") as folder:
        settings = fixed(
            {
                "data_dir": Path(folder),
                "udp": {"listen": ["127.0.0.1:0"]},
                "tcp": {"listen": ["127.0.0.1:0"]},
                "relp": {"listen": ["127.0.0.1:0"]},
                "http": {"listen": "127.0.0.1:0"},
                "nats": {"embedded_port": 0},
                "rollup": {"enabled": False},  # they come by the clock
            }
        )
        receiver = Receiver(settings)
        try:
            await receiver.start()
            async with asyncio.timeout(_SECONDS):
                return await _show(out, receiver)
        finally:
            await receiver.stop()


async def _show(out: Console, receiver: Receiver) -> bool:
    addresses = {listener.transport: listener.address for listener in receiver.listeners}
    out.print(f"nats-server with JetStream on {receiver.nats_url}")
    for transport, (host, port) in addresses.items():
        out.print(f"listening on {transport} {host}:{port}")
        await _send(transport, (host, port), _sample(transport))
        out.print(f"  sent {len(_lines())} lines over {transport}")
    # UDP does not say when it has arrived.
    sent = len(_lines()) * len(addresses)
    while receiver.metrics.balance()["frames received"] < sent:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await receiver.settled()
    client = await nats.connect(receiver.nats_url)
    try:
        events = await _fetch(client.jetstream())
    finally:
        await client.close()
    subjects = Counter(subject for subject, _ in events)
    for subject in sorted(subjects):
        out.print(f"\n[bold]{subject}[/bold]")
        for its_subject, event in events:
            if its_subject == subject:
                out.print(row(event))
    return _balance(out, receiver, stored=len(events))


@cache
def _lines() -> list[str]:
    """Without header: of all three event types, some that are no failure, one that is unknown."""
    return (files("service.cli") / "demo_lines.txt").read_text().splitlines()


def _sample(host: str) -> list[str]:
    """The lines as rsyslog's ForwardFormat has them; each transport plays another host."""
    stamp = datetime.now(UTC).isoformat()
    return [f"<22>{stamp} demo-{host} {line}" for line in _lines()]


async def _send(transport: str, address: tuple[str, int], lines: list[str]) -> None:
    if transport == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for line in lines:
                sock.sendto(line.encode(), address)
        return
    if transport == "relp":
        await send_relp(address, lines)
        return
    _, writer = await asyncio.open_connection(*address)
    writer.write("".join(line + "\n" for line in lines).encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _fetch(jetstream: JetStreamContext) -> list[tuple[str, schemas.Event]]:
    subscription = await jetstream.pull_subscribe(schemas.wildcard(), stream="POSTFIX")
    events: list[tuple[str, schemas.Event]] = []
    while True:
        try:
            messages = await subscription.fetch(100, timeout=1)
        except NatsTimeoutError:
            return events
        for message in messages:
            events.append((message.subject, schemas.decode(message.data)))
            await message.ack()
        if not messages or messages[-1].metadata.num_pending == 0:
            return events


def _balance(out: Console, receiver: Receiver, stored: int) -> bool:
    counts = receiver.metrics.balance()
    table = Table("count", "", title="\nthe balance", title_justify="left")
    for name, number in {**counts, "events in the stream": stored}.items():
        table.add_row(str(number), name)
    out.print(table)
    outcomes = counts["frames with events"] + counts["lines skipped"] + counts["frames dropped"]
    is_balanced = counts["frames received"] == outcomes and counts["events"] == stored
    out.print("balances" if is_balanced else "DOES NOT BALANCE")
    return is_balanced
