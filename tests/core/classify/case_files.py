"""Own cases of the classifier: `cases/*.toml`, one line a case.

A case gives one text as `reply` (of another server), `door` (our refusal) or `own` (Postfix on a
delivery), and says which rule shall match, `is` category/scope, and `from` provider/code.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.core.postfix.facts import Delivery, Facts, Reject, Relay, RemoteReply

FOLDER = Path(__file__).parent / "cases"

_CODES = re.compile(r"(?:(\d{3})(?:[ -]|$))?([245]\.\d{1,3}\.\d{1,3}\b)?")


@dataclass(frozen=True)
class Case:
    file: str
    number: int
    rule: str
    category: str
    scope: str
    provider: str | None
    provider_code: str | None
    facts: Facts

    def __str__(self) -> str:
        return f"{self.file}-{self.number}-{self.rule}"


def cases() -> list[Case]:
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        content = tomllib.loads(path.read_text("utf-8"))
        host = content.get("host", "mx.example.net")
        for number, table in enumerate(content["cases"], 1):
            found.append(_case(path.stem, number, table, host))
    return found


def _case(file: str, number: int, table: dict[str, Any], host: str) -> Case:
    category, scope = table["is"].split("/")
    provider, _, code = table.get("from", "").partition("/")
    return Case(
        file,
        number,
        table["rule"],
        category,
        scope,
        provider or None,
        code or None,
        facts_of({"host": host, **table}),
    )


def facts_of(table: dict[str, Any]) -> Facts:
    if "door" in table:
        return door(
            table["door"],
            **{k: table[k] for k in ("stage", "action", "dnsbl", "helo") if k in table},
        )
    if "own" in table:
        return own(
            table["own"], dsn=table.get("dsn", "4.4.1"), status=table.get("status", "deferred")
        )
    return remote(table["reply"], table["host"], table.get("to", "RCPT TO"))


def door(
    text: str,
    stage: str = "RCPT",
    action: str = "reject",
    dnsbl: str | None = None,
    helo: str | None = "mail.example.net",
) -> Reject:
    code, enhanced = codes(text)
    return Reject(
        action,
        stage,
        text,
        None,
        smtp_code=code,
        enhanced_code=enhanced,
        sender="anna@example.net",
        recipient="bob@example.org",
        helo=helo,
        dnsbl=dnsbl,
    )


def own(text: str, dsn: str | None = "4.4.1", status: str = "deferred") -> Delivery:
    kind = "bounced" if status in ("bounced", "expired", "force-expired") else "deferred"
    return Delivery(kind, status, text, recipient="bob@example.org", enhanced_code=dsn)  # type: ignore[arg-type]


def remote(text: str, host: str = "mx.example.net", to: str = "RCPT TO") -> Delivery:
    """`to` is the command it answers, or one of the reasons in which Postfix wraps a reply."""
    code, enhanced = codes(text)
    peer = f"host {host}[192.0.2.1]"
    reason, command = {
        "greeting": (f"{peer} refused to talk to me: {text}", None),
        "protocol error": (f"Protocol error: {peer} said: {text} (in reply to {to})", "RCPT TO"),
        "sasl": (f"SASL authentication failed; server {host}[192.0.2.1] said: {text}", None),
        "starttls": (f"TLS is required, but {peer} refused to start TLS: {text}", None),
    }.get(to, (f"{peer} said: {text} (in reply to {to} command)", to))
    kind = "bounced" if code is not None and code >= 500 else "deferred"
    return Delivery(
        kind,  # type: ignore[arg-type]
        kind,
        reason,
        recipient="bob@example.org",
        relay=Relay(host, "192.0.2.1", 25, None),
        enhanced_code=enhanced or "5.0.0",
        remote_reply=RemoteReply(host, "192.0.2.1", code, enhanced, text, command),
    )


def codes(text: str) -> tuple[int | None, str | None]:
    match = _CODES.match(text)
    assert match is not None
    return int(match[1]) if match[1] else None, match[2]
