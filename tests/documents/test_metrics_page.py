"""`docs/metrics.md` names every metric that a receiver exports, and none that it does not."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.receiver import Receiver
from tests.listeners.certificates import make
from tests.nats_server import real_nats

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
OF_WORKERS = {"mailfault_workers", "mailfault_worker_restarts"}
"""`tests/workers` has them; one process has none."""


def named() -> Iterator[str]:
    """In the first column of the tables."""
    for row in re.findall(r"^\|([^|]+)\|", PAGE.read_text("utf-8"), re.MULTILINE):
        yield from re.findall(r"`(mailfault_\w+)[`{]", row)


def test_none_is_named_twice() -> None:
    names = list(named())
    assert sorted(set(names)) == sorted(names)


@pytest.mark.e2e
async def test_each_metric_is_on_the_page_and_each_on_the_page_is_one(tmp_path: Path) -> None:
    """Nine and most of the bounds were not."""
    ours = make(tmp_path, "receiver.example.net")
    everything = {
        "MAILFAULT_TLS__LISTEN": "127.0.0.1:0",
        "MAILFAULT_TLS__AUTH_MODE": "anon",
        "MAILFAULT_TLS__CERT_FILE": str(ours.cert_file),
        "MAILFAULT_TLS__KEY_FILE": str(ours.key_file),
        "MAILFAULT_ROLLUP__ENABLED": "true",
        "MAILFAULT_SHARING__ENABLED": "true",
    }
    async with real_nats(tmp_path) as nats:
        receiver = await Receiver.start(tmp_path / "data", nats.url, env=everything)
        try:
            families = text_string_to_metric_families(await receiver.get("/metrics"))
            exported = {family.name for family in families if not family.name.endswith("_created")}
        finally:
            status = await receiver.child.stop()
    assert status == 0
    assert {name.removesuffix("_total") for name in named()} == exported | OF_WORKERS
