"""Postfix writes its log file itself (`maillog_file`), rsyslog reads it (imfile) and sends it by
`deploy/rsyslog/50-mailfault-maillog-file.conf`: also over the file's rotation, and what was written
while rsyslog was away."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas import Event
from tests.e2e.child import Child
from tests.e2e.house import House
from tests.e2e.packages import require_program
from tests.e2e.postfix import config_directory, lay_out, require_postfix
from tests.e2e.rsyslog import Form
from tests.e2e.smtp_client import connected
from tests.e2e.test_deploy_postfix import PORTS, files
from tests.metric_values import assert_balanced, value
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

_STARTED = re.compile(r"postfix/master\[(\d+)\]: daemon started ")


class LoggingPostfix:
    def __init__(self, config: Path, log: Path, port: int) -> None:
        self.config = config
        self.log = log
        self.port = port

    async def refuse(self, recipient: str) -> None:
        """One line that says that this recipient was refused."""
        async with connected(self.port) as client:
            await client.expect("250", "MAIL FROM:<>")
            await client.expect("554", f"RCPT TO:<{recipient}>")

    async def rotate(self) -> None:
        """As its manual has it for a file that it writes itself."""
        child = await Child.start(
            require_program("postfix", "postfix"), "-c", self.config, "logrotate"
        )
        assert await child.ended() == 0, child.output


@asynccontextmanager
async def logging_postfix(directory: Path) -> AsyncIterator[LoggingPostfix]:
    ports = {port: free_port() for port in PORTS}
    texts = files(directory, ports)
    log = directory / "postfix.log"
    texts["main.cf"] = texts["main.cf"].replace(
        "maillog_file = /dev/stdout", f"maillog_file = {log}\nmaillog_file_prefixes = {directory}"
    )
    lay_out(directory, texts)
    config = config_directory(directory)
    program = require_postfix()
    child = await Child.start(program, "-c", config, "start-fg", env={"TZ": "UTC"})
    try:
        while not (log.exists() and (started := _STARTED.search(log.read_text()))):
            assert child.returncode is None, child.output
            await asyncio.sleep(0.05)
    except BaseException:
        await child.stop()
        raise
    try:
        yield LoggingPostfix(config, log, ports["25"])
    finally:
        os.kill(int(started[1]), signal.SIGTERM)  # master ends its daemons itself
        await child.ended()


def form(postfix: LoggingPostfix) -> Form:
    return Form(
        "maillog-file",
        "50-mailfault-maillog-file.conf",
        (('file="/var/log/postfix.log"', f'file="{postfix.log}"'),),
    )


async def test_the_file_is_followed(house: House) -> None:
    require_postfix()
    async with logging_postfix(house.directory / "postfix") as postfix:
        port = house.receiver.ports["relp"]
        rsyslogd = await house.rsyslogd(form(postfix), port)
        await _refused_and_told(house, postfix, "first")

        await postfix.rotate()
        await _refused_and_told(house, postfix, "after-rotation")
        assert len(list(postfix.log.parent.glob("postfix.log*"))) == 2

        await rsyslogd.stop()
        await postfix.refuse("meanwhile@elsewhere.example")
        await house.rsyslogd(form(postfix), port)
        await house.subscriber.until(lambda event: _is_to(event, "meanwhile"))
        await _refused_and_told(house, postfix, "last")

    recipients = [arrival.event.recipient for arrival in house.subscriber.arrivals]
    assert sorted(str(recipient).partition("@")[0] for recipient in recipients) == [
        "after-rotation", "first", "last", "meanwhile",
    ]  # fmt: skip
    metrics = await house.receiver.metrics()
    assert_balanced(metrics)
    assert value(metrics, "frames_dropped_total") == 0
    assert value(metrics, "lines_skipped_total", reason="not_syslog") == 0
    assert value(metrics, "lines_skipped_total", reason="not_postfix") == 0


async def _refused_and_told(house: House, postfix: LoggingPostfix, name: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    await postfix.refuse(f"{name}@elsewhere.example")
    [event] = await house.subscriber.until(lambda event: _is_to(event, name))
    assert event.event_type == "reject"
    assert (event.mta.host, event.mta.service) == ("mx1", "postfix/smtpd")
    assert event.mta.pid
    assert event.mta.transport == "relp"
    assert before <= event.event_time <= datetime.now(UTC) + timedelta(seconds=1)


def _is_to(event: Event, name: str) -> bool:
    return event.recipient == f"{name}@elsewhere.example"
