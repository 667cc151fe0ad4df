"""Who reported: the `mta` of an event.

In: a line, and the Postfix record that was read from it, where one was. Out: the schema's `Mta`.
"""

from typing import Final

from pydantic import TypeAdapter

from schemas.base import Mta
from service.core.line import NAME_MAX, Line
from service.core.postfix.facts import Record
from service.core.postfix.remembered import remember

# The validator itself, as in `core.assemble`.
_MTA: Final = TypeAdapter(Mta).validator

_Source = tuple[str, str, int | None, str | None, str | None, str | None, str]

# Made once and remembered: a log names the same processes again and again.
_MTAS: Final[dict[_Source, Mta]] = {}


def mta_of(line: Line, record: Record | None) -> Mta:
    message = line.message
    host, tag = line.host, message.tag
    instance = daemon = None
    if record is not None:
        tag, instance, daemon = record.service, record.instance, record.daemon
    source = (host, tag, message.pid, instance, daemon, line.source_ip, line.transport)
    mta = _MTAS.get(source)
    if mta is None:
        mta = _MTA.validate_python(
            {
                "host": host,
                "instance": instance,
                "service": tag or None,
                "daemon": daemon,
                "pid": message.pid,
                "source_ip": line.source_ip,
                "transport": line.transport,
            }
        )
        if len(host) <= NAME_MAX >= len(tag):  # as in `core.line`
            remember(_MTAS, source, mta)
    return mta
