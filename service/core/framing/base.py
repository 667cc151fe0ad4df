"""What a framer gives: whole pieces of the stream, and the faults between them.

A framer takes bytes in the portions the socket gave them and returns a list. Good pieces before
a bad one survive; a fault is a value, never an exception. No sockets, no clock, no logging. `feed`
takes such a portion. `end` is for a peer that closed in good order: what is complete without its
trailer comes out. `abort` is for a connection that broke: a frame that had begun is lost, whatever
its framing. `buffered_bytes` are held back until the rest of their frame arrives.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service.core.outcomes import Drop

MAX_FRAME_BYTES = 65_536
"""Default bound of one frame. RFC 5424 6.1 asks for 2048, Postfix cuts its records at 2000
(`util/msg_syslog.c`), a UDP payload cannot exceed 65507."""


@dataclass(slots=True, init=False)
class Frame:
    """One syslog frame, trailer (LF, CR LF, NUL) not included; inflated if it was compressed."""

    data: bytes
    truncated: bool
    """Cut at the bound; the rest was skipped and is not another frame."""
    is_candidate: bool
    """Somebody has looked already: it may be a failure."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(self, data: bytes, truncated: bool = False, is_candidate: bool = False) -> None:
        self.data = data
        self.truncated = truncated
        self.is_candidate = is_candidate


@dataclass(slots=True, init=False)
class Block:
    """LF-framed frames handed on in one piece, so that the pipeline can search them at once.

    `data` ends with LF and holds no NUL; each line is one frame of at most the bound. A line may
    still carry the CR of a CR LF: `flatten` takes it off, whoever slices lines out does the same.
    """

    data: bytes
    count: int
    """Number of lines, empty ones included."""
    has_no_candidate: bool
    """Somebody has looked already: no line of it can be a failure."""

    def __init__(self, data: bytes, count: int, has_no_candidate: bool = False) -> None:
        self.data = data
        self.count = count
        self.has_no_candidate = has_no_candidate


@dataclass(slots=True)
class Fault:
    """A frame that was lost. It counts as one frame received."""

    kind: Drop
    lost_bytes: int
    """Bytes of the frame that had arrived; of a bad count, the count alone."""
    fatal: bool = False
    """The place in the stream is lost: nothing more can be read, the connection is to be closed."""
    detail: str = ""
    """For the log: what was found, escaped and short."""


Piece = Frame | Block | Fault


def flatten(pieces: Iterable[Piece]) -> Iterator[Frame | Fault]:
    """One by one, for callers that do not search whole blocks."""
    for piece in pieces:
        if isinstance(piece, Block):
            for line in piece.data[:-1].split(b"\n"):
                yield Frame(line.removesuffix(b"\r"))
        else:
            yield piece
