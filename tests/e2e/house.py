"""What one end-to-end test stands in: a nats-server, the receiver, a subscriber, rsyslogds."""

import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

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
    receiver: Receiver
    cleanup: AsyncExitStack = field(repr=False)

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
        self.receiver = await Receiver.start(
            self.directory / "data", self.nats_url, self.receiver.ports
        )
        self.cleanup.push_async_callback(self.receiver.child.stop)


async def build(cleanup: AsyncExitStack, nats_url: str) -> House:
    """Everything started here is stopped by `cleanup`, last first."""
    require_program("rsyslogd", "rsyslog")  # before anything is started for nothing
    directory = _directory(cleanup)
    subscriber = await Subscriber.start(nats_url)
    cleanup.push_async_callback(subscriber.stop)
    receiver = await Receiver.start(directory / "data", nats_url)
    cleanup.push_async_callback(receiver.child.stop)
    return House(directory, nats_url, subscriber, receiver, cleanup)


def _directory(cleanup: AsyncExitStack) -> Path:
    # Not pytest's: its path is long, and only its owner may enter it. What a test failed over is
    # in the assertion; the files are not worth keeping.
    made = tempfile.TemporaryDirectory(prefix="mailfault-", ignore_cleanup_errors=True)
    directory = Path(cleanup.enter_context(made))
    directory.chmod(0o755)
    return directory
