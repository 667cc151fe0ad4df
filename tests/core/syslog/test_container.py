import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.syslog.container import Wrapped, unwrap


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mail-1  | x | y", Wrapped("compose", "x | y", "")),
        ("mail_1 |", Wrapped("compose", "", "")),
        ("2026-08-01T08:20:30Z stdout F x", Wrapped("cri", "x", "2026-08-01T08:20:30Z")),
        ("2026-08-01T08:20:30Z stderr P x", Wrapped("cri", "x", "2026-08-01T08:20:30Z")),
        ("2026-08-01T08:20:30Z stdout F:tag x", Wrapped("cri", "x", "2026-08-01T08:20:30Z")),
        (
            "2026-08-01T08:20:30Z <22>x",
            Wrapped("docker-logs", "<22>x", "2026-08-01T08:20:30Z"),
        ),
        ("Aug  1 08:20:29 relay Aug  1 08:20:30 x", Wrapped("relayed", "Aug  1 08:20:30 x", "")),
        (
            '{"log":"x\\r\\n","stream":"stdout","attrs":{},"time":"2026-08-01T08:20:30Z"}',
            Wrapped("docker-json", "x", "2026-08-01T08:20:30Z"),
        ),
        ('{"log":"x","time":"yesterday"}', Wrapped("docker-json", "x", "")),
        ('{"log":"x","time":1}', Wrapped("docker-json", "x", "")),
        ('{"log":null}', Wrapped("docker-json", "", "")),
    ],
)
def test_layer(text: str, wanted: Wrapped) -> None:
    assert unwrap(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "| x",
        "two words | x",
        "2026-08-01T08:20:30Z mx1 postfix[1]: x",
        "2026-08-01T08:20:30Z stdout X y",
        "2026-08-01T08:20:30Z stdin F y",
        "<22>2026-08-01T08:20:30Z stdout F x",
        "Aug  1 10:20:30 stdout F x",
        '{"log":"x"',
        '{"log":"x"} more',
        '{"time":"2026-08-01T08:20:30Z","log":"x"}',
        '["log"]',
    ],
)
def test_no_layer(text: str) -> None:
    assert unwrap(text) is None


@given(st.text(max_size=40))
def test_docker_json_is_read_as_written(text: str) -> None:
    line = json.dumps({"log": text + "\n", "stream": "stdout"}, separators=(",", ":"))
    wrapped = unwrap(line)
    assert wrapped is not None
    assert wrapped.inner == text.rstrip("\r\n")
