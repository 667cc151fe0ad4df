"""All settings, joined from the Config models that stand beside each component.

Precedence: command line options > environment (`MAILFAULT_...`, nested by `__`) > TOML file >
defaults. Unknown keys are errors that name the nearest known key.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.board.config import BoardConfig
from service.config_problems import (
    CONFIG_VARIABLE,
    ENV_PREFIX,
    ConfigError,
    is_given,
    problem,
    unknown_variables,
)
from service.correlation_config import CorrelationConfig
from service.listeners.clashes import clashes
from service.listeners.inherited import TABLES, InheritedSockets
from service.listeners.relp_config import RelpConfig, RelpTlsConfig
from service.listeners.tcp import TcpConfig
from service.listeners.tls import TlsConfig
from service.listeners.tls_config import TlsStreamConfig
from service.listeners.udp import UdpConfig
from service.nats.config import NatsConfig
from service.nats.sharing_config import SharingConfig
from service.pipeline_config import PipelineConfig
from service.privacy import PrivacyConfig
from service.rollup import RollupConfig
from service.rules_files import ClassifyConfig
from service.sources import MetricsConfig
from service.spool.config import SpoolConfig
from service.spool.memory_config import MemoryQueueConfig
from service.web import HttpConfig

DEFAULT_LISTEN = "127.0.0.1:5514"
DEFAULT_LISTEN_RELP = "127.0.0.1:2514"
TLS_TABLES = ("tls", "relp_tls")
"""Each of a TLS listener; its certificates are taken over at a reload."""


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
    problems = unknown_variables(Settings, os.environ)

    try:
        settings = _settings(options or {}, from_file)
    except ValidationError as error:
        items = error.errors()
        is_usage = not problems and all(is_given(options or {}, item["loc"]) for item in items)
        problems += [problem(Settings, item) for item in items]
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
