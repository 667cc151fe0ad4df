"""`docker-compose.yml` as options of `podman run`: what confines each service is taken from it."""

from typing import Any

import yaml

from tests.deploy.engine import TOP

FILE = TOP / "docker-compose.yml"


def services() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    assert isinstance(found, dict)
    return found


def confinement(service: dict[str, Any]) -> list[str]:
    # podman's own tmpfs on /run and /tmp would hide what the service needs and does not ask for.
    options = ["--read-only-tmpfs=false"]
    if service["read_only"]:
        options.append("--read-only")
    if service["init"]:
        options += ["--init", "--init-path=/usr/bin/catatonit"]
    for option, key in (("--cap-drop", "cap_drop"), ("--cap-add", "cap_add"), ("--tmpfs", "tmpfs")):
        options += [f"{option}={value}" for value in service.get(key, [])]
    # Docker writes no-new-privileges:true, podman knows it without a value only.
    options += [f"--security-opt={value.partition(':')[0]}" for value in service["security_opt"]]
    options += [f"--env={key}={value}" for key, value in service.get("environment", {}).items()]
    return options
