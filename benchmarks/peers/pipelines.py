"""rsyslog and syslog-ng: lines over TCP in, one JSON object for each failure in a file out.

Both search each line for the words of a failure first and take apart only what has them, as we do.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from benchmarks.measure import send
from benchmarks.peers import programs
from benchmarks.peers.run import Run, Work, free_port, lines_in, until_idle, until_listening
from benchmarks.processes import ROOT, Process
from benchmarks.usage import cpu_seconds

Runner = Callable[[Work], Awaitable[Run]]
_HERE = Path(__file__).parent


async def rsyslog(work: Work) -> Run:
    """imptcp, mmnormalize, omfile; one worker."""
    port = free_port()
    config = _configured("rsyslog.conf", work, port)
    command = [str(programs.rsyslogd()), "-n", "-f", str(config)]
    command += ["-i", str(work.home / "rsyslogd.pid")]
    return await _piped("rsyslog", command, {}, work, port)


async def syslog_ng(work: Work) -> Run:
    """network(), a filter of substrings, regexp-parser(), file()."""
    port = free_port()
    config = _configured("syslog-ng.conf", work, port)
    command, environment = programs.syslog_ng(work.home, config)
    return await _piped("syslog-ng", command, environment, work, port)


def _configured(name: str, work: Work, port: int) -> Path:
    text = (_HERE / name).read_text(encoding="utf-8")
    for word, value in (("HOME", work.home), ("HERE", _HERE), ("PORT", port)):
        text = text.replace(f"@{word}@", str(value))
    path = work.home / name
    path.write_text(text, encoding="utf-8")
    return path


async def _piped(
    name: str, command: list[str], environment: Mapping[str, str], work: Work, port: int
) -> Run:
    output = work.home / "out.json"
    process = Process(name, command, ROOT)
    await process.start(environment)
    try:
        await until_listening(process, port)
        await until_idle(process)
        before = cpu_seconds(process.pid)
        sent = await send(["--tcp", f"127.0.0.1:{port}"], work.log)
        await until_idle(process)
        used = cpu_seconds(process.pid) - before
    finally:
        await process.stop()
    # By the file, which tells the last write to the microsecond.
    ended = max(output.stat().st_mtime if output.exists() else 0.0, sent.ended)
    return Run(name, work.lines, ended - sent.began, used, lines_in(output))
