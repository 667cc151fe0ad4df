"""`deploy/systemd/`: what systemd itself says of the units, and what becomes of them under it."""

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests import sample_lines as lines
from tests.deploy.booted import SHIPPED, Booted, boot
from tests.e2e.packages import require_program, require_root
from tests.e2e.subscriber import Subscriber
from tests.listeners.certificates import Site
from tests.nats_server import real_nats
from tests.ports import free_port

pytestmark = pytest.mark.e2e

EXPOSURE = 2.5
"""Of ten, as `systemd-analyze security` counts; less is better."""
_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "systemctl": "systemd",
    "nsenter": "util-linux",
}
_ENABLED = {"udp": "ListenDatagram", "tcp": "ListenStream", "tls": "ListenStream"}
_MOST = 150
"""Datagrams in all: so many fit into a buffer that may not be made larger here."""
_TRANSPORTS = ("udp", "tcp", "tls", "relp", "relp-tls")


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """All of them, with the example of credentials, and a program that is there."""
    drop_in = tmp_path / "mailfault.service.d"
    drop_in.mkdir()
    shutil.copy(SHIPPED / "credentials.conf", drop_in)
    for shipped in (*SHIPPED.glob("*.service"), *SHIPPED.glob("*.socket")):
        text = shipped.read_text(encoding="utf-8")
        text = text.replace("=/opt/mailfault/bin/mailfault ", "=/bin/true ")
        (tmp_path / shipped.name).write_text(text, encoding="utf-8")
    assert {f"mailfault-{name}.socket" for name in _TRANSPORTS} <= set(os.listdir(tmp_path))
    return sorted(path for path in tmp_path.iterdir() if path.is_file())


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = require_program("systemd-analyze", "systemd")
    return subprocess.run(
        [program, "--no-pager", *arguments], capture_output=True, text=True, check=False
    )


def test_systemd_has_nothing_to_say(units: list[Path]) -> None:
    done = analyze("verify", *units)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_says_what_is_wrong(units: list[Path]) -> None:
    (service,) = (unit for unit in units if unit.name == "mailfault.service")
    text = service.read_text(encoding="utf-8")
    service.write_text(text.replace("WatchdogSec=30", "WatchdogSec=often"), encoding="utf-8")
    assert "often" in analyze("verify", *units).stderr


def test_its_exposure(units: list[Path]) -> None:
    (service,) = (unit for unit in units if unit.name == "mailfault.service")
    done = analyze("security", "--offline=yes", service)
    found = re.search(r"Overall exposure level for mailfault\.service: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= EXPOSURE


def test_the_names_of_sockets_are_those_of_listeners() -> None:
    for name in _TRANSPORTS:
        text = (SHIPPED / f"mailfault-{name}.socket").read_text(encoding="utf-8")
        kind = "ListenDatagram" if name == "udp" else "ListenStream"
        assert f"\nFileDescriptorName={name}\n" in text
        assert re.search(rf"^{kind}=\d+$", text, re.MULTILINE)
        assert "\nService=mailfault.service\n" in text


@pytest.mark.timeout(400)
async def test_under_systemd(tmp_path: Path) -> None:
    """Started by its sockets, reloaded, restarted, hanging: no line is lost. TLS with certificates
    from credentials shows that the hardening lets it do all it does."""
    require_root("a container with systemd is started by root")
    for program, package in _PROGRAMS.items():
        require_program(program, package)
    ports = {name: free_port() for name in ("udp", "tcp", "tls", "http")}
    site = Site.build(tmp_path / "certificates")
    secrets = {
        "cert.pem": site.server.cert_file.read_text(),
        "key.pem": site.server.key_file.read_text(),
        "ca.pem": site.authority.cert_file.read_text(),
        "nats.password": "secret",
    }
    rights = {"user": "mailfault", "password": "secret"}
    async with (
        real_nats(tmp_path / "nats", authorization=rights) as server,
        boot(tmp_path / "root", drop_ins(ports, server.port, [*secrets]), secrets) as booted,
    ):
        subscriber = await Subscriber.start(f"nats://mailfault:secret@127.0.0.1:{server.port}")
        await drive(booted, ports, site, subscriber)
        await subscriber.stop()


def drop_ins(ports: dict[str, int], nats_port: int, secrets: list[str]) -> dict[str, str]:
    """What an operator would change, by unit."""
    made = {
        f"mailfault-{name}.socket": f"[Socket]\n{kind}=\n{kind}=127.0.0.1:{ports[name]}\n"
        for name, kind in _ENABLED.items()
    }
    settings = {
        "HTTP__LISTEN": f"127.0.0.1:{ports['http']}",
        "NATS__SERVERS": f"nats://127.0.0.1:{nats_port}",
        "ROLLUP__ENABLED": "false",
        "NATS__USER": "mailfault",
        "NATS__PASSWORD_FILE": "%d/nats.password",
        "TLS__CERT_FILE": "%d/cert.pem",
        "TLS__KEY_FILE": "%d/key.pem",
        "TLS__CA_FILE": "%d/ca.pem",
        "TLS__AUTH_MODE": "x509/name",
        "TLS__PERMITTED_PEERS": "mx1.example.net",
    }
    made["mailfault.service"] = "\n".join(
        [
            "[Service]",
            *(f"LoadCredential={name}:/etc/mailfault/{name}" for name in secrets),
            *(f"Environment=MAILFAULT_{name}={value}" for name, value in settings.items()),
            # Sooner than as shipped, so that the test need not wait for long.
            "WatchdogSec=10",
            "TimeoutAbortSec=5",
        ]
    )
    return made


async def drive(booted: Booted, ports: dict[str, int], site: Site, subscriber: Subscriber) -> None:
    sent = 0

    def numbered() -> bytes:
        nonlocal sent
        sent += 1
        return lines.numbered(sent)

    async def all_came() -> None:
        await subscriber.until(lambda event: True, sent)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", ports["udp"]))
        enabled = [f"mailfault-{name}.socket" for name in _ENABLED]
        await booted.systemctl("enable", "--now", *enabled)
        assert await booted.show("ActiveState") == ["inactive"]
        udp.send(numbered())  # which starts it
        await booted.until("ActiveState", "active")
        await booted.until("StatusText", "ready; NATS connected; 0 events wait")
        await all_came()

        with socket.create_connection(("127.0.0.1", ports["tcp"])) as tcp:
            tcp.sendall(numbered() + b"\n")
        context = ssl.create_default_context(cafile=site.authority.cert_file)
        context.load_cert_chain(site.client.cert_file, site.client.key_file)
        await send_tls(context, ports["tls"], numbered() + b"\n")
        await all_came()

        (pid,) = await booted.show("MainPID")
        await booted.systemctl("reload", "mailfault.service")
        await booted.until("ActiveState", "active")
        assert '"event": "reloaded"' in await booted.journal()
        assert await booted.show("MainPID", "NRestarts") == [pid, "0"]

        restarting = asyncio.create_task(booted.systemctl("restart", "mailfault.service"))
        while not restarting.done():
            if sent < _MOST:
                udp.send(numbered())
            await asyncio.sleep(0.02)
        await restarting
        assert await booted.show("MainPID") != [pid]
        await all_came()
        assert not subscriber.copies

        (pid,) = await booted.show("MainPID")
        await booted.run("kill", "-STOP", pid)
        udp.send(numbered())
        await booted.until("NRestarts", "1")
        await booted.until("ActiveState", "active")
        await all_came()
        assert "Watchdog timeout" in await booted.journal()

        await booted.systemctl("stop", *enabled, "mailfault.service")
        assert await booted.show("ActiveState", "Result") == ["inactive", "success"]
        found = await booted.run("stat", "--format=%U %a", "/var/lib/mailfault")
        assert found == "mailfault 750\n"
    # Killed before its spool knew what was acknowledged, it publishes that again: stored once.
    await subscriber.assert_all_stored()


async def send_tls(context: ssl.SSLContext, port: int, data: bytes) -> None:
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="receiver.example.net"
    )
    writer.write(data)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
