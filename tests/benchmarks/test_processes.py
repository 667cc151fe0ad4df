"""Real processes: ready when they say so, killed and started again, their last words kept."""

import sys
from pathlib import Path

import nats
import pytest

from benchmarks.processes import NatsServer, Process, ProcessError, Service


async def test_nats_server_keeps_port_and_store_over_a_kill(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    await server.start()
    await server.wait_until_ready()
    assert server.port > 0
    client = await nats.connect(server.url)
    context = client.jetstream()
    await context.add_stream(name="POSTFIX", subjects=["postfix.>"])
    await context.publish("postfix.reject.mx1", b"{}")
    await client.close()
    assert await server.kill() == -9
    assert not server.is_alive

    again = NatsServer(tmp_path, port=server.port)
    await again.start()
    await again.wait_until_ready()
    client = await nats.connect(server.url)
    assert (await client.jetstream().stream_info("POSTFIX")).state.messages == 1
    await client.close()
    await again.stop()


class NeverReady(Process):
    @property
    def is_ready(self) -> bool:
        return False


async def test_a_process_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    program = "import sys; print('no such listener', file=sys.stderr); sys.exit(78)"
    process = NeverReady("victim", [sys.executable, "-c", program], tmp_path)
    await process.start()
    with pytest.raises(ProcessError, match=r"victim did not come up(?s:.)*no such listener"):
        await process.wait_until_ready()
    assert await process.stop() == 78


async def test_stop_asks_and_gets_the_exit_status(tmp_path: Path) -> None:
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "print('up', file=sys.stderr, flush=True)\n"
        "signal.pause()"
    )

    class Obedient(Process):
        @property
        def is_ready(self) -> bool:
            return "up" in self.last_words

    process = Obedient("obedient", [sys.executable, "-c", program], tmp_path)
    await process.start()
    await process.wait_until_ready()
    assert process.is_alive
    assert await process.stop() == 3


def test_service_log_is_read(tmp_path: Path) -> None:
    service = Service(tmp_path, "nats://127.0.0.1:4222", tmp_path)
    assert not service.is_ready
    for number, transport in enumerate(("tcp", "udp", "http")):
        service.hear(
            f'{{"event": "listening", "transport": "{transport}", "host": "127.0.0.1", '
            f'"port": {5000 + number}, "level": "info"}}'
        )
    assert service.is_ready
    assert service.listening["udp"] == ("127.0.0.1", 5001)
    service.hear("not json")
    service.hear("[1]")
    service.hear('{"event": "nats_reconnected", "level": "warning"}')
    assert service.errors == []
    service.hear('{"event": "bug", "level": "error"}')
    service.hear("Traceback (most recent call last):")
    assert len(service.errors) == 2
