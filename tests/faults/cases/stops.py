"""SIGTERM under load, and connections that end inside a frame."""

import array
import asyncio
import fcntl
import socket
import termios

from benchmarks.relp import answer, frame, opening
from benchmarks.send import octet_counted
from tests.faults.case import Outcome, Size, compare
from tests.faults.lines import line, lines, times
from tests.faults.scene import Place, Scene, until


async def relp_stopped(scene: Scene, size: Size) -> Outcome:
    place = await scene.receive()
    feed = scene.feed(place, count=size.lines)
    statuses = []
    for end in range(1, size.ends + 1):
        await feed.reached(size.lines * end // (size.ends + 1))
        statuses.append(await place.terminate())
        await place.start()
    await feed.finished()
    outcome = compare(times(range(size.lines)), await scene.stored(size.lines))
    outcome.notes["resent"] = feed.sender.sent - size.lines
    outcome.check(not any(statuses), f"ended with {statuses}")
    outcome.check(feed.sender.connections > size.ends, "not each stop met a connection")
    return outcome


async def tcp_stopped(scene: Scene, size: Size) -> Outcome:
    """Everything has left the sender; SIGTERM comes while it lies in the receiver's socket."""
    place = await scene.receive()
    await until(place.is_ready)
    return await _stopped_with_full_sockets(scene, place, size)


async def tcp_stopped_without_nats(scene: Scene, size: Size) -> Outcome:
    """What was read is on disk when the process is gone."""
    place = await scene.receive()
    await until(place.is_ready)
    await scene.server.kill()
    return await _stopped_with_full_sockets(scene, place, size, without_nats=True)


async def _stopped_with_full_sockets(
    scene: Scene, place: Place, size: Size, *, without_nats: bool = False
) -> Outcome:
    data = b"".join(sent + b"\n" for sent in lines(0, size.lines))
    with socket.create_connection(place.tcp, timeout=60) as sock:
        await asyncio.to_thread(sock.sendall, data)

        async def has_left() -> bool:
            return _in_kernel(sock) == 0

        await until(has_left)
        status = await place.terminate()
    # What it had read and NATS had not yet, is on disk: the next receiver publishes it.
    if without_nats:
        await scene.server.start()
    await place.start()
    outcome = compare(times(range(size.lines)), await scene.stored(size.lines))
    outcome.check(status == 0, f"ended with {status}")
    return outcome


async def relp_cut_inside_a_frame(scene: Scene, size: Size) -> Outcome:
    """By a reset, without reading an answer; then everything is sent again."""
    place = await scene.receive()
    step = size.lines // size.ends
    for cut in range(size.ends):
        reader, writer = await asyncio.open_connection(*place.relp)
        writer.write(opening())
        await answer(reader)
        frames = [frame(n + 2, b"syslog", line(n)) for n in range(step)]
        data = b"".join(frames)
        writer.write(data[: len(data) - 1 - cut * len(frames[-1]) // size.ends])
        await writer.drain()
        _reset(writer)
    feed = scene.feed(place, count=size.lines)
    await feed.finished()
    return compare(times(range(size.lines)), await scene.stored(size.lines))


async def tcp_cut_inside_a_frame(scene: Scene, size: Size) -> Outcome:
    """With octet counting: the sender sends the line it stopped at again, whole, and its beginning
    is no event. (With LF framing an end of file ends the line.)"""
    place = await scene.receive()
    frames = [octet_counted(sent + b"\n") for sent in lines(0, size.lines)]
    step = size.lines // size.ends
    for cut in range(size.ends):
        whole = frames[cut * step : (cut + 1) * step]
        part = frames[(cut + 1) * step % size.lines]
        await _send(place, [*whole, part[: (cut + 1) * len(part) // (size.ends + 1)]])
    await _send(place, frames[size.ends * step :])
    return compare(times(range(size.lines)), await scene.stored(size.lines))


async def _send(place: Place, frames: list[bytes]) -> None:
    """Over a connection of their own, closed by FIN."""
    _, writer = await asyncio.open_connection(*place.tcp)
    writer.writelines(frames)
    writer.close()
    await writer.wait_closed()


def _in_kernel(sock: socket.socket) -> int:
    """Bytes that the peer's kernel has not acknowledged (SIOCOUTQ, tcp(7))."""
    waiting = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, waiting)
    return waiting[0]


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
