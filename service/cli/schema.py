"""`mailfault schema`: the events' schema, generated from the models."""

import json
from typing import Annotated

import typer

from schemas import export
from schemas.vocabulary import EventType


def schema(
    event_type: Annotated[
        EventType | None, typer.Option("--type", help="One event type only.")
    ] = None,
    asyncapi: Annotated[
        bool, typer.Option("--asyncapi", help="AsyncAPI 3.0 instead of JSON Schema.")
    ] = False,
) -> None:
    """Print the JSON Schema (2020-12) of the events, or the AsyncAPI document of the subjects.

    Example: mailfault schema --type bounced > bounced.json
    """
    if asyncapi and event_type is not None:
        raise typer.BadParameter("--asyncapi describes all event types; leave --type out")
    typer.echo(
        export.asyncapi() if asyncapi else json.dumps(export.json_schema(event_type), indent=2)
    )
