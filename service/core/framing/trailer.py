"""The trailer senders leave inside a datagram or an octet-counted frame.

RFC 5426 and RFC 6587 3.4.1 give a frame no trailer; senders add one all the same: rsyslog's
`RSYSLOG_SyslogProtocol23Format` ends with LF, old senders with NUL.
"""


def without_trailer(data: bytes) -> bytes:
    """Strip NULs, at most one LF and one CR, and NULs before them: a blank line more is content."""
    if data[-1:] > b"\r":
        return data
    return data.rstrip(b"\0").removesuffix(b"\n").removesuffix(b"\r").rstrip(b"\0")
