"""What must be known of a message, and what may be lost with those who died."""

import pytest

from tests.faults.knowledge import Life, Taken, known

_A, _A_ANEW, _B = Life(0, 0), Life(0, 1), Life(1, 0)


def taken(by: Life | None, *, died: bool = False, node_died: bool = False) -> Taken:
    return Taken(by, died, node_died)


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        pytest.param([taken(_A), taken(_A)], [True, True], id="one receiver"),
        pytest.param([taken(_A), taken(_B)], [True, True], id="told to another"),
        pytest.param([taken(None), taken(_B)], [False, False], id="torn between two"),
        pytest.param([taken(_A, died=True)], [True], id="events before the death are complete"),
        pytest.param([taken(_A, died=True), taken(_A_ANEW)], [True, False], id="died, told nobody"),
        pytest.param([taken(_A), taken(_A_ANEW)], [True, True], id="told before it died"),
        pytest.param(
            [taken(_A, node_died=True), taken(_B)], [True, False], id="written to a dying node"
        ),
        pytest.param(
            [taken(_A), taken(_B, node_died=True)], [True, False], id="asked of a dying node"
        ),
        pytest.param(
            [taken(_A, node_died=True), taken(_A, node_died=True)],
            [True, True],
            id="nodes are not needed by one that stays",
        ),
        pytest.param(
            [taken(_A), taken(None), taken(_A)], [True, False, False], id="what was lost stays lost"
        ),
    ],
)
def test_known(attempts: list[Taken], expected: list[bool]) -> None:
    assert known(attempts) == expected
