"""From command line options to settings; bad configuration ends the command with 78."""

from pathlib import Path
from typing import Any, NoReturn

import typer

from service import settings
from service.core.envelope import SubjectTemplate
from service.core.privacy import Privacy
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.settings import ConfigError, Settings

EX_CONFIG = 78
"""`sysexits.h`: something was found in an unconfigured or misconfigured state."""


def load(file: Path | None, options: dict[str, Any]) -> Settings:
    """Settings, or the problems on stderr and the command's end."""
    try:
        return settings.load(file, options)
    except ConfigError as error:
        fail(error)


def check_files(checked: Settings) -> None:
    """The certificates and keys they name can be used; else the command's end, as above."""
    try:
        settings.prepare_tls(checked)
        settings.prepare_privacy(checked)
    except ConfigError as error:
        fail(error)


def privacy_of(checked: Settings) -> Privacy | None:
    """None: everything is kept. A key that cannot be read is the command's end."""
    try:
        return settings.prepare_privacy(checked)
    except ConfigError as error:
        fail(error)


def pipeline_of(checked: Settings, privacy: Privacy | None) -> Pipeline:
    """As the receiver has it, for a command that reads lines without receiving any."""
    template = SubjectTemplate(checked.nats.subject_template, checked.nats.subject_prefix)
    return Pipeline(checked.pipeline, template, Metrics(), privacy)


def fail(error: ConfigError) -> NoReturn:
    for problem in error.problems:
        typer.echo(f"configuration: {problem}", err=True)
    raise typer.Exit(EX_CONFIG)


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
