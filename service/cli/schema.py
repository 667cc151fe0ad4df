"""`mailfault schema`: the events' schema, generated from the models."""

import json
from typing import Annotated

import typer

from schemas import export
from schemas.vocabulary import EventType
from service.cli.terminal import quiet_pipe


def schema(
    event_type: Annotated[
        EventType | None, typer.Option("--type", metavar="TYPE", help="One event type only.")
    ] = None,
    asyncapi: Annotated[
        bool, typer.Option("--asyncapi", help="AsyncAPI 3.0 instead of JSON Schema.")
    ] = False,
) -> None:
    """Print the JSON Schema (2020-12) of the events, or an AsyncAPI document.

    Examples:

      mailfault schema --type bounced > bounced.json
      mailfault schema --asyncapi > asyncapi.yaml
    """
    if asyncapi and event_type is not None:
        raise typer.BadParameter("--asyncapi describes all event types; leave --type out")
    document = (
        export.asyncapi() if asyncapi else json.dumps(export.json_schema(event_type), indent=2)
    )
    with quiet_pipe():
        typer.echo(document)
