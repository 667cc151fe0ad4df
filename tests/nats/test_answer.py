"""What JetStream answers, as nats-server 2.15 writes it."""

import json
from typing import Any

import pytest

from service.nats.answer import Refusal, Rejected, good_start, read_refusal


def refused(err_code: int, code: int = 400) -> bytes:
    error = {"code": code, "err_code": err_code, "description": "why"}
    return json.dumps({"error": error, "stream": "POSTFIX", "seq": 0}).encode()


@pytest.mark.parametrize("more", [b' "seq":1}', b'"domain":"hub", "seq":1}', b'"duplicate":true}'])
def test_a_good_answer_begins_with_its_stream(more: bytes) -> None:
    assert (b'{"stream":"POSTFIX",' + more).startswith(good_start("POSTFIX"))


def test_a_stream_whose_name_begins_alike_is_another() -> None:
    assert not b'{"stream":"POSTFIX2","seq":1}'.startswith(good_start("POSTFIX"))


@pytest.mark.parametrize("sendings", [1, 2000])
@pytest.mark.parametrize(
    ("err_code", "code"),
    [
        (10002, 400),  # resource limits exceeded for account
        (10008, 503),  # JetStream system temporarily unavailable
        (10047, 500),  # insufficient storage resources
        (10076, 503),  # JetStream not enabled
        (10077, 503),  # stream full
        (10109, 400),  # sealed
        (10120, 400),  # no limit present
        (10167, 429),  # too many requests
    ],
)
def test_trouble_of_the_stream_is_waited_for(err_code: int, code: int, sendings: int) -> None:
    assert read_refusal(refused(err_code, code), sendings) is None


def test_too_large_is_refused_at_once() -> None:
    assert read_refusal(refused(10054), 1) == Rejected(Refusal.TOO_LARGE, "why (400/10054)")


@pytest.mark.parametrize("err_code", [10060, 10166])
def test_what_another_try_cannot_heal_is_refused_at_once(err_code: int) -> None:
    refusal = read_refusal(refused(err_code), 1)
    assert refusal is not None
    assert refusal.reason is Refusal.REFUSED


def test_an_unknown_client_error_is_refused_after_some_tries() -> None:
    assert [read_refusal(refused(19999), sendings) is None for sendings in (1, 4, 5, 6)] == [
        True,
        True,
        False,
        False,
    ]


def test_another_stream_took_it() -> None:
    refusal = read_refusal(b'{"stream":"OTHER", "seq":7}', 1)
    assert refusal == Rejected(Refusal.WRONG_STREAM, "stored in stream OTHER")


@pytest.mark.parametrize(
    "answer", [b"", b"{", b"[]", b"1", b"{}", b'{"error": 5}', b'{"stream": 5}', b"\xff"], ids=repr
)
def test_what_nobody_can_read_is_tried_again(answer: Any) -> None:
    assert read_refusal(answer, 100) is None
