"""The least a RELP receiver can do: count frames and acknowledge them at once. What a sender
reaches against it is what the sender can.

In: `python -m benchmarks.relp_sink LINES`. Out on stderr, one JSON object each: where it listens,
then the wall clock when so many lines are acknowledged. One connection; not for hostile bytes.
"""

import json
import re
import socket
import sys
import time

_READ_BYTES = 256 * 1024
_LARGEST_SEGMENT = 8192
"""As the service asks for (`listeners.relp`): omrelp without a queue of its own corks its socket,
and over loopback sends some hundred lines a second to who asks for none."""
_HEADER = re.compile(rb"[0-9]+ ([a-z]+) ([0-9]+)[ \n]")
_OPENED = b"200 OK\nrelp_version=0\nrelp_software=mailfault-benchmarks\ncommands=syslog"


def serve(server: socket.socket, lines: int) -> None:
    connection, _ = server.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest, txnr, is_told = b"", 0, False
        while data := connection.recv(_READ_BYTES):
            rest += data
            pos = 0
            answers = []
            while header := _HEADER.match(rest, pos):
                name, length = header[1], int(header[2])
                # Without data the header's last byte is the LF already.
                end = header.end() + (length + 1 if rest[header.end() - 1] == 0x20 else 0)
                if end > len(rest):
                    break
                pos = end
                txnr += 1
                answer = _OPENED if name == b"open" else b"200 OK"
                answers.append(b"%d rsp %d %b\n" % (txnr, len(answer), answer))
            rest = rest[pos:]
            connection.sendall(b"".join(answers))
            if txnr > lines and not is_told:
                is_told = True
                _say({"event": "done", "ended": time.time()})


def _say(what: dict[str, object]) -> None:
    print(json.dumps(what), file=sys.stderr, flush=True)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _LARGEST_SEGMENT)
        host, port = server.getsockname()
        _say({"event": "listening", "host": host, "port": port})
        serve(server, int(sys.argv[1]))


if __name__ == "__main__":
    main()
