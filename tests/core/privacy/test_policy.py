"""Which of two treatments is the stricter one, and when there is nothing to do."""

import pytest

from service.core.privacy.policy import Policy, Treatment, strictest


def test_strictness() -> None:
    assert strictest(Treatment) is Treatment.DROP
    assert strictest([Treatment.HASH, Treatment.DOMAIN]) is Treatment.DOMAIN
    assert strictest([Treatment.KEEP, Treatment.HASH]) is Treatment.HASH


def test_addresses_of_nobody_known_are_treated_as_the_strictest_says() -> None:
    policy = Policy(recipient=Treatment.HASH, message_id=Treatment.DROP)
    assert policy.of_addresses is Treatment.DROP
    assert Policy(client=Treatment.DROP).of_addresses is Treatment.KEEP


@pytest.mark.parametrize(
    ("policy", "values", "everything"),
    [
        (Policy(), True, True),
        (Policy(key=b"x"), True, True),
        (Policy(keeps_raw=False), True, False),
        (Policy(keeps_response=False), True, False),
        (Policy(keeps_content=False), True, False),
        (Policy(client=Treatment.HASH), False, False),
        (Policy(sasl_username=Treatment.DOMAIN), False, False),
    ],
)
def test_what_is_kept(policy: Policy, values: bool, everything: bool) -> None:
    assert policy.keeps_all_values is values
    assert policy.keeps_everything is everything
