"""mtail, the Prometheus exporter and pflogsumm: a file in, counts out. No network, no objects."""

import asyncio
import json
import os
import re
import shutil
import time
import urllib.request
from pathlib import Path

from benchmarks.peers import programs
from benchmarks.peers.run import Run, Work, free_port, until_idle, until_listening
from benchmarks.processes import ROOT, Process, ProcessError
from benchmarks.usage import cpu_seconds

_HERE = Path(__file__).parent
_EXPORTED = re.compile(
    r"^postfix_(?:smtp_status_deferred|(?:smtpd|cleanup)_messages_rejected_total)"
    r"(?:\{[^}]*\})? (\S+)$",
    re.MULTILINE,
)
_SUMMED = re.compile(r"\b(\d+)([km]?) +(?:deferrals\)|bounced\b|rejected\b)")
_TOTALS_END = "bytes received"
_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}
"""pflogsumm, `adj_int_units`."""


async def mtail(work: Work) -> Run:
    """With `-one_shot`: reads to the end of the file, says what it counted, and ends."""
    progs = work.home / "progs"
    progs.mkdir()
    shutil.copy(_HERE / "postfix.mtail", progs)
    command = [str(programs.mtail()), "-one_shot", "-logtostderr", "-progs", str(progs)]
    seconds, cpu, said = await _timed([*command, "-logs", str(work.file)])
    return Run("mtail", work.lines, seconds, cpu, counted_by_mtail(said))


async def pflogsumm(work: Work) -> Run:
    command = [*programs.pflogsumm(), str(work.file)]
    seconds, cpu, said = await _timed(command)
    return Run("pflogsumm", work.lines, seconds, cpu, counted_by_pflogsumm(said))


async def exporter(work: Work) -> Run:
    """prometheus-postfix-exporter follows a file that grows: it is there once it listens."""
    port = free_port()
    log = work.home / "mail.log"
    log.touch()
    command = [str(programs.exporter()), "--web.listen-address", f"127.0.0.1:{port}"]
    command += ["--postfix.logfile_path", str(log)]
    command += ["--postfix.showq_path", str(work.home / "no-showq")]
    process = Process("exporter", command, ROOT)
    await process.start()
    try:
        await until_listening(process, port)
        await until_idle(process)
        before, began = cpu_seconds(process.pid), time.time()
        await asyncio.to_thread(_append, work.file, log)
        ended = await until_idle(process)
        used = cpu_seconds(process.pid) - before
        said = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/metrics")
    finally:
        await process.kill()
    return Run("exporter", work.lines, ended - began, used, counted_by_exporter(said))


def counted_by_mtail(said: str) -> int:
    counted = json.loads(said)["failures"][0]["LabelValues"]
    return sum(one["Value"]["Value"] for one in counted)


def counted_by_exporter(said: str) -> int:
    """It knows no bounces, and only what smtp defers."""
    found = _EXPORTED.findall(said)
    return int(sum(map(float, found))) if found else -1


def counted_by_pflogsumm(said: str) -> int:
    """It rounds large numbers. Below the totals it tells of each host and address."""
    found = _SUMMED.findall(said.partition(_TOTALS_END)[0])
    return sum(int(number) * _UNITS[unit] for number, unit in found) if found else -1


async def _timed(command: list[str]) -> tuple[float, float, str]:
    """Seconds and CPU seconds of a program that ends by itself, and what it says."""
    return await asyncio.to_thread(_run, command)


def _run(command: list[str]) -> tuple[float, float, str]:
    began = time.monotonic()
    read_end, write_end = os.pipe()
    pid = os.posix_spawnp(
        command[0],
        command,
        {**os.environ, "LC_ALL": "C"},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, write_end, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
    )
    os.close(write_end)
    with os.fdopen(read_end, "rb") as output:
        said = output.read()
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise ProcessError(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    used = usage.ru_utime + usage.ru_stime
    return time.monotonic() - began, used, said.decode(errors="replace")


def _append(source: Path, target: Path) -> None:
    with source.open("rb") as lines, target.open("ab") as log:
        shutil.copyfileobj(lines, log, 1 << 20)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body.decode()
