"""What is said of a replay where stderr is no terminal. The bar: `test_replay.py`."""

from collections.abc import Iterator
from itertools import count

import pytest

from service.cli.replay_progress import Said, progress


def seconds(*times: float) -> Iterator[float]:
    yield from times
    yield from count(int(times[-1]))


def test_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Said(4000, seconds(0, 1, 9.9, 10, 19, 200).__next__) as shown:
        for position in (10, 99, 1000, 1500, 3999):
            shown.show(position, position * 5, is_connected=position < 3999)
    output, said = capsys.readouterr()
    assert output == ""
    assert said.splitlines() == [
        "replay: 25%, 5,000 lines, 500/s, 0:30 left",
        "replay: 100%, 19,995 lines, 100/s, 0:00 left; waits for NATS",
    ]


def test_of_a_pipe_nobody_knows_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    with Said(None, seconds(0, 20).__next__) as shown:
        shown.show(0, 1000, is_connected=True)
    assert capsys.readouterr().err == "replay: 1,000 lines, 50/s\n"


def test_before_the_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Said(4000, seconds(0, 20).__next__) as shown:
        shown.show(0, 0, is_connected=False)
    assert capsys.readouterr().err == "replay: 0 lines, 0/s; waits for NATS\n"


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(4000) as shown:
        shown.show(1, 1, is_connected=True)
    assert isinstance(shown, Said)
    assert capsys.readouterr().err == ""
