"""What a worker is told by its parent, and where it keeps its state."""

import os
import socket
from pathlib import Path

from service.settings import fixed
from service.spool.opening import database_path
from service.workers.assignment import Assignment, directory_of, left_behind, take


def test_a_worker_learns_what_its_parent_bound(tmp_path: Path) -> None:
    http = socket.create_server(("127.0.0.1", 0))
    tcp = socket.create_server(("127.0.0.1", 0))
    listen = f"127.0.0.1:{tcp.getsockname()[1]}"
    told = Assignment(
        1, {"tcp": [listen]}, [("tcp", tcp.detach())], http.detach(), "nats://127.0.0.1:1"
    )
    environ = {**told.variables(), "OTHER": "1"}
    taken = take(environ)
    assert taken == told
    assert environ == {"OTHER": "1"}  # its own children are no workers
    assert list(told.descriptors) == [told.http, told.sockets[0][1]]
    assert not any(os.get_inheritable(descriptor) for descriptor in taken.descriptors)

    settings = fixed({"data_dir": tmp_path, "udp": {"listen": ["127.0.0.1:5514"]}})
    taken.apply(settings)
    assert (settings.udp.listen, settings.tcp.listen) == ([], [listen])
    assert settings.data_dir == tmp_path / "workers" / "1"
    assert settings.nats.servers == ["nats://127.0.0.1:1"]
    assert settings.sharing.is_on(bool(settings.nats.servers))
    assert settings.rollup.receiver == f"{socket.gethostname()}/1"

    sock = taken.inherited.take(socket.SOCK_STREAM, listen)
    assert sock is not None
    assert taken.inherited.http is not None
    sock.close()
    taken.inherited.http.close()


def test_who_was_told_nothing_is_no_worker() -> None:
    assert take({}) is None


def test_the_first_worker_has_the_directory_of_a_receiver_alone(tmp_path: Path) -> None:
    assert directory_of(tmp_path, 0) == tmp_path


def test_only_workers_with_events_are_missed(tmp_path: Path) -> None:
    assert left_behind(tmp_path, 1) == []
    for name in ("1", "2", "3", "strange"):
        (tmp_path / "workers" / name).mkdir(parents=True)
    assert left_behind(tmp_path, 1) == []
    for number in (1, 3):  # no database: whoever opens it says so
        path = database_path(directory_of(tmp_path, number))
        path.parent.mkdir()
        path.write_bytes(b"not a database")
    assert left_behind(tmp_path, 1) == [1, 3]
    assert left_behind(tmp_path, 2) == [3]
