from service.core.framing.base import Block, Fault, Frame, Piece, flatten
from service.core.outcomes import Drop


def test_flatten_splits_blocks_and_keeps_the_order() -> None:
    fault = Fault(Drop.CUT_SHORT, 3)
    pieces: list[Piece] = [Frame(b"<1>a"), Block(b"<2>b\r\n\n<3>c\r\r\n", 3), fault]
    assert list(flatten(pieces)) == [
        Frame(b"<1>a"),
        Frame(b"<2>b"),
        Frame(b""),
        Frame(b"<3>c\r"),
        fault,
    ]


def test_flatten_gives_as_many_frames_as_the_block_counts() -> None:
    for data in (b"\n", b"\n\n", b"a\n", b"a\n\n"):
        assert len(list(flatten([Block(data, data.count(b"\n"))]))) == data.count(b"\n")
