"""A real Alertmanager (Debian's), on a free port, that passes on what it is told to a webhook."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.e2e.packages import require_program


class Alertmanager:
    def __init__(self, url: str) -> None:
        self.url = url

    async def alerts(self) -> list[dict[str, Any]]:
        """Those that fire, by its API."""

        def get() -> list[dict[str, Any]]:
            with urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
                found: list[dict[str, Any]] = json.load(answer)
            return found

        return await asyncio.to_thread(get)


@asynccontextmanager
async def alertmanager(home: Path, webhook: str) -> AsyncIterator[Alertmanager]:
    program = require_program("prometheus-alertmanager", "prometheus-alertmanager")
    home.mkdir()  # noqa: ASYNC240  # a local directory
    config = home / "alertmanager.yml"  # JSON is YAML
    hook = {"url": webhook, "send_resolved": True}
    route = {"receiver": "hook", "group_wait": "0s", "group_interval": "1s", "group_by": ["..."]}
    receivers = [{"name": "hook", "webhook_configs": [hook]}]
    config.write_text(json.dumps({"route": route, "receivers": receivers}))
    process = await asyncio.create_subprocess_exec(
        str(program),
        f"--config.file={config}",
        f"--storage.path={home}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    rest: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(30):
            said = (await process.stderr.readuntil(b"TLS is disabled")).decode()
        rest = asyncio.create_task(process.stderr.read())
        [address] = re.findall(r'msg="Listening on" address=(\S+)', said)
        yield Alertmanager(f"http://{address}")
    finally:
        process.kill()
        await process.wait()
        if rest is not None:
            await rest
