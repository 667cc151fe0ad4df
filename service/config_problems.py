"""What is said of a configuration that cannot be used: a sentence for each problem, in the words of
TOML and of the environment, not of pydantic.

In: the model of all settings; an error that pydantic found in it; the environment. Out: sentences.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from service.core.spelling import nearest

ENV_PREFIX = "MAILFAULT_"
CONFIG_VARIABLE = ENV_PREFIX + "CONFIG"

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


def unknown_variables(settings: type[BaseModel], environment: Mapping[str, str]) -> list[str]:
    """pydantic-settings looks up the names it knows; a misspelt one would be silently ignored."""
    known = [name.upper() for name in (*settings.model_fields, "config")]
    problems = []
    for variable, value in environment.items():
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        top, _, below = variable.removeprefix(ENV_PREFIX).partition("__")
        if top not in known:
            if not _SERVICE_LINK.fullmatch(f"{variable}={value}"):
                hint = _with_two_underscores(settings, variable) or nearest(top, known)
                problems.append(f"environment variable {variable}: unknown setting{hint}")
        elif below and not _keys(settings, (top.lower(),)):
            problems.append(f"environment variable {variable}: {top.lower()} is not a table")
    return problems


def is_given(options: Mapping[str, Any], path: tuple[Any, ...]) -> bool:
    """Whether what stands there is the value of an option, and not a table that holds some."""
    value: Any = options
    for part in path:
        if not isinstance(value, Mapping):
            return True
        if part not in value:
            return False
        value = value[part]
    return not isinstance(value, Mapping)


def problem(settings: type[BaseModel], item: Any) -> str:
    """`item`: one of pydantic's errors."""
    location = item["loc"]
    path = ".".join(str(part) for part in location)
    if item["type"] == "extra_forbidden":
        return (
            f"{path}: unknown setting{nearest(str(location[-1]), _keys(settings, location[:-1]))}"
        )
    if item["type"] == "model_type":  # pydantic speaks of dictionaries and of our classes
        example = _keys(settings, location)[0]
        return f"{path}: is a table; name a setting of it, as {path}.{example}"
    if item["type"] == "path_type":
        return f"{path}: is a path, as '/var/lib/mailfault'"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}"


def _with_two_underscores(settings: type[BaseModel], variable: str) -> str:
    """A hint where `MAILFAULT_TCP_LISTEN` stands for `MAILFAULT_TCP__LISTEN`."""
    for path in _paths(settings):
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


def _keys(settings: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Of the table that stands there; none where no table does."""
    model: Any = settings
    for part in path:
        field = model.model_fields.get(part)
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return list(model.model_fields)
