"""Summaries as short as a test wants them."""

from typing import Any

from service.board.summary import Summary

NOW = 1_790_000_000.0


def event(seq: int = 1, kind: str = "bounced", **other: Any) -> Summary:
    given: dict[str, Any] = {
        "at": NOW,
        "mta": "mx1",
        "instance": "postfix",
        "queue_id": "4ABCDE12F",
        "sender": "s@example.org",
        "recipient": "r@example.net",
        "domain": "example.net",
        "code": "5.1.1",
        "category": "unknown_user",
        "provider": None,
        "response": "User unknown",
        "message_id": None,
        "origin": None,
        "notice": None,
        "first": None,
    }
    return Summary(seq, kind, **{**given, **other})
