"""What one end-to-end test stands in: a nats-server, the receiver, a subscriber, rsyslogds."""

import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.e2e.packages import require_program, require_rsyslog_module
from tests.e2e.receiver import Receiver
from tests.e2e.rsyslog import Form, Rsyslogd
from tests.e2e.subscriber import Subscriber


@dataclass
class House:
    directory: Path
    """Short enough for UNIX sockets, readable for Postfix's own user."""
    nats_url: str
    subscriber: Subscriber
    cleanup: AsyncExitStack = field(repr=False)
    _receiver: Receiver | None = None
    _others: int = 0

    @property
    def receiver(self) -> Receiver:
        assert self._receiver is not None, "none was started"
        return self._receiver

    async def start_receiver(self, env: Mapping[str, str] = MappingProxyType({})) -> Receiver:
        """Stopped with the house, if not before."""
        return await self._start(MappingProxyType({}), env)

    async def rsyslogd(self, form: Form, port: int) -> Rsyslogd:
        """Sending to `port` of this host; stopped with the house."""
        program = require_program("rsyslogd", "rsyslog")
        if form.is_relp:
            require_rsyslog_module("omrelp", "rsyslog-relp")
        rsyslogd = await Rsyslogd.start(program, self.directory, form, port)
        self.cleanup.push_async_callback(rsyslogd.stop)
        return rsyslogd

    async def restart_receiver(self) -> None:
        """A new one on the same TCP and RELP ports; the old one must have been stopped."""
        await self._start(self.receiver.ports, MappingProxyType({}))

    async def start_another_receiver(self) -> None:
        """With data of its own, on the ports of one that is gone."""
        self._others += 1
        await self._start(self.receiver.ports, MappingProxyType({}), f"data{self._others}")

    async def _start(
        self, ports: Mapping[str, int], env: Mapping[str, str], data: str = "data"
    ) -> Receiver:
        receiver = await Receiver.start(self.directory / data, self.nats_url, ports, env)
        self.cleanup.push_async_callback(receiver.child.stop)
        self._receiver = receiver
        return receiver


async def build(cleanup: AsyncExitStack, nats_url: str) -> House:
    """Still without a receiver. Everything started here is stopped by `cleanup`, last first."""
    require_program("rsyslogd", "rsyslog")  # before anything is started for nothing
    directory = _directory(cleanup)
    subscriber = await Subscriber.start(nats_url)
    cleanup.push_async_callback(subscriber.stop)
    return House(directory, nats_url, subscriber, cleanup)


def _directory(cleanup: AsyncExitStack) -> Path:
    # Not pytest's: its path is long, and only its owner may enter it. What a test failed over is
    # in the assertion; the files are not worth keeping.
    made = tempfile.TemporaryDirectory(prefix="mailfault-", ignore_cleanup_errors=True)
    directory = Path(cleanup.enter_context(made))
    directory.chmod(0o755)
    return directory
