"""A small RELP sender: all lines at once, then it waits until each is acknowledged.

For the few lines of the demo; a real one keeps what is not acknowledged and sends it again.
"""

import asyncio

_OFFERS = b"relp_version=0\nrelp_software=mailfault-demo\ncommands=syslog"


class NotAcknowledged(OSError):
    """The receiver answered otherwise than it should: give up."""


async def send_relp(address: tuple[str, int], lines: list[str]) -> None:
    """Returns when the receiver says that what these lines gave is durable."""
    syslog = [(b"syslog", line.encode()) for line in lines]
    commands = [(b"open", _OFFERS), *syslog, (b"close", b"")]
    reader, writer = await asyncio.open_connection(*address)
    try:
        for txnr, (command, data) in enumerate(commands, 1):
            writer.write(_frame(txnr, command, data))
        for txnr in range(1, len(commands) + 1):
            await _acknowledged(reader, txnr)
    except asyncio.IncompleteReadError:
        raise NotAcknowledged("the receiver closed the RELP session") from None
    finally:
        writer.close()
        await writer.wait_closed()


def _frame(txnr: int, command: bytes, data: bytes) -> bytes:
    """Without data there is no space before the LF."""
    return b"%d %s %d%s\n" % (txnr, command, len(data), b" " + data if data else b"")


async def _acknowledged(reader: asyncio.StreamReader, txnr: int) -> None:
    number = await reader.readuntil(b" ")
    command = await reader.readuntil(b" ")
    length = await reader.readuntil(b" ")
    data = await reader.readexactly(int(length) + 1)
    if (int(number), command) != (txnr, b"rsp ") or not data.startswith(b"200 "):
        raise NotAcknowledged(f"RELP answer to frame {txnr}: {data!r}")
