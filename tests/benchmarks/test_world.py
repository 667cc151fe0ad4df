"""Queue ids are what Postfix would make of the time and the inode (`global/mail_queue.h`)."""

import re

from benchmarks.world import Host, World

ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"


def number(digits: str, base: int) -> int:
    value = 0
    for digit in digits:
        value = value * base + ALPHABET.index(digit)
    return value


def test_short_id_is_microseconds_then_inode() -> None:
    host = Host(0, "forward")
    assert host.queue_id(1_785_571_200, 123_456) == "1E2401C0001"
    assert host.queue_id(1_785_571_200, 7) == "000071C0002"


def test_long_id_is_seconds_microseconds_z_inode() -> None:
    host = Host(1, "forward")
    found = host.queue_id(1_785_571_200, 123_456)
    time, _, inode = found.rpartition("z")
    assert len(time) == 10
    assert number(time[:6], 52) == 1_785_571_200
    assert number(time[6:], 52) == 123_456
    assert number(inode, 51) == 0x1C0000 + 8


def test_long_id_of_the_reference_time() -> None:
    # 2026-08-21 10:20:30.123456 UTC, the example of the Postfix documentation's alphabet.
    assert Host(1, "forward").queue_id(1_787_307_630, 123_456).startswith("4hRGXZ0sf8z")


def test_ids_of_one_host_do_not_repeat_soon() -> None:
    for which in (0, 1):
        host = Host(which, "forward")
        made = [host.queue_id(1_785_571_200, 5) for _ in range(60_000)]
        assert len(set(made)) == len(made)


def test_a_world_is_a_function_of_its_seed() -> None:
    one, same, other = World(1, 3, "forward"), World(1, 3, "forward"), World(2, 3, "forward")
    assert one.clients == same.clients
    assert one.recipients == same.recipients
    assert one.clients != other.clients


def test_headers_name_host_and_process() -> None:
    host = Host(4, "forward")
    for headers in host.headers.values():
        assert len(set(headers)) == len(headers)
        for header in headers:
            assert re.fullmatch(r" mx04\.mail\.example [a-z/-]+\[\d+\]: ", header)
            assert len(header.split(" ")[2]) <= 32  # RFC 3164 4.1.3, and rsyslog cuts there
