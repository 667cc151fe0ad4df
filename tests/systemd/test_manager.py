"""What the service manager hears, on a real UNIX socket."""

import asyncio
import os
import socket
import time

import pytest
from structlog.testing import capture_logs

from service.systemd.manager import ServiceManager
from tests.systemd.manager import listening_to


async def test_what_is_told() -> None:
    async with listening_to() as (told, path):
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
        manager = ServiceManager(environ)
        assert environ == {"HOME": "/"}
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        manager.ready()
        manager.reloading()
        manager.status("two\nlines")
        manager.status("two\nlines")
        manager.stopping()
        assert await told.next("READY") == "READY=1"
        reloading, moment = (await told.next("")).split("\nMONOTONIC_USEC=")
        assert reloading == "RELOADING=1"
        assert before <= int(moment) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert await told.next("") == "STATUS=two lines"
        assert await told.next("") == "STOPPING=1"
        assert told.is_silent()


async def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")  # the kernel chooses a name
        name = sock.getsockname()[1:].decode()
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert sock.recv(100) == b"READY=1"


async def test_nobody_asked() -> None:
    with capture_logs() as logs:
        manager = ServiceManager({})
        manager.ready()
        await manager.run(lambda: "ends at once")
    assert logs == []


async def test_a_manager_that_has_gone_costs_a_warning() -> None:
    async with listening_to() as (_, path):
        manager = ServiceManager({"NOTIFY_SOCKET": path})
    with capture_logs() as logs:
        manager.ready()
    assert [(entry["event"], entry["message"]) for entry in logs] == [
        ("service_manager_not_told", "READY")
    ]


async def test_the_watchdog_hears_as_long_as_the_loop_turns() -> None:
    async with listening_to() as (told, path):
        manager = ServiceManager(
            {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())}
        )
        telling = asyncio.create_task(manager.run(lambda: "well"))
        began = asyncio.get_running_loop().time()
        for _ in range(5):
            assert await told.next("WATCHDOG") == "WATCHDOG=1"
        took = asyncio.get_running_loop().time() - began
        assert took >= 4 * 0.05 - 1e-6, "each half of the time it has"  # floats are added up
        while not told.is_silent():
            pass
        time.sleep(0.3)  # noqa: ASYNC251  # a loop that hangs: nothing may be said meanwhile
        assert told.is_silent()
        assert await told.next("WATCHDOG") == "WATCHDOG=1"
        telling.cancel()
        assert told.messages.count("STATUS=well") == 1


@pytest.mark.parametrize("asked", [{"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}, {}])
async def test_a_watchdog_that_nobody_asked_for(asked: dict[str, str]) -> None:
    async with listening_to() as (told, path):
        manager = ServiceManager({"NOTIFY_SOCKET": path, **asked})
        said = asyncio.Event()

        def status() -> str:
            said.set()
            return "well"

        telling = asyncio.create_task(manager.run(status))
        await said.wait()
        telling.cancel()
        await asyncio.wait([telling])
        assert await told.next("") == "STATUS=well"
        assert told.is_silent()
