"""Lines, behind their header, that tell of a message, and some that seem to."""

from service.core.correlate.trace import (
    CLIENT,
    FROM,
    MESSAGE_ID,
    POSTMASTER,
    REMOVED,
    SENDER,
    TO,
    UID,
)

LINES = {
    CLIENT: "4ABCDE12F: client=mail.example.net[192.0.2.10], sasl_method=PLAIN, sasl_username=anna",
    MESSAGE_ID: "4hRGXZ0sf8zFpTZ: message-id=<20260801102030.4ABCDE12F@mail.example.net>",
    FROM: "4ABCDE12F: from=<a@example.net>, size=4211, nrcpt=2 (queue active)",
    TO: "123450987: to=<bob@example.net>, relay=none, delay=1, dsn=2.0.0, status=sent (250 ok)",
    REMOVED: "1E2401234: removed",
    UID: "4ABCDE40D: uid=90 from=<anna@example.org> orig_id=4ABCDE12F",
    SENDER: "4ABCDE12F: sender non-delivery notification: 5F00112233",
    POSTMASTER: "4ABCDE12F: postmaster non-delivery notification: 5F00112235",
}
NOTHING = [
    "NOQUEUE: from=<a@example.net>, size=4211, nrcpt=2 (queue active)",
    "4ABCDE12F: resent-message-id=<a@b>",
    "4ABCDE12F: placed on hold",
    "4ABCDE12F: reject: RCPT from x[192.0.2.1]: 550 5.1.1 no; from=<a> to=<b> proto=ESMTP helo=<c>",
    "warning: 4ABCDE12F: client=mail.example.net[192.0.2.10]",
    "4ABCDE12F client=mail.example.net[192.0.2.10]",
    "abcde12F: client=mail.example.net[192.0.2.10]",
    "4ABC: removed",
    "connect from mail.example.net[192.0.2.10]",
    "",
]
PROXIED = "NOQUEUE: client=mail.example.net[192.0.2.10]"
"""Mail for a filter before the queue: known by the process that has it."""
