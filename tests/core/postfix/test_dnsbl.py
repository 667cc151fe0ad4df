"""The blocking list, from the default template and from nowhere else."""

import pytest

from service.core.postfix.dnsbl import blocking_list

IP = "[192.0.2.66]"


@pytest.mark.parametrize(
    ("response", "dnsbl"),
    [
        (f"Service unavailable; Client host {IP} blocked using zen.example", "zen.example"),
        (f"Service unavailable; client {IP} blocked using zen.example", "zen.example"),
        (
            f"Service unavailable; Client host {IP} blocked using Zen_2.example; text",
            "Zen_2.example",
        ),
        (
            "Service unavailable; Helo command [h.example] blocked using dbl.example; x",
            "dbl.example",
        ),
        (
            "Service unavailable; Sender address [s@y.example] blocked using dbl.example",
            "dbl.example",
        ),
        ("Service unavailable; Client host [2001:db8::1] blocked using zen.example", "zen.example"),
        ("Service unavailable; Unverified Client host [x] blocked using a.example", "a.example"),
        # before Postfix 2.0
        (f"Service unavailable; {IP} blocked using zen.example", "zen.example"),
        (f"Service unavailable; {IP} blocked using zen.example, reason: a; b", "zen.example"),
        # not the template
        (f"Service unavailable; Client host {IP} blocked using zen example", None),
        (f"Service unavailable; Client host {IP} blocked using ", None),
        (
            f"<r>: Recipient address rejected: Service unavailable; client {IP} blocked using x",
            None,
        ),
        (f"Blocked; Client host {IP} blocked using zen.example", None),
        ("Service currently unavailable", None),
        ("Service unavailable; Client host [x", None),
        ("", None),
    ],
)
def test_the_template(response: str, dnsbl: str | None) -> None:
    assert blocking_list(response, 0, False, [None]) == dnsbl
    assert blocking_list(f"554 5.7.1 {response}", 9, False, [None]) == dnsbl


def test_twice_needs_a_known_value() -> None:
    txt = f"Service unavailable; Client host {IP} blocked using zen.example; x] blocked using evil"
    assert blocking_list(txt, 0, False, []) is None
    assert blocking_list(txt, 0, False, [None, "192.0.2.66", ""]) == "zen.example"
    what = "x] blocked using evil; y"
    helo = f"Service unavailable; Helo command [{what}] blocked using dbl.example; why"
    assert blocking_list(helo, 0, False, ["x", what]) == "dbl.example"
    assert blocking_list(helo, 0, False, ["h.example"]) is None


def test_a_list_at_the_cut_may_be_half_of_one() -> None:
    response = f"Service unavailable; Client host {IP} blocked using zen.dnsbl.exa"
    assert blocking_list(response, 0, True, []) is None
    assert blocking_list(f"{response}; x", 0, True, []) == "zen.dnsbl.exa"
