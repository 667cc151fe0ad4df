"""The files that the settings name, read: certificates, rules, the key of hashes.

In: settings. Out: what is made of these files, or `ConfigError` with what is wrong in them.
"""

from typing import NamedTuple

from service import rules_files
from service.config_problems import ConfigError
from service.core.classify import Classifier, RulesError
from service.core.privacy import Privacy
from service.listeners import tls_context
from service.listeners.tls_config import TlsStreamConfig
from service.listeners.tls_context import Identity
from service.privacy import PrivacyError
from service.settings import TLS_TABLES, Settings


class Prepared(NamedTuple):
    """What the files say that the settings name."""

    tls: dict[str, Identity]
    classifier: Classifier


def prepare(settings: Settings) -> Prepared:
    """All of them. Raises `ConfigError` with what is wrong in any."""
    problems: list[str] = []
    try:
        tls = prepare_tls(settings)
    except ConfigError as error:
        problems += error.problems
    try:
        classifier = prepare_rules(settings)
    except ConfigError as error:
        problems += error.problems
    try:
        prepare_privacy(settings)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return Prepared(tls, classifier)


def prepare_tls(settings: Settings) -> dict[str, Identity]:
    """From the files that the tables of TLS listeners name. Raises `ConfigError`."""
    prepared, problems = {}, []
    for name in TLS_TABLES:
        table: TlsStreamConfig = getattr(settings, name)
        try:
            if table.listen:
                prepared[name] = tls_context.prepare(table)
        except tls_context.TlsError as error:
            problems.append(f"{name}.{error}")
    if problems:
        raise ConfigError(problems)
    return prepared


def prepare_rules(settings: Settings) -> Classifier:
    """From the rules files that `[classify]` names, and those built in. Raises `ConfigError`."""
    try:
        return rules_files.prepare(settings.classify)
    except RulesError as error:
        raise ConfigError(error.problems) from None


def prepare_privacy(settings: Settings) -> Privacy | None:
    """None: everything is kept. Reads the file of the key. Raises `ConfigError`."""
    try:
        return settings.privacy.build()
    except PrivacyError as error:
        raise ConfigError([f"privacy.{error}"]) from None


def check_tls_of_socket_units(settings: Settings) -> None:
    """Of tables with a certificate and no address: a socket unit may listen for them, which only
    `serve` is told. Raises `ConfigError`."""
    problems = []
    for name in TLS_TABLES:
        table: TlsStreamConfig = getattr(settings, name)
        try:
            if table.cert_file is not None and not table.listen:
                table.check_to_listen()
                tls_context.prepare(table)
        except tls_context.TlsError as error:
            problems.append(f"{name}.{error}")
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ConfigError(problems)
