"""Who reported, where the line tells it and where it does not."""

from dataclasses import replace

import pytest

from tests.core.sample_facts import LINE, MESSAGE, RECORD, reject
from tests.sample_lines import assembled


@pytest.mark.parametrize(
    ("host", "source_ip", "told"),
    [
        ("mx1", "192.0.2.1", "mx1"),
        (None, "192.0.2.1", "192.0.2.1"),
        ("", "192.0.2.1", "192.0.2.1"),
        (None, None, "unknown"),
    ],
)
def test_host_is_the_lines_else_the_senders(
    host: str | None, source_ip: str | None, told: str
) -> None:
    line = replace(LINE, message=replace(MESSAGE, host=host), source_ip=source_ip)
    assert assembled(line, RECORD, reject()).mta.host == told
