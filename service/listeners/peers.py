"""Which peers are permitted: names and fingerprints as rsyslog writes them (`PermittedPeer`).

In: words from the settings, names and digests from certificates. No TLS library in here.

A name is compared label by label, without regard to case. A label of the setting may be `*`, or
begin or end with one `*`, as in `runtime/net.c` of rsyslog; it never reaches over a dot.
A fingerprint is `SHA256:` and 32 bytes in hexadecimal, as `openssl x509 -fingerprint -sha256`
prints it after the `=`.
"""

import re
from collections.abc import Iterable

_DIGEST_BYTES = 32
_LABEL = re.compile(r"\*|\*?[a-z0-9_-]+|[a-z0-9_-]+\*")
_MAX_NAME = 253


def is_fingerprint(peer: str) -> bool:
    """Whether it is meant as one; whether it is a good one, `fingerprint` says."""
    return peer.upper().startswith(("SHA1:", "SHA256:"))


def fingerprint(peer: str) -> bytes:
    """The digest. Raises `ValueError`."""
    algorithm, _, digits = peer.partition(":")
    if algorithm.upper() == "SHA1":
        raise ValueError(
            f"{peer}: SHA1 can be forged; give the SHA256 fingerprint, which "
            "`openssl x509 -noout -fingerprint -sha256` prints"
        )
    try:
        digest = bytes.fromhex(digits.replace(":", ""))
    except ValueError:
        digest = b""
    if algorithm.upper() != "SHA256" or len(digest) != _DIGEST_BYTES:
        raise ValueError(f"{peer} is not SHA256: and {_DIGEST_BYTES} bytes, as SHA256:AA:BB:...")
    return digest


def name_pattern(peer: str) -> re.Pattern[str]:
    """Raises `ValueError`."""
    labels = peer.lower().split(".")
    if len(peer) > _MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{peer} is no host name; `*` may be, begin or end a label")
    return re.compile(r"\.".join(map(_label_pattern, labels)))


def _label_pattern(label: str) -> str:
    if label == "*":
        return "[^.]+"
    return re.escape(label).replace(r"\*", "[^.]*")


class PermittedNames:
    def __init__(self, peers: Iterable[str]) -> None:
        """Raises `ValueError`."""
        self._patterns = [name_pattern(peer) for peer in peers]

    def permits(self, names: Iterable[str]) -> bool:
        wanted = [name.lower().removesuffix(".") for name in names]
        return any(pattern.fullmatch(name) for pattern in self._patterns for name in wanted)
