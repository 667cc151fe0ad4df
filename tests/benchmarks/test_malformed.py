"""The fuzzer's bytes: the same for the same seed, and really as nasty as they claim to be."""

import zlib
from random import Random

from benchmarks.generate import Options, corpus
from benchmarks.malformed import Malformed

FRAMES = b"".join(corpus(Options(200, 0.6)).blocks).splitlines()


def malformed(seed: int) -> Malformed:
    return Malformed(FRAMES, Random(seed))


def test_same_seed_same_bytes() -> None:
    one, same, other = malformed(1), malformed(1), malformed(2)
    made = [one.stream() for _ in range(20)]
    assert made == [same.stream() for _ in range(20)]
    assert made != [other.stream() for _ in range(20)]


def test_datagrams_fit() -> None:
    source = malformed(3)
    assert max(len(source.datagram()) for _ in range(400)) == 65_507


def test_mutated_frames_differ_but_resemble() -> None:
    source = malformed(4)
    mutated = [source.mutated() for _ in range(200)]
    assert sum(frame in FRAMES for frame in mutated) < 20
    assert sum(b"postfix" in frame for frame in mutated) > 150


def test_bombs_inflate_a_thousandfold() -> None:
    source = malformed(5)
    sizes = []
    for _ in range(20):
        bomb = source.bomb()
        packed = bomb[bomb.index(b"z") + 1 :]
        inflate = zlib.decompressobj()
        size = 0
        while packed and not inflate.eof:
            size += len(inflate.decompress(packed, 1 << 20))
            if packed == inflate.unconsumed_tail:
                break
            packed = inflate.unconsumed_tail
        sizes.append((size, len(bomb)))
    assert sum(size > 500 * length for size, length in sizes) > 6


def test_every_form_comes_up() -> None:
    source = malformed(6)
    streams = [source.stream() for _ in range(600)]
    assert any(data.startswith(b"\0\0\0") for data in streams)
    assert any(data.startswith(b"9999") for data in streams)
    assert any(len(data) > 500_000 for data in streams)
    assert any(data.startswith(b"GET /") for data in streams)
