"""Permitted names and fingerprints, in rsyslog's words."""

import pytest

from service.listeners.peers import PermittedNames, fingerprint, is_fingerprint

DIGEST = bytes(range(32))
COLONS = DIGEST.hex(":").upper()


@pytest.mark.parametrize(
    ("peer", "name", "permitted"),
    [
        ("mx1.example.net", "mx1.example.net", True),
        ("mx1.example.net", "MX1.Example.NET.", True),
        ("mx1.example.net", "mx2.example.net", False),
        ("mx1.example.net", "mx1xexample.net", False),
        ("mx1.example.net", "mx1.example.net.evil.org", False),
        ("*.example.net", "mx1.example.net", True),
        ("*.example.net", "a.mx1.example.net", False),
        ("*.example.net", "example.net", False),
        ("*.example.net", ".example.net", False),
        ("mx*.example.net", "mx12.example.net", True),
        ("mx*.example.net", "mx.example.net", True),
        ("mx*.example.net", "mx1.sub.example.net", False),
        ("*-out.example.net", "mx1-out.example.net", True),
        ("mx1.*.net", "mx1.example.net", True),
        ("*", "localhost", True),
        ("*", "a.b", False),
    ],
)
def test_names(peer: str, name: str, permitted: bool) -> None:
    assert (
        PermittedNames(["other.invalid", peer]).permits(["no.such.name.at.all", name]) is permitted
    )


@pytest.mark.parametrize(
    "peer",
    ["", "a..b", "a*b.example.net", "**", "*a*", "mx1.example.net.", "bücher.example", "a b"],
)
def test_no_names(peer: str) -> None:
    with pytest.raises(ValueError, match="is no host name"):
        PermittedNames([peer])


@pytest.mark.parametrize(
    "peer", [f"SHA256:{COLONS}", f"sha256:{COLONS.lower()}", f"SHA256:{DIGEST.hex()}"]
)
def test_fingerprints(peer: str) -> None:
    assert is_fingerprint(peer)
    assert fingerprint(peer) == DIGEST


@pytest.mark.parametrize(
    ("peer", "why"),
    [
        ("SHA1:" + ":".join(["AB"] * 20), "SHA1 can be forged"),
        ("SHA256:AB:CD", "32 bytes"),
        ("SHA256:" + "ZZ:" * 31 + "ZZ", "32 bytes"),
        ("SHA256:", "32 bytes"),
    ],
)
def test_no_fingerprints(peer: str, why: str) -> None:
    assert is_fingerprint(peer)
    with pytest.raises(ValueError, match=why):
        fingerprint(peer)
