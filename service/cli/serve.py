"""`mailfault serve`: the receiver."""

from pathlib import Path
from typing import Annotated

import typer

from service import app, logs
from service import settings as settings_module
from service.cli.configuration import ConfigFile, check_files, inherited_sockets, load, nested


def serve(
    udp: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Listen on UDP, HOST:PORT; repeatable."),
    ] = None,
    tcp: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Listen on TCP, HOST:PORT; repeatable."),
    ] = None,
    tls: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Listen on TLS, HOST:PORT; repeatable. Certificates: table [tls].",
        ),
    ] = None,
    relp: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Listen on RELP, HOST:PORT; repeatable."),
    ] = None,
    relp_tls: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Listen on RELP over TLS, HOST:PORT; repeatable. Certificates: table [relp_tls].",
        ),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Metrics and health, HOST:PORT.", show_default="127.0.0.1:9514"
        ),
    ] = None,
    nats: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="NATS server, nats://HOST:PORT; repeatable."),
    ] = None,
    embedded_nats: Annotated[
        bool | None,
        typer.Option(
            "--embedded-nats",
            help="Start a nats-server of our own; the default when no server is named.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where state lives.", show_default="./data")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Receive syslog and publish failed mail until SIGTERM.

    Examples:

      mailfault serve
      mailfault serve --tcp 0.0.0.0:5514 --nats nats://nats.example.net:4222
      mailfault serve --config /etc/mailfault/mailfault.toml
    """
    if nats and embedded_nats:
        raise typer.BadParameter("give either --nats or --embedded-nats, not both")
    options = nested(
        udp__listen=udp,
        tcp__listen=tcp,
        tls__listen=tls,
        relp__listen=relp,
        relp_tls__listen=relp_tls,
        http__listen=http,
        # An empty list overrides servers from the environment or the file.
        nats__servers=nats or None,
        data_dir=data_dir,
    )
    if embedded_nats:
        options.setdefault("nats", {})["servers"] = []
    inherited = inherited_sockets()
    settings = load(config, options, inherited)
    check_files(settings)
    logs.configure(settings.log.level)
    raise typer.Exit(
        app.run(
            settings,
            reload=lambda: settings_module.load(config, options, inherited),
            inherited=inherited,
        )
    )
