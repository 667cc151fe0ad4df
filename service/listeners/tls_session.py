"""TLS between a connection and the session inside it.

A session to the connection, which hands it what came over the wire; a wire to the session inside,
which is made once the handshake is done and the peer is permitted. OpenSSL works on memory here,
so that the PROXY header before it and the limits around it are the same as without TLS.
"""

from OpenSSL import SSL

from service.core.outcomes import Drop, Refusal
from service.listeners.session import HandshakeWire, OpenSession, Session
from service.listeners.tls_context import Judgement, words
from service.received import Origin

_RECORD_BYTES = 16_384
"""RFC 8446 5.1: the most one record holds."""
_MAX_UNSENT_BYTES = 2 * 1024 * 1024
"""TLS itself answers a peer, to each of its key updates for one. A peer that asks and never reads
would fill our memory. The session inside bounds its own answers, below this."""
_NO_CERTIFICATE = "peer did not return a certificate"


class TlsSession:
    """Implements `session.Session` and, for the session inside, `session.Wire`."""

    def __init__(
        self,
        wire: HandshakeWire,
        origin: Origin,
        context: SSL.Context,
        open_inner: OpenSession,
    ) -> None:
        self._wire = wire
        self._origin = origin
        self._open_inner = open_inner
        self._inner: Session | None = None
        self._judgement = Judgement()
        self._tls = SSL.Connection(context, None)
        self._tls.set_app_data(self._judgement)
        self._tls.set_accept_state()
        self._has_begun = False
        self._is_finishing = False
        self._is_over = False
        """Nothing is read from the peer any more."""
        self._said_goodbye = False
        """It said itself that this is all (close_notify)."""

    # To the connection

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._has_begun = True
        self._tls.bio_write(data)
        if self._inner is None and not self._shake_hands():
            return
        plain = self._decrypt()
        if self._flush() and self._wire.unsent_bytes > _MAX_UNSENT_BYTES:
            self._cut("the peer does not read our answers")
            return
        if self._inner is not None:
            if plain:
                self._inner.data_received(plain)
            if self._said_goodbye and not self._inner.eof():
                self.close()

    def eof(self) -> bool:
        if self._said_goodbye:
            return True  # the session inside has been told, and closes when it likes
        if self._inner is None or self._is_over or not self._is_finishing:
            return False  # no close_notify: cut off, by whoever (RFC 8446 6.1)
        self._is_over = True
        if self._inner.eof():
            return True
        self.close()
        return False

    def lost(self, reason: Drop) -> None:
        if self._inner is not None:
            self._inner.lost(reason)
        elif self._has_begun and not self._is_over and not self._is_finishing:
            self._wire.refuse(Refusal.HANDSHAKE_FAILED, detail="closed during the handshake")
        self._is_over = True

    def finish(self) -> None:
        self._is_finishing = True
        if self._inner is not None:
            self._inner.finish()
        else:
            self._wire.abort()

    @property
    def buffered_bytes(self) -> int:
        return 0 if self._inner is None else self._inner.buffered_bytes

    @property
    def unfinished(self) -> int | None:
        return None if self._inner is None else self._inner.unfinished

    # To the session inside

    def write(self, data: bytes) -> None:
        try:
            self._tls.sendall(data)
        except SSL.Error:
            self._wire.abort()
            return
        self._flush()

    @property
    def unsent_bytes(self) -> int:
        return self._wire.unsent_bytes

    def close(self) -> None:
        try:
            self._tls.shutdown()
        except SSL.Error:
            pass  # it is over already
        self._flush()
        self._wire.close()

    def abort(self) -> None:
        self._wire.abort()

    def pause(self) -> None:
        self._wire.pause()

    def resume(self) -> None:
        self._wire.resume()

    def spent(self, frames: int) -> None:
        self._wire.spent(frames)

    @property
    def is_rated(self) -> bool:
        return self._wire.is_rated

    def warn(self, event: str, **facts: object) -> None:
        self._wire.warn(event, **facts)

    def refuse(self, reason: Refusal, **facts: object) -> None:
        self._wire.refuse(reason, **facts)

    # TLS itself

    def _shake_hands(self) -> bool:
        """Whether it is done."""
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return False
        except SSL.Error as error:
            self._flush()  # the alert
            self._is_over = True
            self._refuse_handshake(words(error))
            return False
        self._flush()
        self._wire.ready()
        self._inner = self._open_inner(self, self._origin)
        return True

    def _refuse_handshake(self, detail: str) -> None:
        if self._judgement.refusal is not None:
            self._wire.refuse(self._judgement.refusal, **self._judgement.facts)
        elif _NO_CERTIFICATE in detail:
            self._wire.refuse(Refusal.NO_CERTIFICATE)
        else:
            self._wire.refuse(Refusal.HANDSHAKE_FAILED, detail=detail)

    def _decrypt(self) -> bytes:
        parts = []
        try:
            while True:
                parts.append(self._tls.recv(_RECORD_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._is_over = self._said_goodbye = True
        except SSL.Error as error:
            self._cut(words(error))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _flush(self) -> bool:
        """Whether there was something to send."""
        had_some = False
        try:
            while True:
                self._wire.write(self._tls.bio_read(_RECORD_BYTES))
                had_some = True
        except SSL.Error:
            return had_some  # WantReadError: nothing more

    def _cut(self, detail: str) -> None:
        self._is_over = True
        self._wire.warn("connection_closed", reason="tls_error", detail=detail)
        self._wire.abort()
