"""Build hook: with `MAILFAULT_COMPILE=1` in the environment the wheel holds the core compiled.

In: the sources. Out: extension modules by mypyc, beside the sources in the wheel and nowhere else,
so that no edited source is ever overlooked for what was compiled of it. Such a wheel fits the
Python it was built with, on machines of that kind; without the variable nothing of this runs. Needs
a C compiler, Python's headers, and of the group `compile` mypy and setuptools.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = (
    "core/outcomes.py",
    "core/identity.py",
    "core/occurrences.py",
    "core/context.py",
    "core/assemble.py",
    "core/invalid.py",
    "core/line.py",
    "core/mta.py",
    "core/resolved.py",
    "core/envelope.py",
    "core/classify/classifier.py",
    "core/classify/conditions.py",
    "core/classify/index.py",
    "core/classify/provider.py",
    "core/classify/rule.py",
    "core/classify/subject.py",
    "core/classify/tables.py",
    "core/classify/unmatched.py",
    "core/classify/values.py",
    "core/classify/vocabulary.py",
    "core/classify/wording.py",
    "core/correlate/attempts.py",
    "core/correlate/correlator.py",
    "core/correlate/endings.py",
    "core/correlate/exchange.py",
    "core/correlate/links.py",
    "core/correlate/memory.py",
    "core/correlate/queued.py",
    "core/correlate/records.py",
    "core/correlate/refused.py",
    "core/correlate/skim.py",
    "core/correlate/story.py",
    "core/correlate/trace.py",
    "core/correlate/waiting.py",
    "core/framing/base.py",
    "core/framing/compression.py",
    "core/framing/datagram.py",
    "core/framing/newline.py",
    "core/framing/octet_counting.py",
    "core/framing/relp.py",
    "core/framing/relp_session.py",
    "core/framing/sniffing.py",
    "core/framing/trailer.py",
    "core/postfix/*.py",
    "core/postfix/shapes/*.py",
    "core/syslog/header.py",
    "core/syslog/message.py",
    "core/syslog/rfc3164.py",
    "core/syslog/rfc5424.py",
    "core/syslog/tag.py",
    "core/syslog/timestamp.py",
    "bounces.py",
    "entries.py",
    "fates.py",
    "held_lines.py",
    "jobs.py",
    "leaving.py",
    "listeners/relp_speaker.py",
    "targets.py",
    "waitroom.py",
    "waitrooms.py",
    "making.py",
    "correlation.py",
    "nats/flight.py",
    "nats/lines.py",
    "pipeline.py",
    "spool/memory.py",
)
"""Of `service`: what nearly every failure line goes through, up to its acknowledgement. They must
be compiled together, so that one calls another without the interpreter."""

_SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup

sources = ["--config-file=mypy.ini", *sys.argv[3:]]
setup(
    name="core",
    packages=[],
    ext_modules=mypycify(sources, group_name="mailfault_core", opt_level="2"),
    script_args=["--quiet", "build_ext", "--build-temp", sys.argv[1], "--build-lib", sys.argv[2]],
)
"""
_MYPY = "[mypy]\nstrict = True\nplugins = pydantic.mypy\n"


class CompiledCore(BuildHookInterface):  # type: ignore[type-arg]  # of no use to a subclass
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or os.environ.get("MAILFAULT_COMPILE") != "1":
            return
        self._folder = TemporaryDirectory(prefix="mailfault-compile-")
        modules = compile_core(Path(self.root), Path(self._folder.name))
        build_data["force_include"].update({str(path): name for name, path in modules.items()})
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        folder = getattr(self, "_folder", None)
        if folder is not None:
            folder.cleanup()


def compile_core(root: Path, folder: Path) -> dict[str, Path]:
    """The modules made, by their place in the wheel. Raises `CalledProcessError` where a source
    cannot be compiled, after the compiler has said so: stop."""
    sources = folder / "sources"
    for package in ("service", "schemas"):
        shutil.copytree(
            root / package,
            sources / package,
            ignore=shutil.ignore_patterns("__pycache__", "pyproject.toml"),
        )
    (sources / "mypy.ini").write_text(_MYPY)
    found = [path for name in COMPILED for path in sorted((sources / "service").glob(name))]
    names = [str(path.relative_to(sources)) for path in found]
    made = folder / "made"
    subprocess.run(
        [sys.executable, "-c", _SETUP, folder / "objects", made, *names],
        cwd=sources,
        stdout=sys.stderr,
        check=True,
    )
    return {str(path.relative_to(made)): path for path in made.rglob("*.so")}
