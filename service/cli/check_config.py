"""`mailfault check-config`: validate, and show what is in force."""

import json
from pathlib import Path
from typing import Annotated

import typer

from service.cli.configuration import check_files, load


def check_config(
    config: Annotated[Path | None, typer.Option(help="TOML configuration file.")] = None,
) -> None:
    """Validate the configuration and print what is in force, secrets hidden.

    Example: mailfault check-config --config /etc/mailfault/mailfault.toml
    """
    settings = load(config, {})
    check_files(settings)
    typer.echo(json.dumps(settings.model_dump(mode="json"), indent=2))
