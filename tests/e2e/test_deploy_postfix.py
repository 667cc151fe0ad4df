"""The failing Postfix of the compose file, `deploy/postfix/`: its own configuration, neighbours and
script, run here in a private tree. What one round of mail is said to become, it becomes."""

import asyncio
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.e2e.child import Child
from tests.e2e.house import House
from tests.e2e.packages import require_program
from tests.e2e.postfix import (
    Postfix,
    config_directory,
    own_places,
    require_postfix,
)
from tests.e2e.round_of_mail import FAILURES, failure
from tests.e2e.rsyslog import Form
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SOURCE = Path(__file__).parents[2] / "deploy" / "postfix"
PORTS = ("25", "2525", "2526", "2527")
"""As the files have them; each becomes a free one."""

_SINK = re.compile(r"^smtp-sink (.*) 127\.0\.0\.1:(\d+) 10 &$", re.MULTILINE)


def files(directory: Path, ports: dict[str, int]) -> dict[str, str]:
    texts = {
        name: (SOURCE / name).read_text(encoding="utf-8")
        for name in ("main.cf", "master.cf", "header_checks")
    }
    config = str(config_directory(directory))
    texts["main.cf"] = texts["main.cf"].replace("/etc/postfix", config)
    for port in PORTS[1:]:
        texts["main.cf"] = texts["main.cf"].replace(f"]:{port} ", f"]:{ports[port]} ")
    texts["main.cf"] += own_places(directory)
    texts["master.cf"] = re.sub(
        r"^smtp +inet", f"127.0.0.1:{ports['25']} inet", texts["master.cf"], flags=re.MULTILINE
    )
    return texts


async def start_neighbours(house: House, ports: dict[str, int]) -> None:
    """The commands of entrypoint.sh, on other ports."""
    script = (SOURCE / "entrypoint.sh").read_text(encoding="utf-8").replace("\\\n", "")
    sinks = _SINK.findall(script)
    assert [port for _, port in sinks] == ["2525", "2526"]
    program = require_program("smtp-sink", "postfix")
    for options, port in sinks:
        address = f"127.0.0.1:{ports[port]}"
        sink = await Child.start(program, *shlex.split(options), address, "10")
        house.cleanup.push_async_callback(sink.stop)


async def test_one_round_fails_as_it_says(house: House) -> None:
    require_postfix()
    ports = {port: free_port() for port in PORTS}
    rsyslogd = await house.rsyslogd(
        Form("tcp", "50-mailfault-tcp.conf"), house.receiver.ports["tcp"]
    )
    await start_neighbours(house, ports)
    directory = house.directory / "postfix"
    postfix = await Postfix.start(directory, rsyslogd, files(directory, ports), ports)
    house.cleanup.push_async_callback(postfix.stop)

    script = (SOURCE / "fail-mail.sh").read_text(encoding="utf-8")
    assert script.count("127.0.0.1:25 ") == 1
    script = script.replace("127.0.0.1:25 ", f"127.0.0.1:{ports['25']} ")
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    round_of_mail = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", script, env={"PATH": path, "MAIL_CONFIG": str(postfix.config)}
    )
    assert await round_of_mail.wait() == 0

    events = await house.subscriber.until(lambda event: True, count=len(FAILURES))
    said = {failure(event.event_type, event.recipient, event.category) for event in events}
    assert said == FAILURES


@pytest.mark.parametrize("name", ["entrypoint.sh", "fail-mail.sh"])
def test_the_scripts_can_be_run(name: str) -> None:
    script = SOURCE / name
    assert os.access(script, os.X_OK)
    done = subprocess.run(["/bin/sh", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
