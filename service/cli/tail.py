"""`mailfault tail`: events from NATS, live."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import nats
import nats.js.errors
import typer
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy
from rich.console import Console
from rich.text import Text

import schemas
from schemas.vocabulary import EventType
from service.cli.ago import ago
from service.cli.configuration import ConfigFile, NatsServers, load, nested
from service.cli.terminal import console, end_quietly, json_line, printable
from service.nats.client import let_go, new_client, words
from service.nats.config import DEFAULT_SERVER, CredentialsError, NatsConfig

_STYLES = {
    "rollup": "blue",
    "reject": "yellow",
    "deferred": "cyan",
    "bounced": "red",
    "resolved": "green",
}
_FIELD_WIDTH = 120
_INDENT = 4


@dataclass(frozen=True)
class _Wanted:
    """What to show; empty means all."""

    types: frozenset[str]
    mta: str | None
    category: str | None
    domain: str | None

    def takes(self, event: schemas.Event) -> bool:
        if isinstance(event, schemas.RollupEvent) and EventType.ROLLUP not in self.types:
            return False  # numbers, for who asks for them
        return (
            (not self.types or event.event_type in self.types)
            and self.mta in (None, event.mta.host.lower(), schemas.mta_token(event.mta.host))
            and self.category in (None, event.category)
            and self.domain in (None, event.recipient_domain)
        )


def tail(
    types: Annotated[
        list[EventType] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help=f"{', '.join(EventType)}; repeatable. Roll-ups are shown only when asked for.",
        ),
    ] = None,
    mta: Annotated[str | None, typer.Option(metavar="HOST", help="Reporting host.")] = None,
    category: Annotated[
        str | None, typer.Option(metavar="WORD", help="Cause, as unknown_user.")
    ] = None,
    domain: Annotated[str | None, typer.Option(metavar="DOMAIN", help="Recipient domain.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Start that long ago, as 30m or 1h; else with new events."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object an event.")] = False,
    server: NatsServers = None,
    config: ConfigFile = None,
) -> None:
    """Show events as they are published, until Ctrl-C.

    Examples:

      mailfault tail --type bounced --type deferred --since 1h
      mailfault tail --mta mx1.example.org --category rate_limited
      mailfault tail --domain example.net --json | jq -r .response
    """
    settings = load(config, nested(nats__servers=server)).nats
    wanted = _Wanted(
        frozenset(types or ()),
        mta.lower() if mta else None,
        category,
        domain.lower() if domain else None,
    )
    start = None if since is None else _start(since)
    try:
        asyncio.run(_tail(settings, wanted, start, as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except BrokenPipeError:
        end_quietly()
    except nats.js.errors.NotFoundError:
        typer.echo(f"tail: no stream {settings.stream.name}: has a receiver run here?", err=True)
        raise typer.Exit(1) from None
    except (NatsError, CredentialsError, OSError, TimeoutError) as error:
        typer.echo(f"tail: {words(error)}", err=True)
        raise typer.Exit(1) from None


def _start(since: str) -> datetime:
    try:
        return datetime.now(UTC) - ago(since)
    except OverflowError:
        raise typer.BadParameter("--since is before the first of years") from None


async def _tail(
    settings: NatsConfig, wanted: _Wanted, start: datetime | None, as_json: bool
) -> None:
    client = new_client(settings)
    troubles = Troubles(client)
    await client.connect(
        servers=settings.servers or [DEFAULT_SERVER],
        name="mailfault-tail",
        connect_timeout=int(settings.connect_timeout),
        max_reconnect_attempts=-1,
        allow_reconnect=True,
        inbox_prefix=settings.inbox_prefix,
        error_cb=troubles.tell,
        reconnected_cb=troubles.over,
        **settings.credentials(),
    )
    await troubles.over()
    try:
        jetstream = client.jetstream()
        await jetstream.stream_info(settings.stream.name)
        out = console(soft_wrap=True)
        subscription = await jetstream.subscribe(
            settings.stream_subject,
            stream=settings.stream.name,
            ordered_consumer=True,
            config=_from(start),
        )
        async for message in subscription.messages:
            _show(message, wanted, out, as_json)
    finally:
        await let_go(client)  # nats-py's own closing may wait for ever


def _from(start: datetime | None) -> ConsumerConfig:
    if start is None:
        return ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
    return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=start)


class Troubles:
    """Of a connection that is tried for ever: each is told once, not at each attempt."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told = ""

    async def tell(self, error: Exception) -> None:
        what = "NATS" if self._client.is_connected else "NATS cannot be reached, trying again"
        trouble = f"{what}: {printable(words(error))}"
        if trouble != self._told:
            self._told = trouble
            typer.echo(f"tail: {trouble}", err=True)

    async def over(self) -> None:
        self._told = ""


def _show(message: Msg, wanted: _Wanted, out: Console, as_json: bool) -> None:
    try:
        event = schemas.decode(message.data)
    except schemas.DecodeError as error:
        typer.echo(f"tail: {printable(message.subject)}: {error.reason}", err=True)
        return
    if not wanted.takes(event):
        return
    if as_json:
        sys.stdout.buffer.write(json_line(message.data.decode()).encode() + b"\n")
        sys.stdout.buffer.flush()
    elif out.is_terminal:
        for line in folded(row(event), out):
            out.print(line)
    else:  # for grep and the like
        out.print(row(event))


def folded(row: Text, out: Console) -> Iterator[Text]:
    """A row that is too long for the terminal as several, the first one to the left of the others:
    between them events would not be told apart."""
    for number, line in enumerate(row.wrap(out, max(out.width - _INDENT, 1), overflow="fold")):
        yield Text(" " * _INDENT).append_text(line) if number else line


def row(event: schemas.Event) -> Text:
    """One event on one line: when, what, where, whose, why."""
    if isinstance(event, schemas.RollupEvent):
        return _numbers(event)
    code = event.enhanced_code or (str(event.smtp_code) if event.smtp_code else "-")
    row = Text().append(event.event_time.strftime("%Y-%m-%d %H:%M:%S "), style="dim")
    row.append(f"{event.event_type:<8} ", style=_STYLES.get(event.event_type, "magenta"))
    for part in (
        event.mta.host,
        event.queue_id or "NOQUEUE",
        event.recipient if event.recipient is not None else "-",
        code,
        event.category or "-",
    ):
        row.append(printable(part)[:_FIELD_WIDTH] + "  ")
    row.append(printable(event.response or ""), style="dim")
    return row


def _numbers(event: schemas.RollupEvent) -> Text:
    row = Text().append(event.event_time.strftime("%Y-%m-%d %H:%M:%S "), style="dim")
    row.append(f"{event.event_type:<8} ", style=_STYLES[event.event_type])
    row.append(printable(event.mta.host)[:_FIELD_WIDTH] + "  ")
    row.append(", ".join(f"{kind} {counts.total:,}" for kind, counts in event.counts.items()))
    return row
