"""The files in `deploy/rsyslog/`: rsyslogd accepts them, and they say what their heads promise."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.packages import require_program, require_rsyslog_module
from tests.e2e.rsyslog import SNIPPETS
from tests.listeners.certificates import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(360)]

FILES = sorted(SNIPPETS.glob("*.conf"))


def check(config: str, directory: Path) -> subprocess.CompletedProcess[str]:
    if "omrelp" in config:
        require_rsyslog_module("omrelp", "rsyslog-relp")
    if "gtls" in config:
        require_rsyslog_module("lmnsd_gtls", "rsyslog-gnutls")
    if "/etc/rsyslog.d/tls/" in config:
        site = Site.build(directory / "tls")
        for name, file in (
            ("ca.pem", site.authority.cert_file),
            ("cert.pem", site.client.cert_file),
            ("key.pem", site.client.key_file),
        ):
            config = config.replace(f"/etc/rsyslog.d/tls/{name}", str(file))
    path = directory / "rsyslog.conf"
    path.write_text(f'global(workDirectory="{directory}")\n{config}', encoding="utf-8")
    return subprocess.run(
        [require_program("rsyslogd", "rsyslog"), "-N1", "-f", path],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_files_are_found() -> None:
    assert {file.stem.removeprefix("50-mailfault-") for file in FILES} == {
        "udp", "tcp", "tcp-octet", "rfc5424", "tls", "relp", "relp-tls", "maillog-file",
        "failover", "failover-tcp",
    }  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rsyslogd_accepts_it(file: Path, tmp_path: Path) -> None:
    done = check(file.read_text(encoding="utf-8"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    assert "warning" not in done.stderr


def test_rsyslogd_would_refuse_a_misspelt_word(tmp_path: Path) -> None:
    text = FILES[0].read_text(encoding="utf-8").replace("queue.type=", "queue.tipe=")
    done = check(text, tmp_path)
    assert done.returncode != 0
    assert "queue.tipe" in done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_given_up(file: Path) -> None:
    text = re.sub(r"#.*", "", file.read_text(encoding="utf-8"))
    for setting in (
        "$RepeatedMsgReduction off",
        'action.resumeRetryCount="-1"',
        'queue.type="LinkedList"',
        'queue.maxDiskSpace="1g"',
        'queue.saveOnShutdown="on"',
    ):
        assert setting in text
    assert text.count("mail.*") == 1


def test_each_queue_has_files_of_its_own() -> None:
    """Two actions with one `queue.filename` would overwrite each other's lines."""
    names = [
        name
        for file in FILES
        for name in re.findall(r'queue\.filename="(\w+)"', file.read_text(encoding="utf-8"))
    ]
    assert len(names) == len(set(names)) == len(FILES)
