"""Where the programs come from: found, else fetched from Debian (`tests/e2e/packages.py`).

rsyslog and pflogsumm are installed, by root. The others are only unpacked: syslog-ng and rsyslog
exclude each other, and two start a service or want a systemd. Each of these functions raises
`pytest.skip.Exception` that says what to install where it cannot be had.
"""

import os
import shutil
from pathlib import Path

from tests.e2e.packages import require_program, require_unpacked
from tests.e2e.syslog_ng import command, environment


def rsyslogd() -> Path:
    return require_program("rsyslogd", "rsyslog")


def syslog_ng(home: Path, config: Path) -> tuple[list[str], dict[str, str]]:
    words = [str(word) for word in command(home, config)]
    return [*words, "--foreground"], environment()


def mtail() -> Path:
    return _unpacked("mtail", "mtail")


def exporter() -> Path:
    return _unpacked("prometheus-postfix-exporter", "prometheus-postfix-exporter")


def pflogsumm() -> list[str]:
    return [str(require_program("pflogsumm", "pflogsumm"))]


def _unpacked(program: str, package: str) -> Path:
    found = shutil.which(program)
    if found is not None:
        return Path(found)
    path = require_unpacked(program, (package,)) / "usr/bin" / program
    assert os.access(path, os.X_OK), path
    return path
