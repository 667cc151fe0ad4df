"""`mailfault serve`: the receiver."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer

from service import app, logs
from service import settings as settings_module
from service.cli.configuration import ConfigFile, check_files, inherited_sockets, load, nested
from service.workers import parent
from service.workers.assignment import Assignment, left_behind
from service.workers.assignment import take as take_assignment


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
            help="Listen on TLS, HOST:PORT; repeatable. Certificates: table \\[tls].",
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
            help="Listen on RELP over TLS, HOST:PORT; repeatable. "
            "Certificates: table \\[relp_tls].",
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
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes that share the work.", show_default="1"),
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
        workers=workers,
    )
    if embedded_nats:
        options.setdefault("nats", {})["servers"] = []
    assignment = take_assignment()
    if assignment is not None:
        _work(assignment, config, options)
    inherited = inherited_sockets()
    settings = load(config, options, inherited)
    check_files(settings)
    logs.configure(settings.log.level)
    is_alone = settings.workers == 1 and not left_behind(settings.data_dir, 1)
    run = app.run if is_alone else parent.run
    reload = lambda: settings_module.load(config, options, inherited)  # noqa: E731
    raise typer.Exit(run(settings, reload, inherited))


def _work(assignment: Assignment, config: Path | None, options: dict[str, Any]) -> NoReturn:
    """As one of several: with what its parent has bound, and in a directory of its own."""
    settings = assignment.apply(load(config, options))
    check_files(settings)
    logs.configure(settings.log.level)
    structlog.contextvars.bind_contextvars(worker=assignment.number)
    reload = lambda: assignment.apply(settings_module.load(config, options))  # noqa: E731
    raise typer.Exit(app.run(settings, reload, assignment.inherited, is_worker=True))
