"""SIGHUP: what a receiver takes over while it serves, and what it refuses."""

import asyncio
import signal
import ssl
import time
from pathlib import Path

import schemas
from tests import sample_lines as lines
from tests.listeners.certificates import Identity, Site
from tests.metric_values import assert_balanced, value
from tests.nats_server import client_of, real_nats
from tests.serve import NOWHERE, serve


class TestReloading:
    CONFIG = '[log]\nlevel = "{level}"\n[queue]\nmax_events = {room}\n'

    async def test_certificates_are_taken_over(self, tmp_path: Path) -> None:
        site = Site.build(tmp_path / "certificates")
        config = tmp_path / "c.toml"

        def write(server: Identity, peer: str, ca_file: Path, frames: int = 65536) -> None:
            config.write_text(
                f'[tls]\nlisten = ["127.0.0.1:0"]\nca_file = "{ca_file}"\n'
                f'cert_file = "{server.cert_file}"\nkey_file = "{server.key_file}"\n'
                f'auth_mode = "x509/name"\npermitted_peers = ["{peer}"]\n'
                f"max_frame_bytes = {frames}\n"
            )

        async def shown() -> bytes:
            _, writer = await asyncio.open_connection(
                *receiver.address("tls"), ssl=context, server_hostname="receiver.example.net"
            )
            writer.write(lines.BOUNCED + b"\n")
            certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
            writers.append(writer)
            return certificate

        authority = site.authority.cert_file
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(site.client.cert_file, site.client.key_file)
        writers: list[asyncio.StreamWriter] = []
        write(site.server, "mx1.example.net", authority)
        nats_options = ("--nats", NOWHERE, "--config", str(config))
        async with serve(tmp_path, *nats_options) as receiver:
            assert await shown() == site.server.der
            await receiver.until("frames_received_total", 1, transport="tls")

            renewed = site.issue("receiver.example.net")
            write(renewed, "mx*.example.net", authority)
            receiver.process.send_signal(signal.SIGHUP)
            assert (await receiver.said("reloaded"))["needs_restart"] == []
            assert await shown() == renewed.der

            write(site.server, "mx1.example.net", tmp_path / "gone.pem")
            receiver.process.send_signal(signal.SIGHUP)
            [problem] = (await receiver.said("reload_refused"))["problems"]
            assert problem.startswith("tls.ca_file: ")
            assert await shown() == renewed.der

            write(renewed, "mx*.example.net", authority, frames=1000)
            receiver.process.send_signal(signal.SIGHUP)
            assert (await receiver.said("reloaded", 2))["needs_restart"] == ["tls"]

            writers[0].write(lines.REJECT + b"\n")
            text = await receiver.until("frames_received_total", 4, transport="tls")
            assert value(text, "connections", transport="tls") == 3
            assert value(text, "tls_certificate_expiry_timestamp_seconds") > time.time()
            assert_balanced(text)
            for writer in writers:
                writer.close()

    async def test_good_and_bad(self, tmp_path: Path) -> None:
        config = tmp_path / "c.toml"
        config.write_text(self.CONFIG.format(level="info", room=10))
        nats_options = ("--nats", NOWHERE, "--config", str(config))
        async with serve(tmp_path, *nats_options) as receiver:
            config.write_text(self.CONFIG.format(level="info", room=20))
            receiver.process.send_signal(signal.SIGHUP)
            assert (await receiver.said("reloaded"))["needs_restart"] == ["queue"]

            config.write_text(self.CONFIG.format(level="loud", room=0))
            receiver.process.send_signal(signal.SIGHUP)
            refused = await receiver.said("reload_refused")
            assert [problem.partition(":")[0] for problem in refused["problems"]] == [
                "queue.max_events",
                "log.level",
            ]

            config.write_text(self.CONFIG.format(level="info", room=10))
            receiver.process.send_signal(signal.SIGHUP)
            assert (await receiver.said("reloaded", 2))["needs_restart"] == []

            # The level is taken over: stopping in good order is no error, and not told.
            config.write_text(self.CONFIG.format(level="error", room=10))
            receiver.process.send_signal(signal.SIGHUP)
            # An answer takes several turns of the loop, which has seen the signal by then.
            assert (await receiver.get("/livez"))[0] == 200
            assert await receiver.stop() == 0
        assert "stopping" not in [event["event"] for event in receiver.log]

    async def test_rules_are_taken_over(self, tmp_path: Path) -> None:
        rules = tmp_path / "rules.toml"
        rule = (
            '[[rule]]\nid = "ours.zork"\nany = "zork"\ncategory = "timeout"\nscope = "local"\n'
            'source = "us"\n[[provider]]\nname = "ours"\nhosts = ["example.net"]\n'
        )
        config = tmp_path / "c.toml"
        config.write_text("")
        sent = iter(range(100))

        async def classified() -> tuple[str | None, ...]:
            number = next(sent)
            line = lines.UNCLASSIFIED.replace(b"gone@", b"gone%d@" % number)
            await receiver.send_tcp(line + b"\n")
            event = schemas.decode((await events.next_msg(timeout=20)).data)
            assert event.recipient == f"gone{number}@Example.NET"
            return event.category, event.scope, event.provider

        async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
            options = ("--nats", server.url, "--config", str(config))
            events = await client.subscribe("postfix.>")
            async with serve(tmp_path, *options) as receiver:
                assert await classified() == ("other", "unknown", None)

                rules.write_text(rule)
                config.write_text(f'[classify]\nrules = ["{rules}"]\n')
                receiver.process.send_signal(signal.SIGHUP)
                assert (await receiver.said("reloaded"))["needs_restart"] == []
                assert await classified() == ("timeout", "local", "ours")

                rules.write_text(rule.replace("timeout", "timeuot"))
                receiver.process.send_signal(signal.SIGHUP)
                (problem,) = (await receiver.said("reload_refused"))["problems"]
                assert problem == (
                    f"{rules}: rule ours.zork: category: 'timeuot' is not known; "
                    "did you mean timeout?"
                )
                assert await classified() == ("timeout", "local", "ours")

                rules.write_text(rule.replace('"zork"', '"never said"'))
                receiver.process.send_signal(signal.SIGHUP)
                await receiver.said("reloaded", 2)
                assert await classified() == ("other", "unknown", "ours")
                text = await receiver.metrics()
                assert value(text, "unclassified_total", provider="none") == 1
                assert value(text, "unclassified_total", provider="ours") == 1
                assert_balanced(text)
