"""The shape of a line, and nothing that may be a name."""

from service.core.privacy.masking import masked


def test_the_words_of_postfix_stay() -> None:
    line = (
        "<22>Aug 22 10:00:00 mx1 postfix/smtpd[7]: NOQUEUE: reject: FOO from "
        "dsl.example.net[192.0.2.66]: 554 5.7.1 <Anna.B@example.org>: not wanted; "
        "from=<a@b.example> to=<root> proto=ESMTP helo=<x>"
    )
    assert masked(line, {"mx1"}) == (
        "<0>x 0 0:0:0 mx1 postfix/smtpd[0]: NOQUEUE: reject: x from "
        "x.x.x[0.0.0.0]: 554 5.7.1 <x.x@x.x>: not x; "
        "from=<x@x.x> to=<x> proto=ESMTP helo=<x>"
    )


def test_an_address_made_of_known_words() -> None:
    assert masked("reject@from.to status@sent") == "x@x.x x@x"


def test_other_alphabets() -> None:
    assert masked("müller жук ١٢ \ufffd") == "x x x \ufffd"
