"""The fleet that the generated logs come from: hosts, clients, addresses, queue ids.

In: a seed and a number of hosts. Out: pools to pick from, the same for the same seed on every
Python version: only `Random.random()` is used, whose sequence Python promises to keep. Names are
of the reserved `.example` domains, addresses of the documentation ranges (RFC 2606, 5737, 3849).

Queue ids: Postfix `global/mail_queue.h`, short (MQID_SH_*) on one half of the hosts, long
(MQID_LG_*) on the other.
"""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

_BASE52 = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_INODES = 65_536
"""Inodes in use by turns: ids repeat over time as on a real file system, never while in use."""

_PROCESSES = {
    "postscreen": 1, "smtpd": 24, "submission/smtpd": 6, "cleanup": 8, "pickup": 1, "qmgr": 1,
    "smtp": 24, "lmtp": 6, "local": 2, "virtual": 2, "pipe": 2, "error": 2, "bounce": 2,
    "anvil": 1, "dnsblog": 2,
}  # fmt: skip
_WORDS = (
    "alder", "birch", "cedar", "dale", "elm", "fern", "grove", "heath", "iris", "juniper",
    "kelp", "larch", "maple", "nettle", "oak", "pine", "quince", "reed", "sage", "thistle",
    "umber", "vale", "willow", "yarrow", "zinnia", "amber", "basalt", "cobalt", "delta",
    "ember",
)  # fmt: skip
_NAMES = (
    "anna", "bob", "carla", "dmitri", "elena", "farid", "greta", "hugo", "ines", "jonas",
    "kaija", "lars", "maria", "noor", "olga", "pavel", "quentin", "rosa", "samir", "tove",
    "uma", "viktor", "wanda", "xenia", "yusuf", "zoe", "info", "sales", "billing", "noreply",
    "news",
)  # fmt: skip


class World:
    """Everything that stays the same while the log goes on."""

    def __init__(self, seed: int, hosts: int, header_format: str) -> None:
        self.random = Random(seed).random
        self.domains = [
            f"{self.pick(_WORDS)}{n if n % 3 else ''}.{self.pick(('example', 'test.example'))}"
            for n in range(300)
        ]
        self.recipients = [self._address() for _ in range(6000)]
        self.senders = [self._address() for _ in range(3000)]
        self.clients = [self._client(n) for n in range(2500)]
        self.exchangers = [self._exchanger(n) for n in range(500)]
        self.hosts = [Host(n, header_format) for n in range(hosts)]

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.random() * len(choices))]

    def chance(self, share: float) -> bool:
        return self.random() < share

    def below(self, limit: int) -> int:
        return int(self.random() * limit)

    def ip(self) -> str:
        if self.chance(0.15):
            return f"2001:db8:{self.below(4096):x}:{self.below(256):x}::{1 + self.below(65535):x}"
        network = self.pick(("192.0.2", "198.51.100", "203.0.113"))
        return f"{network}.{1 + self.below(254)}"

    def message_id(self) -> str:
        return f"{self.below(1 << 31):08X}.{self.below(1 << 47):012X}@{self.pick(self.domains)}"

    def _address(self) -> str:
        name = self.pick(_NAMES)
        form = self.random()
        if form < 0.45:
            local = f"{name}.{self.pick(_WORDS)}"
        elif form < 0.7:
            local = f"{name}{self.below(900)}"
        elif form < 0.8:
            local = f"{name}+{self.pick(_WORDS)}-{self.below(90)}"
        elif form < 0.98:  # VERP, as mailing lists write their envelope senders
            local = f"bounces+{self.below(1 << 24)}-{name}={self.pick(_WORDS)}.example"
        else:
            local = f"j\N{LATIN SMALL LETTER O WITH DIAERESIS}rg.{name}"
        return f"{local}@{self.pick(self.domains)}"

    def _client(self, number: int) -> tuple[str, str, str]:
        """Name and address as logged, the bare address, the HELO name."""
        ip = self.ip()
        if self.chance(0.3):
            helo = self.pick(
                (f"host-{number}.dyn.{self.pick(self.domains)}", "localhost", "WIN-PC")
            )
            return f"unknown[{ip}]", ip, helo
        name = f"mail{number}.{self.pick(self.domains)}"
        return f"{name}[{ip}]", ip, name

    def _exchanger(self, number: int) -> tuple[str, str]:
        """A remote mail server: name, address."""
        return f"mx{number % 4}.{self.pick(self.domains)}", self.ip()


class Host:
    """One MTA: its name, the headers of its processes' lines, its queue ids."""

    def __init__(self, number: int, header_format: str) -> None:
        name = f"mx{number:02d}" if number % 2 else f"mx{number:02d}.mail.example"
        self.has_long_ids = number % 2 == 1
        self.logs_tls = number % 4 == 3  # Postfix 3.11: smtp_log_tls_feature_status
        self.logs_sasl = number % 4 >= 2  # Postfix 3.10: sasl_* in reject lines
        instance = "postfix-out" if number % 5 == 4 else "postfix"
        self.headers: dict[str, list[str]] = {}
        pid = 900 + 7 * number
        for program, count in _PROCESSES.items():
            self.headers[program] = []
            for _ in range(count):
                pid += 1
                # The stock master.cf names submission literally, in every instance.
                first = "postfix" if "/" in program else instance
                tag = f"{first}/{program}"
                self.headers[program].append(_header(header_format, name, tag, pid))
        for program in ("dovecot", "opendkim", "amavis"):
            pid += 1
            self.headers[program] = [_header(header_format, name, program, pid)]
        self._inode = 7 * number

    def queue_id(self, seconds: int, microseconds: int) -> str:
        self._inode = (self._inode + 1) % _INODES
        inode = 0x1C0000 + self._inode
        if not self.has_long_ids:
            return f"{microseconds:05X}{inode:X}"
        time = _digits(seconds, 52).rjust(6, "0") + _digits(microseconds, 52).rjust(4, "0")
        return f"{time}z{_digits(inode, 51)}"


def _header(header_format: str, host: str, tag: str, pid: int) -> str:
    if header_format == "rfc5424":
        return f" {host} {tag} {pid} - - "
    return f" {host} {tag}[{pid}]: "


def _digits(value: int, base: int) -> str:
    digits = ""
    while True:
        value, digit = divmod(value, base)
        digits = _BASE52[digit] + digits
        if not value:
            return digits
