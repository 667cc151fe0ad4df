"""The images of `deploy/`, built and run by a real engine, confined as docker-compose.yml has it:
the receiver, and the mail server that fails mail on purpose."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.nats.embedded import find_binary
from tests import sample_lines as lines
from tests.deploy import compose
from tests.deploy.engine import BASE, RUN, Engine
from tests.e2e.child import Child
from tests.e2e.round_of_mail import FAILURES, failure

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

MAX_ADDED_BYTES = 120_000_000
"""What the receiver and all it needs may add to a base image with Python."""

UID = 10001

_SEND = """
import socket, sys
kind = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[sys.argv[1]]
with socket.socket(socket.AF_INET, kind) as sock:
    sock.connect(("127.0.0.1", 5514))
    sock.sendall(sys.stdin.buffer.read())
"""


@asynccontextmanager
async def nats_inside(engine: Engine, store: Path) -> AsyncIterator[None]:
    """A nats-server at 127.0.0.1:4222 of the containers' network."""
    command = engine.inside(find_binary(), "-js", "-a", "127.0.0.1", "-sd", store)
    server = await Child.start(*command)
    try:
        await server.until(lambda line: "Server is ready" in line or None)
        yield
    finally:
        await server.stop()


@pytest.fixture
def data(tmp_path: Path, engine: Engine) -> Iterator[Path]:
    """A volume for the receiver's state; all containers end before it does."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    os.chown(directory, UID, UID)
    yield directory
    engine.podman("rm", "--all", "--force", "--time", "5")


async def start_receiver(engine: Engine, image: str, data: Path) -> None:
    service = compose.services()["receiver"]
    options = [*compose.confinement(service), f"--volume={data}:/var/lib/mailfault"]
    words = [word.replace("//nats:", "//127.0.0.1:") for word in service["command"]]
    await asyncio.to_thread(engine.start, image, "receiver", *options, command=words)
    await until_healthy(engine, "receiver")


async def until_healthy(engine: Engine, name: str, seconds: float = 90) -> None:
    """By the image's own health check."""
    async with asyncio.timeout(seconds):
        while True:
            command = engine.command("healthcheck", "run", name, network=True)
            asked = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
            )
            if await asked.wait() == 0:
                return
            assert engine.inspect(name)["State"]["Running"], engine.podman("logs", name)
            await asyncio.sleep(0.2)


async def events(engine: Engine, image: str, count: int) -> list[dict[str, object]]:
    """As the image's own `mailfault tail` shows them."""
    types = ("--type=reject", "--type=deferred", "--type=bounced")
    options = ("run", "--name=tail", *RUN, image, "tail", "--since=1h", "--json", *types)
    tail = await Child.start(*engine.command(*options, network=True))
    found: list[dict[str, object]] = []
    async with asyncio.timeout(90):
        async for line in tail.follow():
            if line.startswith("{"):
                found.append(json.loads(line))
            if len(found) == count:
                break
    await asyncio.to_thread(engine.podman, "kill", "--signal=INT", "tail")
    assert await tail.ended() == 0
    return found


def send(engine: Engine, transport: str, data: bytes) -> None:
    command = engine.inside(sys.executable, "-c", _SEND, transport)
    subprocess.run(command, input=data, check=True, timeout=60)


async def test_the_receiver(engine: Engine, receiver_image: str, data: Path) -> None:
    async with nats_inside(engine, data.parent / "js"):
        await start_receiver(engine, receiver_image, data)
        send(engine, "udp", lines.numbered(1))
        send(engine, "tcp", lines.numbered(2) + b"\n")
        found = await events(engine, receiver_image, 2)
        assert {event["recipient"] for event in found} == {
            "v1@other.example",
            "v2@other.example",
        }

        of_all = engine.podman("exec", "receiver", "sh", "-c", "cat /proc/[0-9]*/status")
        for what, value in {"Uid": "10001", "Gid": "10001"}.items():
            owners = re.findall(rf"^{what}:\t(\d+)\t(\d+)\t(\d+)\t(\d+)$", of_all, re.MULTILINE)
            assert {number for owner in owners for number in owner} == {value}
        assert set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\t(\w+)$", of_all, re.MULTILINE)) == {"0" * 16}
        assert set(re.findall(r"^NoNewPrivs:\t(\d)$", of_all, re.MULTILINE)) == {"1"}

        engine.podman("stop", "--time", "30", "receiver")
        assert engine.inspect("receiver")["State"]["ExitCode"] == 0
    assert set(os.listdir(data)) >= {"spool", "correlation.snapshot"}
    # Of the image itself nothing was changed: what is listed are places to mount on.
    changed = engine.podman("diff", "receiver").split("\n")
    assert [line for line in changed if line.startswith("C /var/lib/mailfault/")] == []
    assert [line for line in changed if re.match(r"[AD] /(opt|usr|var|tmp)", line)] == []


async def test_the_image_holds_what_it_needs(engine: Engine, receiver_image: str) -> None:
    base, image = (int(engine.inspect(name)["Size"]) for name in (BASE, receiver_image))
    assert image - base < MAX_ADDED_BYTES
    history = engine.podman("history", "--no-trunc", receiver_image)
    assert "pip.conf" not in history, "of the stage that builds"
    shell = ("run", "--rm", *RUN, "--entrypoint=sh", receiver_image, "-c")
    look = "ls -d /run/secrets /src /build /wheels /opt/mailfault/bin/pip* 2>/dev/null; echo end"
    assert engine.podman(*shell, look) == "end\n"
    writable = "find / -xdev -writable ! -type l ! -path '/proc/*' ! -path '/dev/*' -print"
    places = engine.podman(*shell, f"{writable} 2>/dev/null || true").split()
    assert [place for place in places if place not in ("/tmp", "/var/tmp", "/run/lock")] == [
        "/var/lib/mailfault"
    ]


async def test_the_failing_postfix(
    engine: Engine, receiver_image: str, postfix_image: str, data: Path
) -> None:
    """Its entry point, rsyslog and Postfix: what a round of mail is said to become, it becomes."""
    service = compose.services()["postfix"]
    async with nats_inside(engine, data.parent / "js"):
        await start_receiver(engine, receiver_image, data)
        await asyncio.to_thread(
            engine.start,
            postfix_image,
            "postfix",
            *compose.confinement(service),
            "--env=MAILFAULT_HOST=127.0.0.1",
        )
        await until_healthy(engine, "postfix")
        found = await events(engine, receiver_image, len(FAILURES))
        said = {
            failure(event["event_type"], event["recipient"], event["category"]) for event in found
        }
        assert said == FAILURES
        engine.podman("stop", "--time", "20", "postfix")
        assert engine.inspect("postfix")["State"]["ExitCode"] == 0
