"""A real Prometheus that scrapes one receiver every second and evaluates our alert rules."""

import asyncio
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from tests.deploy.manifests import DEPLOY
from tests.e2e.child import Child
from tests.e2e.packages import require_program

RULES = DEPLOY / "prometheus" / "mailfault.rules.yml"
WINDOW = "1m"
"""For `rate`: some scrapes, of before and after."""

_LISTENS = re.compile(r'msg="Listening on" address=127\.0\.0\.1:(\d+)')

_READY = "Server is ready to receive web requests"

Sample = tuple[dict[str, str], float]


class Prometheus:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/"

    async def query(self, expression: str) -> list[Sample]:
        """The samples of now; those that are no number (0/0) left out."""
        answer = await self._get("query", query=expression)
        assert answer["resultType"] == "vector", expression
        found = [(one["metric"], float(one["value"][1])) for one in answer["result"]]
        return [(labels, value) for labels, value in found if isfinite(value)]

    async def rules(self) -> list[dict[str, Any]]:
        (group,) = (await self._get("rules"))["groups"]
        found: list[dict[str, Any]] = group["rules"]
        return found

    async def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self._url}{path}?{urllib.parse.urlencode(parameters)}"
        answer = json.loads(await asyncio.to_thread(_read, url))
        assert answer["status"] == "success", answer
        return answer["data"]


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            body: bytes = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()  # it says what is wrong with a query
        error.close()
    return body


@asynccontextmanager
async def prometheus(home: Path, target: int) -> AsyncIterator[Prometheus]:
    """In `home`, which exists. `target`: the port of the receiver's metrics."""
    program = require_program("prometheus", "prometheus")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": "mailfault", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
        ],
    }
    file = home / "prometheus.yml"
    file.write_text(json.dumps(config))  # JSON is YAML
    server = await Child.start(
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={home / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    )
    try:
        async with asyncio.timeout(40):
            port = await server.until(_port)
            await server.until(lambda line: True if _READY in line else None)
        yield Prometheus(port)
    finally:
        await server.stop()


def _port(line: str) -> int | None:
    found = _LISTENS.search(line)
    return int(found[1]) if found else None
