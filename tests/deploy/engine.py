"""podman without a daemon, on a machine where no image registry can be reached: the base image is
made of Debian packages, and containers share a network of their own in which nothing else listens.

Everything lies in one directory and ends with the engine: images, containers, the network.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TOP = Path(__file__).parents[2]
BASE = "localhost/base"
RUN = (
    "--network=host",  # the one that all of them share
    "--cgroups=disabled",
    # Not more than here: raising a limit may be forbidden.
    "--ulimit=nofile=4096:4096",
    "--ulimit=nproc=4096:4096",
)
_PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"
_NOT_NEEDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
_HOLD = """
ip link set lo up
# crun does not start where both versions of cgroups are mounted, as on some machines.
umount /sys/fs/cgroup/unified 2>/dev/null
echo held
exec sleep infinity
"""
_SECONDS = 600
_LOCAL_OPTIONS = ("find-links", "extra-index-url", "index-url")
_PLAIN_OPTIONS = ("trusted-host", "timeout", "proxy", "retries")


class Engine:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        options = ("--root", directory / "storage", "--runroot", directory / "run")
        self._podman = ["podman", *map(str, options), "--tmpdir", str(directory / "tmp")]
        self._podman += ["--cgroup-manager", "cgroupfs"]
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", _HOLD], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"held\n"

    def close(self) -> None:
        self.podman("rm", "--all", "--force", "--time", "2")
        self._holder.kill()
        self._holder.communicate()
        # Layers are mounted nowhere any more; what is left are files of many owners.
        subprocess.run(["rm", "-rf", self._directory / "storage"], check=True)

    def inside(self, *command: str | Path) -> list[str]:
        """The command as one that runs in the containers' network."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *map(str, command)]

    def podman(self, *arguments: str | Path, network: bool = False) -> str:
        """What it says on stdout. `network`: in the containers', not the machine's."""
        done = subprocess.run(
            self.command(*arguments, network=network),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    def command(self, *arguments: str | Path, network: bool = False) -> list[str]:
        spaces = [f"--mount=/proc/{self._holder.pid}/ns/mnt"]
        if network:
            spaces.append(f"--net=/proc/{self._holder.pid}/ns/net")
        return ["nsenter", *spaces, "--wdns=/", *self._podman, *map(str, arguments)]

    def make_base(self) -> None:
        """A Debian with Python, and nothing that a slim image would not have."""
        archive = self._directory / "base.tar"
        excluded = [f"--dpkgopt=path-exclude={path}" for path in _NOT_NEEDED]
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}"]
        subprocess.run([*command, *excluded, "bookworm", archive], check=True, timeout=_SECONDS)
        self.podman("import", "--quiet", archive, BASE)
        archive.unlink()

    def build(self, dockerfile: str, context: str, tag: str) -> None:
        # Docker's own format: OCI's has no health check.
        options = ["--isolation=chroot", "--network=host", "--format=docker", "--layers=false"]
        bases = (f"--build-arg=BASE={BASE}", f"--build-arg=BUILD_BASE={BASE}")
        self.podman(
            *("build", *options, *bases, *self._pip_options()),
            *("--tag", tag, "--file", TOP / dockerfile, TOP / context),
        )

    def start(self, image: str, name: str, *options: str, command: Sequence[str] = ()) -> None:
        """Detached."""
        self.podman(
            *("run", "--detach", "--name", name, *RUN, *options, image, *command), network=True
        )

    def inspect(self, name: str) -> dict[str, Any]:
        (found,) = json.loads(self.podman("inspect", name))
        assert isinstance(found, dict)
        return found

    def _pip_options(self) -> list[str]:
        """This machine's way to PyPI, as the head of deploy/Dockerfile says."""
        lines = ["[global]"]
        options = []
        for name, value in _pip_config().items():
            if name == "cert":
                options.append(f"--secret=id=ca.pem,src={value}")
                lines.append("cert = /run/secrets/ca.pem")
            elif name in _LOCAL_OPTIONS:
                lines.append(f"{name} = {' '.join(value.split())}")
                places = (Path(urlsplit(part).path) for part in value.split() if _is_local(part))
                # Beside an index on disk lie the files that it names.
                paths = {place if name == "find-links" else place.parent for place in places}
                options += [f"--volume={path}:{path}:ro" for path in sorted(paths) if path.is_dir()]
            elif name in _PLAIN_OPTIONS:
                lines.append(f"{name} = {value}")
        config = self._directory / "pip.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [f"--secret=id=pip.conf,src={config}", *options]


def _pip_config() -> dict[str, str]:
    """What is in force: variables of the environment win over files, as in pip."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    said = [line.partition("=") for line in done.stdout.splitlines()]
    # `global.cert='...'`, `install.timeout='...'`, `:env:.cert='...'`
    said.sort(key=lambda parts: parts[0].startswith(":env:"))
    return {
        name.rpartition(".")[2]: str(ast.literal_eval(value))
        for name, _, value in said
        if name.startswith(("global.", "install.", ":env:"))
    }


def _is_local(place: str) -> bool:
    return place.startswith(("file:", "/"))
