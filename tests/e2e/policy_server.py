"""A policy server (Postfix SMTPD_POLICY_README): `name=value` lines up to an empty one, then
`action=...` and an empty line. It decides by the recipient's name, up to the first `+`."""

import asyncio
from contextlib import AsyncExitStack

from tests.e2e.next_hop import close_server

ACTIONS = {
    "greylisted": "DEFER_IF_PERMIT Greylisted, see http://postgrey.example/help.html?a=1;b=2",
    "spf": "550 5.7.23 Message rejected due to: SPF fail; from=<fake@x> to=<y@z>",
}


async def start(cleanup: AsyncExitStack) -> int:
    """Returns the port."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    cleanup.push_async_callback(close_server, server)
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    attributes: dict[str, str] = {}
    try:
        while line := await reader.readline():
            name, _, value = line.decode().rstrip("\n").partition("=")
            if name:
                attributes[name] = value
                continue
            action = ACTIONS.get(attributes.get("recipient", "").partition("+")[0], "DUNNO")
            writer.write(f"action={action}\n\n".encode())
            attributes.clear()
    except ConnectionError:
        pass
    finally:
        writer.close()
