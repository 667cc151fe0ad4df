"""All settings, joined from the Config models that stand beside each component.

Precedence: command line options > environment (`MAILFAULT_...`, nested by `__`) > TOML file >
defaults. Unknown keys are errors that name the nearest known key.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service import rules_files
from service.board.config import BoardConfig
from service.core.classify import Classifier, RulesError
from service.core.privacy import Privacy
from service.core.spelling import nearest
from service.correlation_config import CorrelationConfig
from service.listeners import tls_context
from service.listeners.clashes import clashes
from service.listeners.inherited import TABLES, InheritedSockets
from service.listeners.relp_config import RelpConfig, RelpTlsConfig
from service.listeners.tcp import TcpConfig
from service.listeners.tls import TlsConfig
from service.listeners.tls_config import TlsStreamConfig
from service.listeners.tls_context import Identity
from service.listeners.udp import UdpConfig
from service.nats.config import NatsConfig
from service.nats.sharing_config import SharingConfig
from service.pipeline_config import PipelineConfig
from service.privacy import PrivacyConfig, PrivacyError
from service.rollup import RollupConfig
from service.rules_files import ClassifyConfig
from service.sources import MetricsConfig
from service.spool.config import SpoolConfig
from service.spool.memory_config import MemoryQueueConfig
from service.web import HttpConfig

ENV_PREFIX = "MAILFAULT_"
CONFIG_VARIABLE = ENV_PREFIX + "CONFIG"
DEFAULT_LISTEN = "127.0.0.1:5514"
DEFAULT_LISTEN_RELP = "127.0.0.1:2514"
TLS_TABLES = ("tls", "relp_tls")
"""Each of a TLS listener; its certificates are taken over at a reload."""

_SERVICE_LINK = re.compile(
    r"MAILFAULT_([A-Z0-9_]*_)?(SERVICE_HOST=.*|SERVICE_PORT(_[A-Z0-9_]+)?=.*"
    r"|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=.*|PORT=(tcp|udp|sctp)://.*)"
)
"""What Kubernetes tells each container of a namespace where a service is named `mailfault`."""


class ConfigError(Exception):
    """The configuration cannot be used: show `problems` to the operator and exit with 78; with 2
    where the command line alone is to blame."""

    def __init__(self, problems: list[str], *, is_usage: bool = False) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.is_usage = is_usage
        """Whether each of them is the value of an option."""


class LogConfig(BaseModel):
    """The receiver's own log, on stderr."""

    model_config = ConfigDict(extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )


class Settings(BaseSettings):
    """One TOML table for each component."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", enable_decoding=False
    )

    data_dir: Path = Field(Path("data"), description="Spool, snapshots, embedded JetStream.")
    shutdown_timeout: float = Field(
        25.0, gt=0, le=600, description="Seconds to deliver what was read before exiting anyway."
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes that share the work, at most one for each processor.",
    )
    udp: UdpConfig = Field(default_factory=UdpConfig)
    tcp: TcpConfig = Field(default_factory=TcpConfig)
    tls: TlsConfig = Field(default_factory=TlsConfig)
    relp: RelpConfig = Field(default_factory=RelpConfig)
    relp_tls: RelpTlsConfig = Field(default_factory=RelpTlsConfig)
    http: HttpConfig = Field(default_factory=HttpConfig)
    metrics: MetricsConfig = Field(default_factory=MetricsConfig)
    nats: NatsConfig = Field(default_factory=NatsConfig)
    pipeline: PipelineConfig = Field(default_factory=PipelineConfig)
    classify: ClassifyConfig = Field(default_factory=ClassifyConfig)
    correlation: CorrelationConfig = Field(default_factory=CorrelationConfig)
    sharing: SharingConfig = Field(default_factory=SharingConfig)
    privacy: PrivacyConfig = Field(default_factory=PrivacyConfig)
    rollup: RollupConfig = Field(default_factory=RollupConfig)
    queue: MemoryQueueConfig = Field(default_factory=MemoryQueueConfig)
    spool: SpoolConfig = Field(default_factory=SpoolConfig)
    board: BoardConfig = Field(default_factory=BoardConfig)
    log: LogConfig = Field(default_factory=LogConfig)


def load(
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    inherited: InheritedSockets | None = None,
) -> Settings:
    """Raises `ConfigError`. `options`: nested dicts as in the TOML file, from the command line.
    `inherited`: sockets that are bound already; each joins the listeners."""
    if file is None and os.environ.get(CONFIG_VARIABLE):
        file = Path(os.environ[CONFIG_VARIABLE])
    from_file = _read_toml(file) if file else {}
    problems = _unknown_variables()

    try:
        settings = _settings(options or {}, from_file)
    except ValidationError as error:
        items = error.errors()
        is_usage = not problems and all(_is_given(options or {}, item["loc"]) for item in items)
        problems += [_problem(item) for item in items]
        raise ConfigError(problems, is_usage=is_usage) from None
    tables = {name: getattr(settings, name) for name in TABLES.values()}
    listens = {f"{name}.listen": table.listen for name, table in tables.items()}
    problems += clashes({"udp.listen": listens.pop("udp.listen")})
    problems += clashes({**listens, "http.listen": [settings.http.listen]})
    if inherited is not None:
        unheard = [name for name in TLS_TABLES if not tables[name].listen]
        problems += inherited.join(tables)
        for name in unheard:
            problems += _not_fit_to_listen(settings, name)
    if problems:
        raise ConfigError(problems)
    if not any(table.listen for table in tables.values()):
        settings.udp.listen.append(DEFAULT_LISTEN)
        settings.tcp.listen.append(DEFAULT_LISTEN)
        settings.relp.listen.append(DEFAULT_LISTEN_RELP)
    return settings


def _not_fit_to_listen(settings: Settings, name: str) -> Iterator[str]:
    """Of a TLS listener that was none before a socket was handed over for it."""
    table: TlsStreamConfig = getattr(settings, name)
    try:
        if table.listen:
            table.check_to_listen()
    except ValueError as error:
        yield f"{name}: {error}"


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


def prepare_privacy(settings: Settings) -> Privacy | None:
    """None: everything is kept. Reads the file of the key. Raises `ConfigError`."""
    try:
        return settings.privacy.build()
    except PrivacyError as error:
        raise ConfigError([f"privacy.{error}"]) from None


def fixed(options: Mapping[str, Any]) -> Settings:
    """Settings from `options` and defaults alone, whatever the environment says."""
    return _settings(options)


def _settings(options: Mapping[str, Any], below: dict[str, Any] | None = None) -> Settings:
    """`below`: what a file says. The environment stands between both, and with None it says
    nothing either."""

    class Joined(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            if below is None:
                return (init_settings,)
            return init_settings, env_settings, InitSettingsSource(settings_cls, below)

    return Joined(**dict(options))


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: no valid TOML: {error}"]) from None


def _unknown_variables() -> list[str]:
    """pydantic-settings looks up the names it knows; a misspelt one would be silently ignored."""
    known = [name.upper() for name in (*Settings.model_fields, "config")]
    problems = []
    for variable, value in os.environ.items():
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        top, _, below = variable.removeprefix(ENV_PREFIX).partition("__")
        if top not in known:
            if not _SERVICE_LINK.fullmatch(f"{variable}={value}"):
                hint = _with_two_underscores(variable) or nearest(top, known)
                problems.append(f"environment variable {variable}: unknown setting{hint}")
        elif below and not _keys((top.lower(),)):
            problems.append(f"environment variable {variable}: {top.lower()} is not a table")
    return problems


def _with_two_underscores(variable: str) -> str:
    """A hint where `MAILFAULT_TCP_LISTEN` stands for `MAILFAULT_TCP__LISTEN`."""
    for path in _paths(Settings):
        meant = ENV_PREFIX + "__".join(path).upper()
        if meant.replace("__", "_") == variable.replace("__", "_"):
            return f"; did you mean {meant}?"
    return ""


def _paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Of all settings: tables are divided from what is in them."""
    for name, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            yield from ((name, *path) for path in _paths(below))
        else:
            yield (name,)


def _is_given(options: Mapping[str, Any], path: tuple[Any, ...]) -> bool:
    """Whether what stands there is the value of an option, and not a table that holds some."""
    value: Any = options
    for part in path:
        if not isinstance(value, Mapping):
            return True
        if part not in value:
            return False
        value = value[part]
    return not isinstance(value, Mapping)


def _problem(item: Any) -> str:
    path = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{path}: unknown setting{nearest(str(item['loc'][-1]), _keys(item['loc'][:-1]))}"
    if item["type"] == "model_type":  # pydantic speaks of dictionaries and of our classes
        return f"{path}: is a table; name a setting of it, as {path}.{_keys(item['loc'])[0]}"
    if item["type"] == "path_type":
        return f"{path}: is a path, as '/var/lib/mailfault'"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}"


def _keys(path: tuple[Any, ...]) -> list[str]:
    model: Any = Settings
    for part in path:
        field = model.model_fields.get(part)
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return list(model.model_fields)
