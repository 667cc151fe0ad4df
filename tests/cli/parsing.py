"""Files given to `mailfault parse`, and what it made of their lines."""

from pathlib import Path

from tests import sample_lines as lines
from tests.cli.run import objects, run

MIX = [
    lines.HARMLESS,
    lines.REJECT,
    b"",
    lines.SENT,
    lines.REPEATED,
    lines.NOT_POSTFIX,
    lines.UNKNOWN_SHAPE,
    lines.NOT_SYSLOG,
    lines.PROBE,
    lines.BOUNCED,
]
MIX_OUTCOMES = [
    (1, None, "not_a_failure"),
    (2, "reject", None),
    (3, None, "not_a_failure"),
    (4, None, "not_a_failure"),
    (5, "bounced", None),
    (5, "bounced", None),
    (5, "bounced", None),
    (6, None, "not_postfix"),
    (7, "invalid", None),
    (8, None, "not_syslog"),
    (9, None, "probe"),
    (10, "bounced", None),
]


def log_file(folder: Path, data: bytes, name: str = "mail.log") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def parse(*arguments: str | Path, data: bytes = b"") -> bytes:
    done = run("parse", *arguments, data=data)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def outcomes(output: bytes) -> list[tuple[int, str | None, str | None]]:
    return [(o["line"], o["event_type"], o.get("skipped")) for o in objects(output)]
