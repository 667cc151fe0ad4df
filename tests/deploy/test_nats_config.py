"""`deploy/nats`: the real nats-server takes both files; what they allow is tested beside this."""

import subprocess
from pathlib import Path

import pytest

from service.nats.embedded import find_binary
from tests.deploy.guarded_nats import SERVER_FILE, write_configuration


@pytest.mark.parametrize("with_accounts", [False, True])
def test_the_server_takes_it(tmp_path: Path, with_accounts: bool) -> None:
    file = write_configuration(tmp_path) if with_accounts else SERVER_FILE
    done = subprocess.run(
        [find_binary(), "-t", "-c", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
