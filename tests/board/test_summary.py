"""Typed events to bounded records."""

import schemas
from schemas.samples import example
from schemas.vocabulary import EventType
from service.board.summary import KINDS, summarise


def test_every_type_of_event() -> None:
    for kind in KINDS:
        model = schemas.codec.MODELS[EventType(kind)]
        event = schemas.decode(schemas.samples.example_bytes(kind))
        made = summarise(7, event)
        assert isinstance(event, model)
        assert (made.seq, made.kind) == (7, kind)
        assert made.at == event.event_time.timestamp()
        assert made.mta == event.mta.host.lower()
        assert made.row()["seq"] == 7


def test_what_is_told_of_ends_and_dead_letters() -> None:
    resolved = summarise(1, example(schemas.ResolvedEvent, outcome="delivered", response=None))
    assert resolved.response == "delivered: "
    invalid = summarise(1, example(schemas.InvalidEvent, reason="unknown_shape", detail=None))
    assert invalid.response == "unknown_shape: "


def test_codes() -> None:
    both = example(schemas.BouncedEvent, enhanced_code="5.1.1", smtp_code=550)
    assert summarise(1, both).code == "5.1.1"
    assert summarise(1, both.model_copy(update={"enhanced_code": None})).code == "550"
    neither = both.model_copy(update={"enhanced_code": None, "smtp_code": None})
    assert summarise(1, neither).code is None


def test_everything_is_bounded() -> None:
    long = "x" * 100_000
    event = example(
        schemas.BouncedEvent, response=long, recipient=long, sender=long, recipient_domain=long
    )
    event = event.model_copy(
        update={"mta": event.mta.model_copy(update={"host": long, "instance": long})}
    )
    made = summarise(1, event)
    assert len(str(made)) < 2500
    assert made.response is not None
    assert made.response.endswith("x…")
