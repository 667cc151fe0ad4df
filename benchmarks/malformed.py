"""Bytes that no honest sender sends, built from pieces of what an honest one does.

In: valid frames and a source of luck. Out: payloads for a TCP connection or a datagram. Random
bytes alone find little: most of these are right up to the place where they are not.
"""

import zlib
from collections.abc import Callable
from random import Random

_BOMB = zlib.compress(bytes(64 << 20), 9)
"""64 KiB that inflate to 64 MiB."""
_SMALL_BOMB = zlib.compress(b"<22>" + b"A" * (32 << 20), 9)


class Malformed:
    def __init__(self, frames: list[bytes], random: Random) -> None:
        self._frames = frames
        self._random = random
        self._stream_forms: list[Callable[[], bytes]] = [
            self.noise, self.mutated_lines, self.counted, self.wrong_count, self.giant_count,
            self.half_frame, self.bomb, self.nuls, self.endless_line, self.mixed_framing,
            self.other_protocol, self.compressed, self.high_bytes,
        ]  # fmt: skip
        self._datagram_forms: list[Callable[[], bytes]] = [
            self.noise, self.mutated, self.bomb, self.compressed, self.nuls, self.high_bytes,
            self.counted, self.empty, self.largest,
        ]  # fmt: skip

    def stream(self) -> bytes:
        """One to four pieces after each other, as one connection's bytes."""
        pieces = self._random.randint(1, 4)
        return b"".join(self._random.choice(self._stream_forms)() for _ in range(pieces))

    def datagram(self) -> bytes:
        return self._random.choice(self._datagram_forms)()[:65_507]

    def frame(self) -> bytes:
        return self._random.choice(self._frames)

    def noise(self) -> bytes:
        return self._random.randbytes(self._random.randint(1, 3000))

    def mutated(self) -> bytes:
        """A valid frame with a few bytes flipped, dropped, doubled, or spliced with another."""
        data = bytearray(self.frame())
        for _ in range(self._random.randint(1, 6)):
            at = self._random.randrange(len(data) + 1)
            kind = self._random.randrange(5)
            if kind == 0 and at < len(data):
                data[at] = self._random.randrange(256)
            elif kind == 1:
                del data[at : at + self._random.randint(1, 20)]
            elif kind == 2:
                data[at:at] = data[at : at + self._random.randint(1, 40)]
            elif kind == 3:
                data[at:] = self.frame()[self._random.randrange(60) :]
            else:
                data[at:at] = self._random.choice(_TOKENS)
        return bytes(data)

    def mutated_lines(self) -> bytes:
        end = self._random.choice((b"\n", b"\r\n", b"\0", b"\n\n"))
        return b"".join(self.mutated() + end for _ in range(self._random.randint(1, 60)))

    def counted(self) -> bytes:
        frames = [self.mutated() for _ in range(self._random.randint(1, 30))]
        return b"".join(b"%d %b" % (len(frame), frame) for frame in frames)

    def wrong_count(self) -> bytes:
        frame = self.frame()
        return b"%d %b" % (max(0, len(frame) + self._random.randint(-50, 5000)), frame)

    def giant_count(self) -> bytes:
        count = self._random.choice((b"9" * 5, b"9" * 9, b"9" * 40, b"0", b"00000012", b"65537"))
        return count + self._random.choice((b" <", b" ", b"<", b"")) + self.frame()

    def half_frame(self) -> bytes:
        frame = self.frame()
        head = b"%d " % len(frame) if self._random.random() < 0.5 else b""
        return head + frame[: self._random.randrange(len(frame))]

    def bomb(self) -> bytes:
        bomb = b"z" + self._random.choice((_BOMB, _SMALL_BOMB))
        if self._random.random() < 0.3:
            bomb = bomb[: self._random.randrange(len(bomb))]
        return b"%d %b" % (len(bomb), bomb) if self._random.random() < 0.5 else bomb

    def compressed(self) -> bytes:
        packed = b"z" + zlib.compress(self.mutated())
        return b"%d %b" % (len(packed), packed) if self._random.random() < 0.6 else packed

    def nuls(self) -> bytes:
        return bytes(self._random.randint(1, 5000)) + self.frame() + b"\0\n"

    def endless_line(self) -> bytes:
        return self.frame() + b"A" * self._random.randint(60_000, 700_000)

    def mixed_framing(self) -> bytes:
        frame = self.frame()
        return b"%d %b" % (len(frame), frame) + self.frame() + b"\n" + b"%d %b" % (3, b"<22")

    def other_protocol(self) -> bytes:
        return self._random.choice(_OTHERS) + self.noise()

    def high_bytes(self) -> bytes:
        frame = self.frame()
        at = self._random.randrange(len(frame))
        return frame[:at] + bytes(self._random.choices(range(128, 256), k=40)) + frame[at:] + b"\n"

    def empty(self) -> bytes:
        return b""

    def largest(self) -> bytes:
        return (self.frame() * 500)[:65_507]


_TOKENS = (
    b"status=bounced (", b"reject: ", b"NOQUEUE: ", b"; from=<", b" to=<", b"<", b">", b"[", b"]",
    b"\0", b"\n", b"\r", b"\t", b"(", b")", b'"', b"\\", b", relay=", b"dsn=9.9.9", b"#012",
    b"delay=1e999", b"delays=a/b/c/d", b"<999999>", b"<22>1 ", b"-", b"9" * 30, b"\xef\xbb\xbf",
    b"\xc3", b"message repeated 99999999 times: [ ", b" milter-reject: END-OF-MESSAGE from ",
    b": reject: header Subject: ", b"\xe2\x80\xae", b"2026-13-45T99:99:99Z", b"postfix/smtp[1]: ",
)  # fmt: skip
_OTHERS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"1 open 85 relp_version=0\nrelp_software=librelp\ncommands=syslog\n",
    b"SSH-2.0-OpenSSH_9.2\r\n", b"EHLO x\r\n", b"\x00\x00\x00\x01", b"*1\r\n$4\r\nPING\r\n",
    b"CONNECT {}\r\n",
)  # fmt: skip
