"""Every field of every event has an origin."""

from pydantic import BaseModel

import schemas
from schemas.codec import MODELS
from schemas.samples import example
from service.core.explain.provenance import flat, origin, origins


def test_every_field_that_an_event_can_have() -> None:
    for model in MODELS.values():
        for name in model.model_fields:
            assert origin(model, name), f"{model.__name__}.{name}"


def test_only_what_has_a_value_and_small_objects_field_by_field() -> None:
    event = example(schemas.BouncedEvent, tls=None, notice=None)
    found = flat(event)
    assert origins(event).keys() == found.keys()
    assert found["mta.host"] == event.mta.host
    assert "tls" not in found
    assert "notice" not in found
    assert not any(isinstance(value, dict | BaseModel) for value in found.values())


def test_the_same_name_elsewhere() -> None:
    assert origins(example(schemas.RejectEvent))["response"] == "line: text"
    assert origins(example(schemas.BouncedEvent))["response"] == "line: reason in ( )"


def test_what_earlier_lines_told_is_not_said_to_be_the_lines_own() -> None:
    bounced = origins(example(schemas.BouncedEvent))
    assert (bounced["sender"], bounced["recipient"]) == ("correlation", "line: to=<...>")
    expired = origins(example(schemas.BouncedEvent, status="expired"))
    assert (expired["sender"], expired["recipient"]) == ("line: from=<...>", "correlation")
    for status, said in ((None, "correlation"), ("force-expired", "correlation"), ("sent", "line")):
        found = origins(example(schemas.ResolvedEvent, status=status))
        assert found["sender"] == "correlation"
        assert found["response"].partition(":")[0] == said
        assert found["recipient"].partition(":")[0] == said
