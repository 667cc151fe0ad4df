"""Each case in its short form: nothing lost that must not be, nothing doubled."""

import pytest

from tests.faults.case import Case
from tests.faults.play import play
from tests.faults.table import CASES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_fault(case: Case) -> None:
    outcome = await play(case, case.short)
    assert outcome.problems == [], outcome
