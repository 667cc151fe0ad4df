"""The operator's rules files: read within bounds, compiled with those that come with the package.

In: the `[classify]` table of the settings. Out: a classifier, or `core.classify.RulesError`.
"""

import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.address import split_commas
from service.core.classify import (
    Classifier,
    Place,
    RulesFile,
    builtin_classifier,
    builtin_rules,
    compile_files,
    own_and_builtin,
)

MAX_FILES = 16
MAX_BYTES = 512 * 1024
"""Of all files together, five times the rules that come with the package: a reload reads them
between two reads of a socket."""


class ClassifyConfig(BaseModel):
    """What names the cause of a failure. Taken over at a reload."""

    model_config = ConfigDict(extra="forbid")

    rules: Annotated[list[Path], BeforeValidator(split_commas)] = Field(
        default_factory=list,
        max_length=MAX_FILES,
        description="Files with rules of your own, as `/etc/mailfault/rules.toml`; they win over "
        "those built in, and an earlier file over a later one.",
    )


def prepare(config: ClassifyConfig) -> Classifier:
    """Raises `RulesError`."""
    if not config.rules:
        return builtin_classifier()
    place = Place("classify.rules")
    room = MAX_BYTES
    files = []
    for path in config.rules:
        try:
            data = _read(path, room)
            files.append(RulesFile(str(path), _parse(data)))
        except _Unusable as error:
            place.file(str(path)).wrong(str(error))
            continue
        room -= len(data)
    providers = {provider.name for provider in builtin_rules().providers}
    return own_and_builtin(compile_files(files, place, providers))


class _Unusable(Exception):
    """Nothing can be told of what is in the file: note why, and read the others."""


def _read(path: Path, room: int) -> bytes:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _Unusable("cannot be read: not a regular file")
            data = file.read(room + 1)
    except OSError as error:
        raise _Unusable(f"cannot be read: {error.strerror}") from None
    if len(data) > room:
        raise _Unusable(
            f"too large: all rules files together may have {MAX_BYTES} bytes; leave some out"
        )
    return data


def _open_at_once(path: str, flags: int) -> int:
    # A FIFO without a writer would hold up the whole receiver.
    return os.open(path, flags | os.O_NONBLOCK)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError:
        raise _Unusable("no valid TOML: nested too deeply") from None
    except ValueError as error:  # also of bytes that are no UTF-8, and of numbers that are too long
        raise _Unusable(f"no valid TOML: {error}") from None
