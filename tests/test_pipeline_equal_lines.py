"""Equal lines: which are one event sent again, and which are several."""

from dataclasses import replace

from service.core.framing.base import Block, Frame
from service.pipeline import Pipeline
from tests import sample_lines as lines
from tests.sample_lines import NOW, ORIGIN, pipeline


class TestEqualLines:
    """Logged twice, they are two events; sent twice, one."""

    COARSE = lines.REJECT
    FINE = lines.REJECT.replace(b"Aug 22 10:00:00", b"2026-08-22T10:00:00.123456+00:00")

    @staticmethod
    def ids(made: Pipeline, stream: int | None, *sent: bytes) -> list[str]:
        origin = replace(ORIGIN, stream=stream)
        block = Block(b"".join(line + b"\n" for line in sent), len(sent))
        return [envelope.message_id for envelope in made.block(block, origin, NOW)]

    def test_of_whole_seconds_logged_twice_are_two(self) -> None:
        made, _ = pipeline()
        first, second, third = self.ids(made, 1, *[self.COARSE] * 3)
        assert len({first, second, third}) == 3

    def test_sent_again_on_a_new_connection_are_the_same(self) -> None:
        made, _ = pipeline()
        sent = self.ids(made, 1, self.COARSE, lines.DEFERRED, self.COARSE)
        assert self.ids(made, 2, self.COARSE, lines.DEFERRED, self.COARSE) == sent

    def test_the_ids_do_not_depend_on_the_receiver(self) -> None:
        one, _ = pipeline()
        other, _ = pipeline()
        self.ids(other, 7, self.COARSE)
        assert self.ids(one, 1, *[self.COARSE] * 3) == self.ids(other, 9, *[self.COARSE] * 3)

    def test_of_fine_stamps_are_one_line_sent_again(self) -> None:
        made, _ = pipeline()
        assert len(set(self.ids(made, 1, *[self.FINE] * 3))) == 1

    def test_the_first_has_the_id_it_has_alone(self) -> None:
        made, _ = pipeline()
        assert self.ids(made, 1, self.COARSE) == self.ids(made, None, self.COARSE)

    def test_folded_repeats_and_equal_lines_do_not_meet(self) -> None:
        made, _ = pipeline()
        ids = self.ids(made, 1, lines.REPEATED, lines.REPEATED, lines.REPEATED)
        assert len(set(ids)) == len(ids) > 3

    def test_a_frame_counts_as_a_line_of_a_block_does(self) -> None:
        made, _ = pipeline()
        origin = replace(ORIGIN, stream=1)
        frames = [made.frame(Frame(self.COARSE), origin, NOW)[0].message_id for _ in range(3)]
        assert self.ids(made, 2, *[self.COARSE] * 3) == frames
