"""A certificate authority for tests, made with the `openssl` command."""

import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2")


class Authority:
    def __init__(self, home: Path, name: str = "Test CA") -> None:
        self._home = home
        home.mkdir(parents=True, exist_ok=True)
        self.file = home / "ca.pem"
        self._key = home / "ca.key"
        _openssl(
            *("req", "-x509", "-nodes", *_KEY, "-keyout", self._key, "-out", self.file),
            *("-subj", f"/CN={name}"),
        )

    def issue(self, name: str, *, password: str | None = None) -> tuple[Path, Path]:
        """Certificate and key for a host name, a client, and 127.0.0.1 where it is `localhost`."""
        cert, key = self._home / f"{name}.pem", self._home / f"{name}.key"
        names = f"DNS:{name}" + (",IP:127.0.0.1" if name == "localhost" else "")
        protection = ("-nodes",) if password is None else ("-passout", f"pass:{password}")
        _openssl(
            *("req", "-x509", *protection, *_KEY, "-keyout", key, "-out", cert),
            *("-CA", self.file, "-CAkey", self._key, "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName={names}", "-addext", "basicConstraints=CA:FALSE"),
        )
        return cert, key


def _openssl(*arguments: object) -> None:
    done = subprocess.run(
        ["openssl", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
