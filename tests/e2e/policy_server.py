"""A policy server (Postfix SMTPD_POLICY_README): `name=value` lines up to an empty one, then
`action=...` and an empty line. It decides by the recipient's name, up to the first `+`."""

import asyncio
from contextlib import AsyncExitStack

from tests.e2e.local import start_server

ACTIONS = {
    "greylisted": "DEFER_IF_PERMIT Greylisted, see http://postgrey.example/help.html?a=1;b=2",
    "spf": "550 5.7.23 Message rejected due to: SPF fail; from=<fake@x> to=<y@z>",
}


async def start(cleanup: AsyncExitStack) -> int:
    """Returns the port."""
    return await start_server(_serve, cleanup)


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
