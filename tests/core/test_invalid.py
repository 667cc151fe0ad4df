"""Dead letters: of lines that gave no event, and of events that were refused."""

import base64
import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas import InvalidEvent
from service.core.invalid import assemble_invalid, dead_letter
from service.core.line import NAME_MAX, event_id
from service.core.outcomes import Malformed
from tests.core.sample_facts import LINE, MESSAGE, RECORD, delivery, reject
from tests.sample_lines import assembled


class TestInvalid:
    def test_keeps_the_bytes_and_what_is_known(self) -> None:
        event = assemble_invalid(LINE, RECORD, Malformed.UNKNOWN_SHAPE)
        assert event.raw_bytes == b"<22>raw \xff"
        assert event.reason == "unknown_shape"
        assert event.queue_id == "4ABCDE12F"
        assert event.mta.daemon == "smtpd"
        assert not event.truncated
        assert event.event_id == event_id(LINE)

    def test_without_a_record_the_tag_is_the_service(self) -> None:
        event = assemble_invalid(LINE, None, Malformed.INVALID_EVENT, "smtp_code: too big")
        assert event.mta.service == "postfix-out/submission/smtpd"
        assert (event.mta.instance, event.mta.daemon, event.queue_id) == (None, None, None)
        assert event.detail == "smtp_code: too big"
        untagged = replace(LINE, message=replace(MESSAGE, tag=""))
        assert assemble_invalid(untagged, None, Malformed.INVALID_EVENT).mta.service is None

    def test_a_line_cut_before_its_status_was_cut(self) -> None:
        """By Postfix, where not on the way."""
        assert assemble_invalid(LINE, RECORD, Malformed.CUT_BEFORE_STATUS).truncated
        assert assemble_invalid(
            replace(LINE, truncated=True), RECORD, Malformed.UNKNOWN_SHAPE
        ).truncated

    def test_keeps_the_bytes_where_raw_is_switched_off(self) -> None:
        line = replace(LINE, keep_raw=False)
        event = assemble_invalid(line, None, Malformed.UNKNOWN_SHAPE)
        assert event.raw is None
        assert event.raw_bytes == line.raw, "a dead letter is nothing without its bytes"


class TestDeadLetter:
    def test_stands_in_for_the_refused_event(self) -> None:
        refused = assembled(LINE, RECORD, reject())
        letter = dead_letter(schemas.encode(refused), "too_large", "server takes 10")
        assert isinstance(letter, InvalidEvent)
        assert letter.event_id != refused.event_id
        assert letter.reason == "too_large"
        assert letter.detail == f"reject {refused.event_id}: server takes 10"
        assert letter.mta == refused.mta
        assert letter.queue_id == refused.queue_id
        assert letter.event_time == refused.event_time
        assert letter.received_at == refused.received_at
        assert letter.raw_bytes == "<22>raw \ufffd".encode()
        assert schemas.decode(schemas.encode(letter)) == letter

    def test_is_the_same_for_the_same_event(self) -> None:
        body = schemas.encode(assembled(LINE, RECORD, delivery()))
        first, second = dead_letter(body, "refused", "a"), dead_letter(body, "refused", "b")
        assert first.event_id == second.event_id

    def test_of_an_invalid_event(self) -> None:
        refused = assemble_invalid(LINE, None, Malformed.UNKNOWN_SHAPE)
        letter = dead_letter(schemas.encode(refused), "refused", "")
        assert letter.detail == f"invalid {refused.event_id}: "
        assert letter.event_id not in (refused.event_id, event_id(LINE))

    def test_carries_the_event_where_the_line_is_not_kept(self) -> None:
        refused = assembled(replace(LINE, keep_raw=False), RECORD, reject())
        letter = dead_letter(schemas.encode(refused), "refused", "")
        assert json.loads(letter.raw_bytes)["helo"] == "helo.example"

    def test_is_small_whatever_was_refused(self) -> None:
        """Else it would be refused for its size in turn."""
        name = "\x01" * 60_000
        line = replace(LINE, raw=name.encode(), message=replace(MESSAGE, host=name, tag=name))
        record = replace(RECORD, service=name, instance=name, daemon=name)
        refused = assembled(line, record, reject(response=name, content=name))
        letter = dead_letter(schemas.encode(refused), "too_large", "")
        assert len(schemas.encode(letter)) < 16_384
        assert letter.mta.host == name[:NAME_MAX]
        assert len(base64.b64decode(letter.raw_base64)) == 4096

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
    def test_of_any_text(self, text: str) -> None:
        """Cut in the middle of a character, too."""
        line = replace(LINE, raw=(text * 40).encode(), message=replace(MESSAGE, host=text))
        refused = assembled(line, RECORD, reject(response=text, helo=text))
        letter = dead_letter(schemas.encode(refused), "refused", text)
        assert schemas.decode(schemas.encode(letter)) == letter
