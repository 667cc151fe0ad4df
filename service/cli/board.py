"""`mailfault board`: the live page."""

from pathlib import Path
from typing import Annotated

import typer

from service import logs
from service.board import server
from service.board.config import TokenError
from service.cli.ago import ago
from service.cli.configuration import ConfigFile, NatsServers, fail, load, nested
from service.config_problems import ConfigError


def board(
    listen: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address of the page.", show_default="127.0.0.1:9515"),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Secret that opens the page. It shows in `ps`: prefer --token-file.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File that holds the token.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Look that far back, from 1h to 7d.", show_default="24h"),
    ] = None,
    nats: NatsServers = None,
    config: ConfigFile = None,
) -> None:
    """Show the fleet on a live web page until SIGTERM.

    Examples:

      mailfault board --nats nats://nats.example.net:4222
      mailfault board --since 6h --listen 127.0.0.1:8080
    """
    history = None if since is None else ago(since).total_seconds()
    options = nested(
        board__listen=listen,
        board__token=token,
        board__token_file=token_file,
        board__history=history,
        nats__servers=nats,
    )
    settings = load(config, options)
    logs.configure(settings.log.level)
    try:
        raise typer.Exit(server.run(settings.board, settings.nats))
    except TokenError as error:
        fail(ConfigError([str(error)]))
