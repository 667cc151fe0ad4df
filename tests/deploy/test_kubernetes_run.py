"""The real receiver with the configuration of `deploy/kubernetes`, as a user of `deploy/nats`. Only
addresses, paths and, as one server is no cluster, replicas are changed."""

import json
import re
from pathlib import Path

import pytest

from schemas import decode
from tests import sample_lines as lines
from tests.deploy.guarded_nats import PASSWORD, guarded_nats, operator
from tests.deploy.kubernetes import BUILDS, Built
from tests.metric_values import value
from tests.serve import serve

_HERE = (
    (r"0\.0\.0\.0:\d+", "127.0.0.1:0"),
    (r'allow = \["', 'allow = ["127.0.0.1", "'),
    (r'servers = \["[^"]+"\]', 'servers = ["{url}"]'),
    (r"(?m)^ca_file = .*\n", ""),
    (r"replicas = 3", "replicas = 1"),
    (r"/run/secrets/mailfault-nats", "{home}/secrets"),
    (r'data_dir = "[^"]+"', 'data_dir = "{home}/data"'),
)


def here(toml: str, home: Path, url: str) -> str:
    for pattern, replacement in _HERE:
        toml = re.sub(pattern, replacement.format(home=home, url=url), toml)
    return toml


@pytest.mark.e2e
@pytest.mark.parametrize("build", BUILDS)
async def test_it_runs_with_what_the_pods_run_with(tmp_path: Path, build: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "password").write_text(f"{PASSWORD}\n")
    async with guarded_nats(tmp_path) as url, operator(url) as client:
        jetstream = client.jetstream()
        if build != "base":  # there it is whoever looks after NATS who makes them
            await jetstream.add_stream(
                name="POSTFIX", subjects=["postfix.>"], duplicate_window=600, allow_direct=True
            )
            await jetstream.create_key_value(
                bucket="mailfault_context", history=1, ttl=144 * 3600, direct=True
            )
        file = tmp_path / "mailfault.toml"
        file.write_text(here(Built(build).toml, tmp_path, url))
        async with serve(tmp_path, "--config", str(file)) as receiver:
            bound = {event["transport"] for event in receiver.events("listening")}
            assert bound == {"udp", "tcp", "relp", "http"}
            await receiver.until("sharing_readable", 1)  # what is told before that, nobody hears
            await receiver.send_tcp(lines.DEFERRED + b"\n")
            await receiver.until("published_total", 1, result="ok")
            text = await receiver.until("sharing_writes_total", 1, result="put")
            assert value(text, "nats_connected") == 1
            status, ready = await receiver.get("/readyz")
            assert status == 200
            sharing = json.loads(ready)["sharing"]
            assert (sharing["readable"], sharing["writable"]) == (True, True)
            assert await receiver.stop() == 0
        said = [line for line in receiver.log if line["level"] not in ("info", "debug")]
        assert said == []
        consumer = await jetstream.pull_subscribe("postfix.>", stream="POSTFIX")
        (message,) = await consumer.fetch(1, timeout=20)
        assert decode(message.data).event_type == "deferred"
