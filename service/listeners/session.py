"""What is spoken on a connection, and what speaks on it: the two sides of a stream listener.

`service.listeners.stream` owns the socket; a session is made for each connection that was let in,
with a `Wire` to answer on, and is told what happens. None of its methods blocks.
"""

from collections.abc import Callable
from typing import Protocol

from service.core.outcomes import Drop, Refusal
from service.received import Origin


class Session(Protocol):
    """Calls come in this order: `data_received` any number of times, `eof` at most once, `lost`
    exactly once and last. `finish` may come at any time before `lost`."""

    def data_received(self, data: bytes) -> None: ...

    def eof(self) -> bool:
        """The peer has said all it will say (or, after `finish`, was heard to the end). True: the
        connection stays open for what is still to be written, until `Wire.close`."""
        ...

    def lost(self, reason: Drop) -> None:
        """The connection is gone. A frame that had begun is dropped for this reason."""
        ...

    def finish(self) -> None:
        """The receiver stops. What the kernel holds is still read, then comes `eof`."""
        ...

    @property
    def buffered_bytes(self) -> int:
        """Held of unfinished frames (a gauge)."""
        ...

    @property
    def unfinished(self) -> int | None:
        """A number of the frame that has begun and not ended, another one for each frame; None
        between frames. Looked at now and then: a frame that stays too long is given up."""
        ...


class Wire(Protocol):
    """One connection, as its session sees it. After the end every call does nothing."""

    def write(self, data: bytes) -> None: ...

    @property
    def unsent_bytes(self) -> int:
        """Written and not yet taken by the kernel: the peer does not read."""
        ...

    def close(self) -> None:
        """Once what was written is sent."""
        ...

    def abort(self) -> None:
        """Now."""
        ...

    def pause(self) -> None:
        """Read no further, until `resume`. Other reasons not to read are kept apart from this."""
        ...

    def resume(self) -> None: ...

    def spent(self, frames: int) -> None:
        """So many frames were handed on: counts against the rate of their source. To be called
        where `is_rated`."""
        ...

    @property
    def is_rated(self) -> bool: ...

    def warn(self, event: str, **facts: object) -> None:
        """Say in the log what the peer did; the transport and its address are added. It is not
        said too often: what a peer can repeat must not fill the disk."""
        ...

    def refuse(self, reason: Refusal, **facts: object) -> None:
        """Log, count and close, once what was written is sent."""
        ...


class HandshakeWire(Wire, Protocol):
    """For a session that begins with a handshake of its own (TLS)."""

    def ready(self) -> None:
        """The handshake is done in time."""
        ...


OpenSession = Callable[[Wire, Origin], Session]

OpenConnection = Callable[[HandshakeWire, Origin], Session]
