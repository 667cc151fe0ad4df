"""RELP wires for tests: frames as librelp writes them, and what is broken about others."""

from dataclasses import dataclass

from hypothesis import strategies as st

from service.core.framing.base import Fault, Frame
from service.core.framing.relp import MAX_DATA, Command
from service.core.outcomes import Drop

BOUND = 40
"""`max_frame_bytes` of generated wires."""

OFFERS = b"relp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog"
SOFTWARE = b"mailfault,test"


def frame(txnr: int, command: bytes, data: bytes = b"") -> bytes:
    """Without a space before the LF where there is no data."""
    return b"%d %s %d%s\n" % (txnr, command, len(data), b" " + data if data else b"")


def syslog(txnr: int, line: bytes) -> bytes:
    return frame(txnr, b"syslog", line)


def opening() -> bytes:
    return frame(1, b"open", OFFERS)


def ok(*txnrs: int) -> bytes:
    return b"".join(b"%d rsp 6 200 OK\n" % txnr for txnr in txnrs)


Outcome = Frame | Command | Fault


@dataclass(frozen=True)
class RelpPiece:
    """The wire of one frame is `start` with the number that is due put in, and its outcome."""

    start: bytes
    outcome: Outcome
    takes_number: bool = True

    def wire(self, txnr: int) -> bytes:
        return self.start.replace(b"#", b"%d" % txnr, 1)


_CONTENT = st.one_of(
    st.text("<22>1 09z:-aé.x\n\0\r", max_size=BOUND // 2).map(str.encode),
    st.sampled_from([b"1 syslog 3 abc\n", b"\n2 close 0\n", b"2 syslog ", b"\xff\xfe"]),
)
_TAIL = st.sampled_from([b"", b"\n", b"\r\n", b"\0", b"\n\0"])


def _line(content: bytes, tail: bytes) -> RelpPiece:
    data = b"<22>" + content + b"." + tail
    return RelpPiece(
        frame(0, b"syslog", data).replace(b"0", b"#", 1), Frame(data[: -len(tail) or None])
    )


def _long(content: bytes, length: int) -> RelpPiece:
    data = (b"<22>" + content).ljust(length, b"y")
    wire = frame(0, b"syslog", data).replace(b"0", b"#", 1)
    return RelpPiece(wire, Frame(data[:BOUND], truncated=True))


def _command(name: bytes, data: bytes) -> RelpPiece:
    return RelpPiece(frame(0, name, data).replace(b"0", b"#", 1), Command(name, data))


def _hint(name: bytes, data: bytes) -> RelpPiece:
    return RelpPiece(frame(0, name, data), Command(name, data, is_hint=True), takes_number=False)


relp_pieces: st.SearchStrategy[RelpPiece] = st.one_of(
    st.builds(_line, _CONTENT, _TAIL),
    st.builds(_line, _CONTENT, _TAIL),
    st.builds(_long, _CONTENT, st.integers(BOUND + 1, 3 * BOUND)),
    st.sampled_from([b"# syslog 0\n", b"# syslog 0 \n"]).map(lambda w: RelpPiece(w, Frame(b""))),
    st.builds(_command, st.sampled_from([b"close", b"open", b"x", b"Y" * 32]), _CONTENT),
    st.builds(_hint, st.sampled_from([b"serverclose", b"noise"]), _CONTENT),
)
"""Every frame that does not end the stream."""


def _broken(start: bytes, kind: Drop, lost_bytes: int) -> RelpPiece:
    return RelpPiece(start, Fault(kind, lost_bytes, fatal=True))


broken_pieces: st.SearchStrategy[RelpPiece] = st.sampled_from(
    [
        _broken(b"hello\n", Drop.BAD_FRAME, 1),
        _broken(b"\n", Drop.BAD_FRAME, 1),
        _broken(b"\x16\x03\x01", Drop.BAD_FRAME, 1),
        _broken(b"1234567890 syslog 3 abc\n", Drop.BAD_FRAME, 10),
        _broken(b"99 s_slog 3 abc\n", Drop.BAD_FRAME, 5),
        _broken(b"99 " + b"x" * 33 + b" 3 abc\n", Drop.BAD_FRAME, 36),
        _broken(b"99 syslog x\n", Drop.BAD_FRAME, 11),
        _broken(b"99 syslog -3 abc\n", Drop.BAD_FRAME, 11),
        _broken(b"99  syslog 3 abc\n", Drop.BAD_FRAME, 4),
        _broken(b"999999 syslog 3 abc\n", Drop.OUT_OF_SEQUENCE, 16),
        _broken(b"999999 close 0\n", Drop.OUT_OF_SEQUENCE, 15),
        _broken(b"0 syslog 3 abc\n", Drop.OUT_OF_SEQUENCE, 11),
        _broken(b"0 noise 4097 abc\n", Drop.TOO_LONG, 13),
        _broken(b"0 noise 3\n", Drop.BAD_FRAME, 10),
        _broken(b"0 noise 3 abcd\n", Drop.BAD_FRAME, 14),
        _broken(b"0 noise 0 a\n", Drop.BAD_FRAME, 11),
    ]
)
"""What ends the stream, whatever number is due (numbers in generated wires stay below 99)."""

TOO_LONG = b"1 syslog %d <22>" % (MAX_DATA + 1)
