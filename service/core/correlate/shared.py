"""What receivers tell each other of one message: bytes for a shared bucket, and back.

In: what is known here of a message with deferred recipients. Out: versioned JSON, which names are
easy to read in for operators. Whoever may write the bucket can write anything, so everything is
checked on the way back: what passes can do no more than be wrong.
"""

from dataclasses import dataclass
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from schemas.fields import EnhancedCode, Ordinal, SmtpCode, Status, Word
from service.core.correlate.endings import End
from service.core.correlate.queued import name_of
from service.core.correlate.waiting import LONGEST_RESPONSE, Waiting, pack, unpack

VERSION = 1
LONGEST_VALUE = 262_144
"""Bytes: some 500 recipients of one message. Servers take a megabyte (`max_payload`)."""
_LONGEST_RECORDS = 16
_LONGEST_RECORD = 1152
"""Characters: a stamp before the 1024 bytes that are kept of a line."""
_LONGEST_ADDRESS = 1024
_LONGEST_NAME = 128
_LATEST = 253_402_300_000
"""Unix time: the last that a `datetime` holds, nearly."""
_COUNT = 2**31


GONE = orjson.dumps({"v": VERSION, "gone": True})
"""The message left the queue."""
_TAIL = b',"ended":[%b],"waiting":[%b],"cut":%b,"ends":[%b]}'
_GONE_TAIL = b',"begun":%d,"records":%b,"ends":[%b]}'


@dataclass(slots=True)
class Shared:
    begun: int
    """Unix time, seconds: when the first line of the message was seen."""
    records: list[bytes]
    """As `story` reads them."""
    activations: int
    waiting: list[Waiting]
    ended: list[str]
    """Recipients that were deferred and have reached their end."""
    ends: list[End]
    """Of those that reached it a moment ago, and of the message's where it is gone."""
    is_gone: bool
    """The message left the queue."""
    is_cut: bool
    """It has more recipients than are told."""


def encode_gone(ends: list[End], begun: int, records: list[bytes]) -> bytes:
    """`records`: none where the message was seen to be removed."""
    told, _ = _fitting(_packed_ends(ends), LONGEST_VALUE // 2)
    if not told:
        return GONE
    texts = [record.decode("utf-8", "replace") for record in records]
    return GONE[:-1] + _GONE_TAIL % (begun, orjson.dumps(texts), b",".join(told))


def tells_gone(value: bytes) -> bool:
    return value.startswith(GONE[:-1])


def encode(
    begun: int,
    records: list[bytes],
    activations: int,
    waiting: list[bytes],
    ended: list[bytes],
    ends: list[End],
) -> bytes:
    """At most `LONGEST_VALUE` bytes; recipients beyond that are left out, and those with an address
    that nobody would read. `waiting`: packed; `ended`: names."""
    head = orjson.dumps(
        {
            "v": VERSION,
            "begun": begun,
            "records": [record.decode("utf-8", "replace") for record in records],
            "activations": activations,
        }
    )
    room = LONGEST_VALUE - len(head) - len(_TAIL)
    told, room = _fitting([packed for packed in waiting if _is_readable(packed)], room)
    names = [name.decode("utf-8", "replace") for name in ended]
    told_names, room = _fitting([orjson.dumps(name) for name in names if _is_short(name)], room)
    is_cut = len(told) < len(waiting) or len(told_names) < len(names)
    told_ends, _ = _fitting(_packed_ends(ends), room)
    tail = (
        b",".join(told_names),
        b",".join(told),
        b"true" if is_cut else b"false",
        b",".join(told_ends),
    )
    return head[:-1] + _TAIL % tail


def decode(value: bytes) -> Shared:
    """Raises `ValueError` for what another version or somebody else wrote: go on without."""
    if len(value) > LONGEST_VALUE:
        raise ValueError("too long")
    read = _VALUE.validate_json(value, strict=True)
    if read.v != VERSION:
        raise ValueError("another version")
    return Shared(
        begun=read.begun,
        records=[record.encode("utf-8", "replace") for record in read.records],
        activations=read.activations,
        waiting=[Waiting(*values) for values in read.waiting],
        ended=read.ended,
        ends=[
            End(name_of(name), attempts, by, is_whole, waiting and Waiting(*waiting))
            for name, attempts, by, is_whole, waiting in read.ends
        ],
        is_gone=read.gone,
        is_cut=read.cut,
    )


def _packed_ends(ends: list[End]) -> list[bytes]:
    packed: list[bytes] = []
    for end in ends:
        waiting = b"null" if end.waiting is None else pack(end.waiting)
        name = end.name.decode("utf-8", "replace")
        if _is_short(name) and _is_readable(waiting):
            told = orjson.dumps((end.attempts, end.by, end.is_whole))
            packed.append(b"[%b,%b,%b]" % (orjson.dumps(name), told[1:-1], waiting))
    return packed


def _is_readable(packed: bytes) -> bool:
    """Whether `decode` takes this recipient: for one that it does not, it refuses all of them."""
    if len(packed) <= _LONGEST_ADDRESS:
        return True
    waiting = unpack(packed)
    return _is_short(waiting.recipient) and _is_short(waiting.original_recipient or "")


def _is_short(address: str) -> bool:
    return len(address) <= _LONGEST_ADDRESS


def _fitting(parts: list[bytes], room: int) -> tuple[list[bytes], int]:
    taken: list[bytes] = []
    for part in parts:
        room -= len(part) + 1
        if room < 0:
            return taken, 0
        taken.append(part)
    return taken, room


# A lone surrogate is text in JSON and nowhere else: pydantic's reader refuses it.
_Address = Annotated[str, StringConstraints(max_length=_LONGEST_ADDRESS)]
_Record = Annotated[
    str, StringConstraints(pattern=r"\A[cubmfpln][^\n]*\z", max_length=_LONGEST_RECORD)
]
_Time = Annotated[float, Field(ge=0, le=_LATEST, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=_COUNT)]

# In the order of `Waiting`.
_Recipient = tuple[
    _Address,
    _Address | None,
    _Time,
    _Time,
    Annotated[Ordinal, Field(le=_COUNT)],
    bool,
    _Count,
    Annotated[str, StringConstraints(max_length=_LONGEST_NAME)],
    _Time | None,
    Status,
    Annotated[str, StringConstraints(max_length=LONGEST_RESPONSE)],
    SmtpCode | None,
    EnhancedCode | None,
    Word | None,
    Word | None,
    Annotated[str, StringConstraints(max_length=_LONGEST_NAME)] | None,
    Annotated[str, StringConstraints(max_length=_LONGEST_NAME)] | None,
]

_End = tuple[
    _Address,
    _Count,
    Annotated[str, StringConstraints(max_length=_LONGEST_NAME)],
    bool,
    _Recipient | None,
]


class _Value(BaseModel):
    model_config = ConfigDict(extra="ignore")

    v: int
    gone: bool = False
    begun: Annotated[int, Field(ge=0, lt=2**32)] = 0
    records: Annotated[list[_Record], Field(max_length=_LONGEST_RECORDS)] = []
    activations: _Count = 0
    ended: list[_Address] = []
    ends: list[_End] = []
    waiting: list[_Recipient] = []
    cut: bool = False


_VALUE = TypeAdapter(_Value)
