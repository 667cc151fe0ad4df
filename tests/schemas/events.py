"""Random events of every type, as input for the models: likely values and awkward ones."""

from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from schemas import (
    Category,
    Completeness,
    EventType,
    Outcome,
    Scope,
    Severity,
    TimeQuality,
    Transport,
)

Fields = dict[str, st.SearchStrategy[Any]]

texts = st.sampled_from(
    ["", "a@example.org", "<>", "\x00\x1b[2J", 'é"\\', "İ.ΣΑΣ", "\u2028", "😀", "x" * 300]
) | st.text(max_size=20)
unknown_words = st.sampled_from(["a_word_of_1-7", "0", "x" * 64])
queue_ids = st.sampled_from(["4ABCDE12F", "4dLkQh2rJ1z9sVb", "123450987", "1E2401C0002"])
times = st.datetimes(timezones=st.just(UTC))
seconds = st.floats(min_value=0, allow_infinity=False)
ordinals = st.integers(1, 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
smtp_codes = st.integers(200, 599)
enhanced_codes = st.sampled_from(["5.1.1", "4.7.28", "2.0.0", "5.7.606"])


def _or_null(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _word(enum: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(list(enum)) | st.sampled_from([str(m) for m in enum]) | unknown_words


_endpoint: Fields = {"ip": _or_null(texts), "port": _or_null(st.integers(0, 65_535))}
_client = st.fixed_dictionaries({"name": _or_null(texts), **_endpoint})
_code: Fields = {
    "smtp_code": _or_null(smtp_codes),
    "enhanced_code": _or_null(enhanced_codes),
}

mtas = st.fixed_dictionaries(
    {
        "host": texts,
        "instance": _or_null(texts),
        "service": _or_null(texts),
        "daemon": _or_null(texts),
        "pid": _or_null(counts),
        "source_ip": _or_null(texts),
        "transport": _word(Transport),
    }
)
messages = st.fixed_dictionaries(
    {
        "message_id": _or_null(texts),
        "sender": _or_null(texts),
        "size": _or_null(counts),
        "recipients": _or_null(counts),
        "client": _or_null(_client),
        "sasl_username": _or_null(texts),
        "queued_at": _or_null(times),
        "origin_queue_id": _or_null(texts),
        "context": _word(Completeness),
    }
)
_base: Fields = {
    "schema_version": st.sampled_from(["1.0", "1.7"]),
    "event_id": st.text("0123456789abcdef", min_size=32, max_size=32),
    "event_time": times,
    "received_at": times,
    "time_quality": _word(TimeQuality),
    "mta": mtas,
    "queue_id": _or_null(queue_ids),
    "sender": _or_null(texts),
    "recipient": _or_null(texts),
    "recipient_domain": _or_null(texts),
    **_code,
    "severity": _or_null(_word(Severity)),
    "response": _or_null(texts),
    "category": _or_null(_word(Category)),
    "scope": _or_null(_word(Scope)),
    "provider": _or_null(texts),
    "provider_code": _or_null(texts),
    "message": _or_null(messages),
    "truncated": st.booleans(),
    "raw": _or_null(texts),
}
_reject: Fields = {
    "action": st.sampled_from(["reject", "milter-header-reject"]),
    "stage": st.sampled_from(["RCPT", "BDAT content", "header"]),
    "client": _or_null(_client),
    **dict.fromkeys(
        ["helo", "protocol", "sasl_method", "sasl_username", "sasl_sender", "dnsbl", "content"],
        _or_null(texts),
    ),
}
_delivery: Fields = {
    "queue_id": queue_ids,
    "status": st.sampled_from(["deferred", "SOFTBOUNCE", "force-expired"]),
    "original_recipient": _or_null(texts),
    "relay": _or_null(st.fixed_dictionaries({"host": texts, **_endpoint, "path": _or_null(texts)})),
    "delay": _or_null(seconds),
    "delays": _or_null(
        st.fixed_dictionaries(
            dict.fromkeys(
                ["before_queue_manager", "in_queue_manager", "connection_setup", "transmission"],
                seconds,
            )
        )
    ),
    "remote_reply": _or_null(
        st.fixed_dictionaries(
            {
                "host": _or_null(texts),
                "ip": _or_null(texts),
                **_code,
                "text": texts,
                "command": _or_null(texts),
            }
        )
    ),
    "tls": _or_null(texts),
    "attempt": _or_null(ordinals),
    "first_deferred_at": _or_null(times),
}
FIELDS: dict[EventType, Fields] = {
    EventType.REJECT: {**_base, **_reject},
    EventType.DEFERRED: {**_base, **_delivery},
    EventType.BOUNCED: {
        **_base,
        **_delivery,
        "notice": _or_null(st.fixed_dictionaries({"queue_id": queue_ids, "kind": texts})),
        "backscatter_risk": _or_null(st.booleans()),
    },
    EventType.RESOLVED: {
        **_base,
        "queue_id": queue_ids,
        "outcome": _word(Outcome),
        "status": _or_null(st.just("sent")),
        "attempt": _or_null(ordinals),
        "attempts": _or_null(ordinals),
        "first_deferred_at": _or_null(times),
        "age": _or_null(seconds),
    },
    EventType.INVALID: {
        **_base,
        "reason": texts,
        "detail": _or_null(texts),
        "raw_base64": st.sampled_from(["", "AA==", "AAA=", "AAAA", "+/+/"]),
    },
    EventType.ROLLUP: {
        **_base,
        "receiver": st.text(min_size=1, max_size=20),
        "period": st.fixed_dictionaries({"start": times, "end": times}),
        "counts": st.dictionaries(
            _word(EventType),
            st.fixed_dictionaries(
                {
                    "total": counts,
                    "categories": st.dictionaries(_word(Category), counts, max_size=4),
                    "scopes": st.dictionaries(_word(Scope), counts, max_size=4),
                    "providers": st.dictionaries(unknown_words, counts, max_size=3),
                }
            ),
            max_size=5,
        ),
    },
}

event_inputs = st.one_of(
    [
        st.fixed_dictionaries({"event_type": st.just(kind.value), **fields})
        for kind, fields in FIELDS.items()
    ]
)
