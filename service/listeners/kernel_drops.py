"""How many datagrams the kernel dropped at a UDP socket's full buffer.

Linux tells it per socket in the last column of `/proc/net/udp` and `/proc/net/udp6`, found by the
socket's inode (proc(5)).
"""

import os
import socket


def kernel_drops(sock: socket.socket) -> int:
    """0 where the system does not tell."""
    inode = str(os.fstat(sock.fileno()).st_ino)
    table = "/proc/net/udp6" if sock.family == socket.AF_INET6 else "/proc/net/udp"
    try:
        with open(table, encoding="ascii") as rows:
            next(rows)
            for row in rows:
                columns = row.split()
                if columns[9] == inode:
                    return int(columns[-1])
    except (OSError, StopIteration):
        return 0
    return 0
