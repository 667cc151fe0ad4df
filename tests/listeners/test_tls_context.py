"""Settings and files of TLS: what does not fit, what cannot be used, and new ones under way."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.listeners.tls_context import ServerTls, TlsError, prepare
from service.metrics import Metrics
from tests.fakes import FakeIntake
from tests.listeners.certificates import Site, make
from tests.listeners.tls_senders import (
    NAMES,
    PRINTS,
    client_context,
    configured,
    connect,
    is_refused,
    listening,
    send,
)


async def test_reload_under_an_open_connection(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    tls = ServerTls(configured(site))
    async with listening(site, intake, metrics, tls) as listener:
        context = client_context(site, site.client)
        _, before = await connect(listener, context)
        before.write(b"<22>one\n")
        await intake.until(lambda seen: len(seen.frames) == 1)

        renewed = site.issue("receiver.example.net")
        new = {"cert_file": renewed.cert_file, "key_file": renewed.key_file}
        tls.swap(prepare(configured(site, **new, **NAMES)))
        _, after = await connect(listener, context)
        shown = after.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert shown == renewed.der
        await is_refused(listener, client_context(site, site.issue("mx2.example.net")))

        before.write(b"<22>two\n")
        after.write(b"<22>three\n")
        await intake.until(lambda seen: len(seen.frames) == 3)
        for writer in (before, after):
            writer.close()
            await writer.wait_closed()


async def test_a_bad_reload_changes_nothing(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    tls = ServerTls(configured(site))
    async with listening(site, intake, metrics, tls) as listener:
        with pytest.raises(TlsError, match="no key of"):
            prepare(configured(site, key_file=site.client.key_file, ca_file=site.home / "gone"))
        await send(listener, client_context(site, site.client), b"<22>line\n")
        await intake.until(lambda seen: len(seen.frames) == 1)


BAD_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"cert_file": None}, "cert_file and key_file are needed"),
    ({"ca_file": None}, "ca_file is needed with auth_mode x509/certvalid"),
    ({"auth_mode": "anon", "ca_file": "ca.pem"}, "ca_file means nothing with auth_mode anon"),
    ({"auth_mode": "x509/name"}, "permitted_peers is needed with auth_mode x509/name"),
    ({"permitted_peers": ["a.b"]}, "permitted_peers means nothing with auth_mode x509/certvalid"),
    ({"auth_mode": "x509/fingerprint"}, "permitted_peers is needed"),
    ({**PRINTS, "permitted_peers": "SHA1:" + "AB:" * 19 + "AB"}, "SHA1 can be forged"),
    ({**PRINTS, "permitted_peers": "mx1.example.net"}, "a name needs auth_mode x509/name"),
    ({**NAMES, **{"permitted_peers": PRINTS["permitted_peers"]}}, "x509/fingerprint"),
    ({**NAMES, "permitted_peers": "a*b.example.net"}, "is no host name"),
    ({"key_password": "a", "key_password_file": "b"}, "not both"),
]


@pytest.mark.parametrize(("config", "told"), BAD_SETTINGS)
def test_settings_that_do_not_fit_together(site: Site, config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        configured(site, **config)


@pytest.mark.parametrize("setting", ["cert_file", "key_file", "ca_file"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA"])
def test_files_that_cannot_be_used_are_named(
    site: Site, tmp_path: Path, setting: str, content: bytes | None
) -> None:
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TlsError, match=f"{setting}: {file}: "):
        ServerTls(configured(site, **{setting: file}))


def test_an_encrypted_key(site: Site, tmp_path: Path) -> None:
    server = make(tmp_path, "receiver.example.net", issuer=site.authority, password="hush")
    files = {"cert_file": server.cert_file, "key_file": server.key_file}
    ServerTls(configured(site, **files, key_password="hush"))
    password_file = tmp_path / "password"
    password_file.write_text("hush\n")
    ServerTls(configured(site, **files, key_password_file=password_file))
    for password in ({}, {"key_password": "wrong"}):
        with pytest.raises(TlsError, match="key_file"):
            ServerTls(configured(site, **files, **password))
