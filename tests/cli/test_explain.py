"""`mailfault explain`: how a line is read, for people and for programs."""

import json
import zlib
from typing import Any

import pytest
from typer.testing import CliRunner

import schemas
from service.cli import app
from service.core.framing.base import MAX_FRAME_BYTES, Frame
from tests import sample_lines as lines
from tests.cli.run import assert_quiet_unread, objects, run

KEY = "0123456789abcdef"
NO_MARKER = "it has no 'reject: ', no 'abort: TLS' and no 'status=' but sent"


def explain(*arguments: str, data: bytes = b"", status: int = 0, **variables: str) -> str:
    """In this process, on 80 columns."""
    environment = {"COLUMNS": "80", "NO_COLOR": "1", **variables}
    result = CliRunner(env=environment).invoke(app, ["explain", *arguments], input=data)
    assert result.exit_code == status, result.output
    assert result.stderr == ""
    return result.stdout


def steps(output: str) -> dict[str, str]:
    """Of the first line, its words joined where they were wrapped."""
    found: dict[str, str] = {}
    name = ""
    for row in output.split("\n\n")[0].splitlines():
        name = row.split(" ", 1)[0] or name
        found[name] = f"{found.get(name, '')} {row[len(name) :] if row[0] != ' ' else row}".strip()
    return {name: " ".join(words.split()) for name, words in found.items()}


def fields(output: str) -> dict[str, tuple[str, str]]:
    rows = output.split("\n\n")[1].splitlines()
    places = [rows[0].index(name) for name in ("field", "value", "from")]
    found = {}
    for row in rows[1:]:
        parts = [row[places[n] : places[n + 1] if n < 2 else None].strip() for n in range(3)]
        if parts[0]:
            found[parts[0]] = (parts[1], parts[2])
    return found


def test_a_refusal() -> None:
    output = explain(lines.REJECT.decode())
    assert max(map(len, output.splitlines())) <= 80
    words = steps(output)
    event_id = words.pop("event").removeprefix("reject ")
    (published,) = lines.pipeline()[0].frame(Frame(lines.REJECT), lines.ORIGIN, lines.NOW)
    assert event_id == published.message_id
    header = words.pop("header")
    assert header.startswith("rfc3164: stamp 'Aug 22 10:00:00', host mx1; ")
    assert header.endswith("Z, inferred")
    assert words == {
        "line": "1",
        "framing": "one line or datagram",
        "priority": "<22> mail.info",
        "tag": "postfix/smtpd[7]: instance postfix, daemon smtpd",
        "shape": "smtpd reject: (NOQUEUE)",
        "rule": "postfix.relay-access-denied in postfix.toml: postfix smtpd/smtpd_check.c",
        "category": "relay_denied, scope policy",
    }
    told = fields(output)
    assert told["recipient"] == ("v@other.example", "line: to=<...>")
    assert told["client.ip"] == ("192.0.2.66", "line: name[address]")
    assert told["category"] == ("relay_denied", "classifier: rule")
    assert told["mta.host"] == ("mx1", "header: host, or sender")
    assert told["received_at"][1] == "receiver: clock"
    assert "queue_id" not in told


def test_several_lines_of_standard_input_one_after_the_other() -> None:
    data = b"\n".join([lines.REJECT, lines.HARMLESS, b"", lines.BOUNCED, lines.REPEATED])
    for arguments in ((), ("-",)):
        found = objects(explain("--json", *arguments, data=data).encode())
        assert [item["line"] for item in found] == [1, 2, 3, 4, 5]
        assert [item["event_type"] for item in found] == [
            "reject", None, None, "bounced", "bounced",
        ]  # fmt: skip
        assert len(found[4]["events"]) == 3
    assert " and 2 more" in explain(data=lines.REPEATED)


def test_for_programs() -> None:
    (found,) = objects(explain("--json", lines.BOUNCED.decode()).encode())
    (event,) = found["events"]
    assert schemas.decode(json.dumps(event).encode()).event_type == "bounced"
    assert found["header"] == "rfc3164"
    assert found["tag"] == "postfix/smtp"
    assert found["shape"] == "delivery to= (queue id 4ABCDE12F)"
    assert found["rule"]["id"] == "wording.unknown-user"
    assert found["rule"]["file"] == "wording.toml"
    assert found["skipped"] is found["dropped"] is None
    assert found["origins"]["enhanced_code"] == "line: dsn="
    assert found["origins"]["remote_reply.text"] == "line: remote reply"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (lines.HARMLESS, f"not_a_failure: {NO_MARKER}"),
        (lines.HEADER + b"smtpd[7]: warning: status=bounced",
         "not_a_failure: a Postfix line that mentions a failure and reports none"),
        (lines.PROBE, "probe: an address verification probe or sendmail -bv: no user's mail"),
        (lines.NOT_POSTFIX,
         "not_postfix: a failure is mentioned, but its tag is that of another program"),
        (lines.NOT_SYSLOG,
         "not_syslog: a failure is mentioned, but there is no syslog header to tell whose"),
    ],
)  # fmt: skip
def test_why_a_line_is_skipped(line: bytes, told: str) -> None:
    output = explain(data=line)
    assert steps(output)["skipped"] == told
    assert "event_id" not in output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (lines.UNKNOWN_SHAPE,
         {"invalid": "unknown_shape: it stands where failures stand, in a form that is not known"}),
        (lines.HEADER + b"smtp[7]: 4ABCDE12F: to=<" + b"x" * 2100,
         {"invalid": "cut_before_status: a delivery that was cut before its status"}),
        (b"999 " + lines.REJECT,
         {"dropped": "cut_short: a receiver drops a frame that does not come whole",
          "category": "relay_denied, scope policy"}),
        (b"zx\x9cnothing", {"dropped": "bad_compression: a receiver drops what does not inflate"}),
        (b"\x16\x03\x01\x02", {"dropped": "no syslog",
                              "framing": "a TLS handshake: sent to a port without TLS?"}),
    ],
)  # fmt: skip
def test_what_is_not_understood_ends_with_1(line: bytes, words: dict[str, str]) -> None:
    found = steps(explain(data=line, status=1))
    assert found.items() >= words.items()
    assert objects(explain("--json", data=line, status=1).encode())[0]["line"] == 1


def test_headers_of_other_forms() -> None:
    text = lines.REJECT.split(b"mx1 ", 1)[1]
    rfc5424 = b"<22>1 2026-08-22T10:00:00Z mx1 postfix/smtpd 7 - - " + text.split(b": ", 1)[1]
    assert steps(explain(data=rfc5424))["header"] == (
        "rfc5424: stamp '2026-08-22T10:00:00Z', host mx1; 2026-08-22T10:00:00Z, exact"
    )
    bare = steps(explain(data=text))
    assert bare["header"].startswith("no-stamp: no stamp, no host; ")
    assert "priority" not in bare
    assert steps(explain(data=b"what is this"))["header"] == "none that is known"
    cut = steps(explain(data=lines.REJECT.replace(b"postfix/smtpd[7]", b"postfix")))
    assert cut["tag"] == "postfix: instance postfix, daemon cut off"
    assert steps(explain(data=lines.HEADER[:24] + b"last message"))["tag"] == "none: not Postfix"


def test_frames_with_a_count_may_hold_line_ends() -> None:
    packed = b"z" + zlib.compress(lines.BOUNCED)
    wire = b"".join(
        b"%d %s" % (len(part), part) for part in (lines.REJECT + b"\nx", packed, lines.DEFERRED)
    )
    wire += b"\n1 syslog %d %s\n" % (len(lines.REJECT), lines.REJECT) + lines.HARMLESS + b"\r\n"
    found = objects(explain("--json", data=wire).encode())
    assert [item["framing"] for item in found] == [
        f"octet-counted, {len(lines.REJECT) + 2} bytes",
        f"octet-counted, {len(packed)} bytes, compressed (z)",
        f"octet-counted, {len(lines.DEFERRED)} bytes",
        f"RELP, {len(lines.REJECT)} bytes",
        "one line or datagram",
    ]
    assert [item["event_type"] for item in found] == [
        "reject", "bounced", "deferred", "reject", None,
    ]  # fmt: skip


def test_a_compressed_datagram() -> None:
    found = objects(explain("--json", data=b"z" + zlib.compress(b"\n" + lines.REJECT)).encode())
    assert len(found) == 1


def test_a_line_without_end_is_cut() -> None:
    data = lines.REJECT.ljust(3 * MAX_FRAME_BYTES, b"x") + b"\n" + lines.HARMLESS
    first, second = objects(explain("--json", data=data).encode())
    assert first["framing"] == f"one line or datagram, cut at {MAX_FRAME_BYTES} bytes"
    assert first["events"][0]["truncated"]
    assert second["skipped"] == "not_a_failure"


def test_a_count_that_nobody_believes_is_not_waited_for() -> None:
    (found,) = objects(explain("--json", data=b"9999999999 <22>x", status=1).encode())
    assert found["dropped"] == "cut_short"


def test_a_zone_and_a_configuration(tmp_path: Any) -> None:
    words = steps(explain("--timezone", "Europe/Berlin", lines.REJECT.decode()))
    assert "T08:00:00Z, inferred" in words["header"]
    file = tmp_path / "c.toml"
    file.write_text(f'[privacy]\nrecipient = "hash"\nclient = "drop"\nhash_key = "{KEY}"\n')
    output = explain("--config", str(file), lines.REJECT.decode(), COLUMNS="120")
    assert "v@other.example" not in output
    assert "192.0.2.66" not in output
    told = fields(output)
    assert told["recipient"][0].startswith("hash:")
    assert told["recipient"][1] == "line: to=<...>, by [privacy]"
    assert told["client.ip"] == ("(dropped)", "line: name[address], by [privacy]")
    assert told["sender"] == ("s@bad.example", "line: from=<...>")
    (found,) = objects(explain("--json", "--config", str(file), lines.REJECT.decode()).encode())
    assert found["origins"]["helo"] == "line: helo=<...>, by [privacy]"


def test_hostile_text_drives_no_terminal() -> None:
    hostile = lines.REJECT.replace(b"bad.example", b"\x1b[2J\xe2\x80\xae[bold]x")
    output = explain(data=hostile)
    assert "\x1b" not in output
    assert "\u202e" not in output
    assert "[bold]" in output
    assert "\x1b" not in explain("--json", data=hostile)


def test_as_a_process() -> None:
    done = run("explain", data=lines.REJECT + b"\n", COLUMNS="80")
    assert done.returncode == 0
    assert done.stderr == b""
    assert b"relay_denied" in done.stdout
    assert b"grep 4ABCDE12F" in run("explain", "--help").stdout


@pytest.mark.parametrize("option", [[], ["--json"]])
@pytest.mark.parametrize("size", [1, 500])
def test_a_reader_that_has_seen_enough(size: int, option: list[str]) -> None:
    assert_quiet_unread("explain", *option, data=(lines.HARMLESS + b"\n") * size)
