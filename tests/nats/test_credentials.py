"""Who we are to real servers, and that a renewed secret is read anew."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.nats.answer import Published
from service.nats.config import NatsConfig
from tests.nats.identities import Identity, Operator, only
from tests.nats.waiting import until
from tests.nats.world import attached, envelope, last_error_of, world
from tests.nats_server import real_nats


@pytest.mark.parametrize("from_file", [False, True], ids=["value", "file"])
@pytest.mark.parametrize("way", ["password", "token", "nkey_seed"])
async def test_credentials_let_us_in(tmp_path: Path, way: str, from_file: bool) -> None:
    identity = Identity()
    secret = identity.seed if way == "nkey_seed" else "s3cret!"
    authorization = {
        "password": only({"user": "u", "password": secret}),
        "token": {"token": secret},
        "nkey_seed": only({"nkey": identity.public}),
    }[way]
    (tmp_path / "secret").write_text(f"{secret}\n")
    values: dict[str, Any] = {f"{way}_file": tmp_path / "secret"} if from_file else {way: secret}
    if way == "password":
        values["user"] = "u"
    async with real_nats(tmp_path, authorization=authorization) as server:
        config = NatsConfig.model_validate({"servers": [server.url], **values})
        async with attached(config) as here:
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)
            assert here.connection.last_error is None
        await last_error_of(NatsConfig(servers=[server.url]), "Authorization Violation")


async def test_a_creds_file_lets_us_in(tmp_path: Path) -> None:
    operator = Operator()
    file = tmp_path / "user.creds"
    file.write_text(operator.creds)
    async with real_nats(tmp_path, **operator.server_settings) as server:
        async with attached(NatsConfig(servers=[server.url], creds_file=file)) as here:
            assert here.connection.is_connected
        file.write_text(Operator().creds)  # of somebody else
        await last_error_of(
            NatsConfig(servers=[server.url], creds_file=file), "Authorization Violation"
        )


async def test_userinfo_in_the_url_lets_us_in_and_is_not_logged(tmp_path: Path) -> None:
    async with real_nats(tmp_path, authorization=only({"user": "u", "password": "s3cret"})) as s:
        with capture_logs() as logs:
            async with attached(NatsConfig(servers=[s.url.replace("//", "//u:s3cret@")])) as here:
                await s.kill()
                await here.until(lambda world: not world.publisher.is_attached)
                await until(lambda: "refused" in (here.connection.last_error or ""))
    assert any(entry["event"] == "nats_connected" for entry in logs)
    assert "s3cret" not in repr(logs)


async def test_a_wrong_password_is_told_and_tried_again_until_the_server_takes_it(
    tmp_path: Path,
) -> None:
    other, ours = ({"user": "u", "password": password} for password in ("other", "ours"))
    async with real_nats(tmp_path, authorization=only(other)) as server:
        config = NatsConfig(servers=[server.url], user="u", password="ours")
        async with world(config) as here:
            await until(lambda: "Authorization Violation" in (here.connection.last_error or ""))
            await server.stop()
            await server.start(authorization=only(ours))
            await here.until(lambda world: world.connection.last_error is None)
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)


async def test_a_secret_that_is_mounted_late_is_found(tmp_path: Path) -> None:
    file = tmp_path / "late"
    async with (
        real_nats(tmp_path, authorization={"token": "t0ken"}) as server,
        world(NatsConfig(servers=[server.url], token_file=file)) as here,
    ):
        await until(lambda: here.connection.last_error is not None)
        assert here.connection.last_error == f"nats.token_file: {file}: No such file or directory"
        file.write_text("t0ken\n")
        await here.until(lambda world: world.publisher.is_attached)


async def test_a_secret_rotated_while_the_server_is_away_is_read_anew(tmp_path: Path) -> None:
    """nats-py repeats its first attempt for two minutes with what it was given at first."""
    file = tmp_path / "token"
    file.write_text("old")
    async with (
        real_nats(tmp_path, authorization={"token": "old"}) as server,
        attached(NatsConfig(servers=[server.url], token_file=file)) as here,
    ):
        await server.kill()
        await until(lambda: "refused" in (here.connection.last_error or ""))
        file.write_text("new")
        await server.start(authorization={"token": "new"})
        await here.until(lambda world: world.publisher.is_attached, 10)
