"""Logging, as a process writes it: JSON lines, or text for people on a terminal."""

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

_PROGRAM = """
import logging, sys
import structlog
from service import logs
logs.configure(sys.argv[1])
log = structlog.get_logger("x")
{body}
"""


def command(body: str, level: str = "info") -> list[str]:
    return [sys.executable, "-c", _PROGRAM.format(body=body), level]


def logged(body: str, level: str = "info") -> list[dict[str, Any]]:
    done = subprocess.run(command(body, level), capture_output=True, text=True, check=True)
    assert done.stdout == "", "results go there"
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_json_lines() -> None:
    (line,) = logged("log.info('listening', transport='tcp', port=5514)")
    stamp = line.pop("timestamp")
    assert stamp.endswith("Z")
    assert line == {"event": "listening", "level": "info", "transport": "tcp", "port": 5514}


def test_a_value_cannot_make_a_line() -> None:
    (line,) = logged(r"log.warning('x', peer='a\n{\"event\": \"forged\"}\x1b[2J')")
    assert line["peer"] == 'a\n{"event": "forged"}\x1b[2J'


def test_what_json_does_not_know_is_shown_all_the_same() -> None:
    (line,) = logged("from pathlib import Path; log.info('x', path=Path('a'), raw=b'\\xff')")
    assert "a" in line["path"]
    assert "xff" in line["raw"]


def test_exceptions_are_one_line() -> None:
    (line,) = logged(
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    log.error('x', exc_info=e)"
    )
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["a", "b", "c", "d"]),
        ("info", ["b", "c", "d"]),
        ("warning", ["c", "d"]),
        ("error", ["d"]),
    ],
)
def test_level(level: str, expected: list[str]) -> None:
    body = "log.debug('a'); log.info('b'); log.warning('c'); log.error('d')"
    assert [line["event"] for line in logged(body, level)] == expected


def test_the_level_can_change_later() -> None:
    body = """
log.debug('a')
logs.set_level('debug')
log.debug('b')
logs.set_level('error')
log.info('c')
"""
    assert [line["event"] for line in logged(body)] == ["b"]


def test_the_standard_librarys_loggers_write_the_same() -> None:
    body = """
logging.getLogger("asyncio").warning("slow %s", "callback")
logging.getLogger("nats.aio.client").error("each attempt, with a traceback")
logging.getLogger("uvicorn.error").info("Started server process")
"""
    (line,) = logged(body)
    assert (line["event"], line["level"]) == ("slow callback", "warning")


def test_configuring_twice_writes_once() -> None:
    assert len(logged("logs.configure('info'); log.info('x')")) == 1


def test_people_on_a_terminal_get_text() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(command("log.info('listening', port=5514)"), stderr=theirs, check=True)
    os.close(theirs)
    text = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "listening" in text
    assert "port" in text
    assert not text.startswith("{")
