"""The nearest known word."""

import time

from service.core.spelling import nearest


def test_nearest() -> None:
    assert nearest("servres", ["server", "servers", "user"]) == "; did you mean servers?"
    assert nearest("zzz", ["b", "a"]) == "; known here: b, a"
    assert nearest("zzz", []) == ""


def test_a_long_word_costs_no_more_than_a_short_one() -> None:
    started = time.process_time()
    assert nearest("ab" * 500_000, ["ab" * 30]) == "; did you mean " + "ab" * 30 + "?"
    assert time.process_time() - started < 1
