"""Who can act where no rule knows the words: the subject of the enhanced code tells, or nobody."""

import pytest

from schemas.vocabulary import Scope
from service.core.classify.subject import Subject
from service.core.classify.unmatched import scope_of


@pytest.mark.parametrize(
    ("enhanced", "said", "place", "scope"),
    [
        ("5.1.77", "remote", "RCPT TO", "recipient"),
        ("5.1.77", "door", "RCPT", "recipient"),
        ("5.1.77", "remote", "MAIL FROM", "sender"),
        ("5.1.77", "door", "MAIL", "sender"),
        ("5.1.77", "remote", "END OF DATA", "unknown"),
        ("4.2.77", "remote", "RCPT TO", "recipient"),
        ("4.3.77", "remote", "", "remote"),
        ("4.3.77", "own", "", "local"),
        ("4.3.77", "door", "", "local"),
        ("4.4.77", "own", "", "network"),
        ("5.5.77", "remote", "", "remote"),
        ("5.6.77", "remote", "", "message"),
        ("5.7.77", "remote", "", "policy"),
        ("5.0.0", "remote", "RCPT TO", "unknown"),
        ("5.8.0", "remote", "RCPT TO", "unknown"),
        ("5.1.junk", "remote", "RCPT TO", "unknown"),
        (None, "remote", "RCPT TO", "unknown"),
    ],
)
def test_scope(enhanced: str | None, said: str, place: str, scope: str) -> None:
    found = scope_of(Subject(said, "zork", 550, enhanced, place, "", None, False))
    assert found == scope
    assert found in list(Scope)
    assert type(found) is str, "events serialise plain strings"
