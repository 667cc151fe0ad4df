"""A file system of a few MB, which is filled soon. Only root may mount one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    folder.mkdir()
    options = f"size={mib}m,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "mailfault-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
