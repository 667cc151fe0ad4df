"""The words of the contract, each explained."""

from enum import StrEnum

import pytest

from schemas import vocabulary
from schemas.schema_generator import member_docs

ENUMS = [
    enum
    for enum in vars(vocabulary).values()
    if isinstance(enum, type) and issubclass(enum, StrEnum) and enum is not StrEnum
]

CATEGORIES = """
    unknown_user mailbox_full mailbox_disabled recipient_moved unverified_address address_syntax
    domain_not_found null_mx spam_content virus blocklisted_ip blocklisted_domain rate_limited
    greylisted auth_required auth_failed sender_rejected client_dns helo_rejected relay_denied
    access_denied too_large too_many_recipients protocol_error tls connection dns timeout
    server_busy policy loop expired local_error other
"""


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_every_enum_and_every_word_is_documented(enum: type[StrEnum]) -> None:
    assert enum.__doc__
    assert list(member_docs(enum)) == [member.value for member in enum]


@pytest.mark.parametrize(
    ("enum", "words"),
    [
        (vocabulary.EventType, "reject deferred bounced resolved invalid rollup"),
        (vocabulary.Severity, "permanent temporary"),
        (vocabulary.TimeQuality, "exact inferred received"),
        (vocabulary.Transport, "udp tcp tls relp relp-tls file"),
        (
            vocabulary.Scope,
            "recipient sender message reputation policy remote network local unknown",
        ),
        (vocabulary.Category, CATEGORIES),
        (vocabulary.Completeness, "complete partial none"),
        (vocabulary.Outcome, "delivered bounced expired removed"),
    ],
)
def test_the_words_promised_are_there(enum: type[StrEnum], words: str) -> None:
    """More may come; none of these may go."""
    assert {*words.split()} <= {member.value for member in enum}


def test_the_types_of_mail_are_all_but_the_sums_of_them() -> None:
    assert {*vocabulary.EventType} - {*vocabulary.MAIL_EVENTS} == {vocabulary.EventType.ROLLUP}
