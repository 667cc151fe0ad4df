"""`mailfault check-config`: validate, and show what is in force."""

import json

import typer

from service.cli.configuration import ConfigFile, check_files, fail, load
from service.cli.terminal import quiet_pipe
from service.config_problems import ConfigError
from service.nats.config import CredentialsError
from service.prepared import check_tls_of_socket_units


def check_config(
    config: ConfigFile = None,
) -> None:
    """Validate the configuration and print what is in force, secrets hidden.

    Examples:

      mailfault check-config --config /etc/mailfault/mailfault.toml
      MAILFAULT_NATS__WINDOW=100 mailfault check-config | jq .nats
    """
    settings = load(config, {})
    check_files(settings)
    try:
        check_tls_of_socket_units(settings)
    except ConfigError as error:
        fail(error)
    try:
        settings.nats.credentials()
    except CredentialsError as error:
        # No refusal: they may be of another machine, and `serve` reads them at each attempt anew.
        typer.echo(f"warning: {error}", err=True)
    with quiet_pipe():
        typer.echo(json.dumps(settings.model_dump(mode="json"), indent=2))
