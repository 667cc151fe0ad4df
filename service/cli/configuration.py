"""From command line options to settings. Bad configuration ends the command with 78, an option with
a value that it cannot have with 2."""

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer

from service import prepared, settings
from service.config_problems import ConfigError
from service.core.envelope import SubjectTemplate
from service.core.privacy import Privacy
from service.correlation import Correlation
from service.listeners.inherited import InheritedSockets
from service.metrics import Metrics
from service.nats.config import DEFAULT_SERVER
from service.pipeline import Pipeline
from service.settings import Settings
from service.systemd import sockets
from service.systemd.sockets import SocketsError

TimeZone = Annotated[
    str | None, typer.Option(metavar="ZONE", help="Zone of stamps without one, as Europe/Berlin.")
]
NatsServers = Annotated[
    list[str] | None,
    typer.Option(
        "--nats", metavar="URL", help="NATS server; repeatable.", show_default=DEFAULT_SERVER
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML configuration file.",
        readable=False,  # not typer's check: one that cannot be read is 78, as one that is missing
    ),
]

PATIENCE = 1e6
"""Seconds that lines of a file may wait for later ones. In truth it is for so many lines:
`in_order`."""

EX_CONFIG = 78
"""`sysexits.h`: something was found in an unconfigured or misconfigured state."""
_USAGE = 2
"""Of typer and the shell; `sysexits.h` has bad syntax in a parameter among wrong usage, too."""


def load(
    file: Path | None, options: dict[str, Any], inherited: InheritedSockets | None = None
) -> Settings:
    """Settings, or the problems on stderr and the command's end."""
    try:
        return settings.load(file, options, inherited)
    except ConfigError as error:
        fail(error)


def inherited_sockets() -> InheritedSockets:
    """Those that a service manager bound for this process; the command's end, as above."""
    try:
        return InheritedSockets(sockets.take())
    except SocketsError as error:
        fail(ConfigError([str(error)]))


def check_files(checked: Settings) -> None:
    """The certificates, rules and keys they name can be used; else the command's end, as above."""
    try:
        prepared.prepare(checked)
    except ConfigError as error:
        fail(error)


def privacy_of(checked: Settings) -> Privacy | None:
    """None: everything is kept. A key that cannot be read is the command's end."""
    try:
        return prepared.prepare_privacy(checked)
    except ConfigError as error:
        fail(error)


def pipeline_of(checked: Settings, privacy: Privacy | None) -> Pipeline:
    """As the receiver has it, for a command that reads lines without receiving any. Files of rules
    that cannot be used are its end, as above."""
    template = SubjectTemplate(checked.nats.subject_template, checked.nats.subject_prefix)
    bounds = checked.correlation
    correlation = Correlation(
        # What is slow for one receiver is nothing for a file: every bounce may wait.
        bounds.model_copy(
            update={
                "notice_rate": sys.maxsize,
                "notice_wait": bounds.notice_wait and PATIENCE,
                "removal_wait": bounds.removal_wait and PATIENCE,
                "alias_wait": bounds.alias_wait and PATIENCE,
            }
        ),
        ZoneInfo(checked.pipeline.default_timezone),
    )
    try:
        classifier = prepared.prepare_rules(checked)
    except ConfigError as error:
        fail(error)
    return Pipeline(checked.pipeline, template, Metrics(), classifier, correlation, privacy)


def fail(error: ConfigError) -> NoReturn:
    what = "options" if error.is_usage else "configuration"
    for problem in error.problems:
        typer.echo(f"{what}: {problem}", err=True)
    raise typer.Exit(_USAGE if error.is_usage else EX_CONFIG)


def nested(**given: Any) -> dict[str, Any]:
    """`tcp__listen=[...]` to `{"tcp": {"listen": [...]}}`; what was not given is left out."""
    options: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == []:
            continue
        *tables, key = name.split("__")
        table = options
        for part in tables:
            table = table.setdefault(part, {})
        table[key] = value
    return options
