from typing import Any

import pytest
from pydantic import ValidationError

from schemas import Outcome, ResolvedEvent
from schemas.samples import example


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_stands_without_knowing_more(outcome: Outcome) -> None:
    event = example(
        ResolvedEvent, outcome=outcome, status=None, attempt=None, attempts=None, age=None
    )
    assert event.outcome is outcome


@pytest.mark.parametrize(
    "changes",
    [{"outcome": None}, {"queue_id": None}, {"attempts": 0}, {"age": -1}, {"status": ""}],
)
def test_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        example(ResolvedEvent, **changes)
