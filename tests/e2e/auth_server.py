"""A Dovecot authentication server, as Postfix asks one about logins (Postfix
`xsasl/xsasl_dovecot_server.c`).

Anybody may log in: the name is what the client says in its AUTH PLAIN.
"""

import asyncio
import base64
from contextlib import AsyncExitStack

from tests.e2e.local import start_server

_HANDSHAKE = b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tc0ffee\nDONE\n"


def plain(username: str) -> str:
    """The client's word: RFC 4616."""
    return "AUTH PLAIN " + base64.b64encode(f"\0{username}\0secret".encode()).decode()


async def start(cleanup: AsyncExitStack) -> int:
    """Returns the port."""
    return await start_server(_serve, cleanup)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_HANDSHAKE)
    try:
        while line := await reader.readline():
            verb, _, rest = line.decode().rstrip("\n").partition("\t")
            if verb == "AUTH":
                number, _, parameters = rest.partition("\t")
                response = parameters.partition("resp=")[2]
                username = base64.b64decode(response).split(b"\0")[1].decode()
                writer.write(f"OK\t{number}\tuser={username}\n".encode())
    except ConnectionError:
        pass
    finally:
        writer.close()
