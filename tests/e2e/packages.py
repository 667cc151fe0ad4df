"""The Debian packages these tests drive: found, else installed where that is possible, else a skip
that says what to install (and a skip fails in CI, `tests/no_skip.py`).

Only root on Debian or Ubuntu can install. What conflicts with another one of them (syslog-ng with
rsyslog) is unpacked into a directory instead. Services of the packages are not started, and Postfix
is installed without a configuration: the tests bring their own.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_LIBRARIES = Path("/usr/lib")
_LOCK = Path(tempfile.gettempdir()) / "mailfault-e2e-packages.lock"
_POLICY = Path("/usr/sbin/policy-rc.d")
_PRESEED = "postfix postfix/main_mailer_type select No configuration\n"
_INSTALL_SECONDS = 300


def require_program(program: str, package: str) -> Path:
    """Where the program is; skips the test where it cannot be had."""
    return _require(program, package, lambda: _find(program))


def require_rsyslog_module(name: str, package: str) -> Path:
    """Of rsyslogd, which does not find it on PATH."""
    return _require(name, package, lambda: next(_LIBRARIES.glob(f"*/rsyslog/{name}.so"), None))


def _require(name: str, package: str, find: Callable[[], Path | None]) -> Path:
    found = find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        found = _install(package, find)
    if found is None:
        pytest.skip(f"{name} is not installed: as root, apt-get install {package}")
    return found


def require_unpacked(program: str, packages: tuple[str, ...]) -> Path:
    """The root of a tree that holds the program and its libraries, for a package that cannot be
    installed beside another one: fetched and unpacked, not installed. Of `packages` those that
    this release of Debian has: a library has another name in some."""
    root = Path(tempfile.gettempdir()) / f"mailfault-e2e-{packages[0]}-{os.geteuid()}"
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if next(root.rglob(program), None) is None and shutil.which("apt-get"):
            _unpack(packages, root)
    if next(root.rglob(program), None) is None:
        pytest.skip(f"{program} cannot be had: apt-get download {packages[0]} and its libraries")
    return root


def _unpack(packages: tuple[str, ...], root: Path) -> None:
    root.mkdir(exist_ok=True, mode=0o755)
    with tempfile.TemporaryDirectory() as folder:
        _download(packages, folder)
        if not list(Path(folder).glob("*.deb")):
            _run(["apt-get", "update", "-qq"])  # only root can
            _download(packages, folder)
        for package in Path(folder).glob("*.deb"):
            _run(["dpkg-deb", "--extract", str(package), str(root)])


def _download(packages: tuple[str, ...], folder: str) -> None:
    for package in packages:  # of several at once it fetches none where it knows one not
        _run(["apt-get", "download", "-qq", package], cwd=folder)


def require_root(why: str) -> None:
    if os.geteuid() != 0:
        pytest.skip(f"{why}: run the tests as root (in a container, say)")


def _find(program: str) -> Path | None:
    path = shutil.which(program, path=_PATH)
    return Path(path) if path else None


def _install(package: str, find: Callable[[], Path | None]) -> Path | None:
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs on one machine
        found = find()
        if found is not None:
            return found
        with _no_services():
            _run(["debconf-set-selections"], stdin=_PRESEED)
            _run(["apt-get", "update", "-qq"])
            _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])
    return find()


def _run(command: list[str], stdin: str = "", cwd: str | None = None) -> None:
    subprocess.run(
        command,
        input=stdin,
        text=True,
        check=False,  # whether the program is there afterwards is the test
        stdout=subprocess.DEVNULL,
        cwd=cwd,
        timeout=_INSTALL_SECONDS,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )


@contextmanager
def _no_services() -> Iterator[None]:
    """policy-rc.d is how Debian asks whether a package may start its service: 101 says no."""
    if _POLICY.exists():
        yield  # the administrator has a policy; containers say no
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
