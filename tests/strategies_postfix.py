"""A model of how Postfix writes its failure lines, and hostile values to put into them.

The writers follow the C format strings (named at each), with what Postfix does to a value on its
way: quoting (`global/quote_822_local.c`), HELO neutering (`smtpd/smtpd.c`), masking
(`util/printable.c`). A parser that gives back what was put in has understood the line.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

_NEUTERED = ' <>()\\";@'
_SPECIALS = '()<>@,;:\\"[]'


def printable(text: str) -> str:
    """`util/printable.c`: controls become `?`, UTF-8 stays."""
    return "".join("?" if ord(char) < 32 or ord(char) == 127 else char for char in text)


def neuter(helo: str) -> str:
    """`smtpd/smtpd.c:helo_cmd`, once the command is accepted."""
    return "".join("?" if char in _NEUTERED else char for char in printable(helo))


def external(address: str) -> str:
    """`quote_822_local`, as `info_log_address_format = external` has it."""
    colon = address.find(":")
    start = colon + 1 if address.startswith("@") and colon >= 0 else 0
    route, rest = address[:start], address[start:]
    local, at, domain = rest.rpartition("@") if "@" in rest else (rest, "", "")
    if not address or _is_dot_string(local):
        return address
    quoted = "".join(f"\\{char}" if char in '"\\\r' else char for char in local)
    return f'{route}"{quoted}"{at}{domain}'


def internal(address: str) -> str:
    """`info_log_address_format = internal`, and every Postfix before 3.5."""
    return address


def _is_dot_string(local: str) -> bool:
    if not local or local.startswith(".") or local.endswith(".") or ".." in local:
        return False
    return not any(char == " " or char in _SPECIALS for char in local)


Form = Callable[[str], str]


@dataclass(frozen=True)
class Session:
    """What smtpd knows of a client when it refuses."""

    client: str = "mail.example.net[192.0.2.10]"
    sender: str | None = "a@example.net"
    recipient: str | None = "b@example.org"
    protocol: str | None = "ESMTP"
    helo: str | None = "mail.example.net"
    """As it is logged: neutered, but at the HELO stage."""
    sasl_method: str | None = None
    sasl_username: str | None = None
    sasl_sender: str | None = None

    def whatsup(self, form: Form = external) -> str:
        """`smtpd_whatsup` without login, and the context of cleanup."""
        parts = []
        if self.sender is not None:
            parts.append(f" from=<{form(self.sender)}>")
        if self.recipient is not None:
            parts.append(f" to=<{form(self.recipient)}>")
        if self.protocol is not None:
            parts.append(f" proto={self.protocol}")
        if self.helo is not None:
            parts.append(f" helo=<{self.helo}>")
        return "".join(parts)


def smtpd_line(
    session: Session, text: str, stage: str = "RCPT", action: str = "reject", form: Form = external
) -> str:
    """`smtpd/smtpd_check.c:log_whatsup`, Postfix 3.10 and later."""
    line = f"NOQUEUE: {action}: {stage} from {session.client}: {text};{session.whatsup(form)}"
    if session.sasl_method is not None:
        line += f" sasl_method={session.sasl_method}"
    if session.sasl_username is not None:
        line += f" sasl_username={session.sasl_username}"
    if session.sasl_sender is not None:
        line += f" sasl_sender={session.sasl_sender}"
    return printable(line)


def milter_line(session: Session, text: str, stage: str = "RCPT", form: Form = external) -> str:
    """`smtpd/smtpd.c:check_milter_reply`."""
    line = (
        f"4ABCDE12F: milter-reject: {stage} from {session.client}: {text};{session.whatsup(form)}"
    )
    if session.sasl_username is not None:
        line += f" sasl_username=<{session.sasl_username}>"
    return printable(line)


def proxy_line(session: Session, text: str, form: Form = external) -> str:
    """`smtpd/smtpd.c:common_post_message_handling`."""
    return printable(f"proxy-reject: END-OF-MESSAGE: {text};{session.whatsup(form)}")


def content_line(
    session: Session,
    content: str,
    text: str,
    kind: str = "header",
    action: str = "reject",
    form: Form = external,
) -> str:
    """`cleanup/cleanup_message.c:cleanup_act_log`."""
    line = f"4ABCDE12F: {action}: {kind} {content} from {session.client};{session.whatsup(form)}"
    return printable(f"{line}: {text}" if text else line)


def mime_line(session: Session, error: str, content: str, form: Form = external) -> str:
    """`cleanup/cleanup_message.c:cleanup_mime_error_callback`."""
    recipient = form(session.recipient) if session.recipient is not None else "unknown"
    return printable(
        f"4ABCDE12F: reject: mime-error {error}: {content} from {session.client}; "
        f"from=<{form(session.sender or '')}> to=<{recipient}>"
    )


def postscreen_line(session: Session, text: str, form: Form = external) -> str:
    """`postscreen/postscreen_smtpd.c:psc_rcpt_cmd`; the HELO name is as the client sent it."""
    return printable(
        f"NOQUEUE: reject: RCPT from {session.client}: {text}; "
        f"from=<{form(session.sender or '')}>, to=<{form(session.recipient or '')}>, "
        f"proto={session.protocol}, helo=<{session.helo or ''}>"
    )


def delivery_line(
    recipient: str,
    reason: str,
    original: str | None = None,
    status: str = "bounced",
    dsn: str = "5.1.1",
    form: Form = external,
) -> str:
    """`global/log_adhoc.c`."""
    line = f"4ABCDE12F: to=<{form(recipient)}>, "
    if original is not None:
        line += f"orig_to=<{form(original)}>, "
    return printable(
        f"{line}relay=mx.example.net[192.0.2.1]:25, delay=2.5, delays=0.1/0/1.4/1, dsn={dsn}, "
        f"status={status} ({reason})"
    )


def expiry_line(sender: str, form: Form = external) -> str:
    """`qmgr/qmgr_active.c`."""
    return printable(f"4ABCDE12F: from=<{form(sender)}>, status=expired, returned to sender")


PIECES = (
    "a", "x.example", "é", " ", ">", "<", '"', "\\", "@", ",", ";", ":", "(", ")", "[192.0.2.66]",
    "; from=<", "> to=<", ", to=<", ">, to=<", ">, orig_to=<", "; to=<", "; proto=SMTP",
    " proto=SMTP", " proto=ESMTP helo=<y", "; proto=ESMTP helo=<y", ">, proto=SMTP, helo=<z",
    "status=bounced (", ", status=sent (ok)", ", status=expired, returned to sender",
    ">, relay=evil[192.0.2.66]:25, delay=1, delays=0/0/0/1, dsn=5.0.0, status=bounced (",
    "; from=<evil@x.example> to=<boss@x.example> proto=ESMTP helo=<y>",
    "> to=<boss@x.example> proto=ESMTP helo=<y", " (in reply to RCPT TO command)",
    "] blocked using evil.example", "Service unavailable; client [192.0.2.66",
    " from evil.example[192.0.2.66]; from=<evil@x.example> to=<boss@x.example>",
    " from evil.example[192.0.2.66]: 550 5.1.1 ", ": 5.7.1 ", "NOQUEUE: reject: RCPT from ",
    " sasl_method=PLAIN", " sasl_username=boss", " sasl_username=<boss>", " sasl_sender=boss",
    "550 5.1.1 ", "reject: ", "host evil.example[192.0.2.66] said: 550 ", "\n", "\t",
)  # fmt: skip


def hostile(max_size: int = 8) -> st.SearchStrategy[str]:
    """Text that imitates the lines around it."""
    return st.lists(st.sampled_from(PIECES), max_size=max_size).map("".join)


def addresses() -> st.SearchStrategy[str]:
    """In internal form; whatever local part, and a domain that passed as one.

    Not those that begin with `@`: Postfix prints a source route without quotes, and what stands in
    it can be told from its surroundings by nobody.
    """
    local = hostile().filter(lambda text: not text.startswith("@")).map(printable)
    return st.one_of(
        st.just(""), st.just("plain@x.example"), local.map(lambda text: f"{text}@bad.example")
    )


def helo_names() -> st.SearchStrategy[str]:
    return hostile(4).map(neuter).filter(bool)
