"""What a certificate says of a peer, in the log too."""

import hashlib
from pathlib import Path

from OpenSSL import crypto

from service.listeners.peer_certificate import read
from tests.listeners.certificates import Identity, make


def certificate(identity: Identity) -> crypto.X509:
    return crypto.X509.from_cryptography(identity.certificate)


def test_dns_names_before_common_names(tmp_path: Path) -> None:
    both = read(certificate(make(tmp_path, "cn.example.net", names=["a.example.net", "b"])))
    assert both.names == ("a.example.net", "b")
    only = read(certificate(make(tmp_path, "cn.example.net", names=[])))
    assert only.names == ("cn.example.net",)


def test_a_certificate_of_a_version_that_there_is_not_is_told_of_all_the_same(
    tmp_path: Path,
) -> None:
    """OpenSSL takes it; the library that reads it raises an error of its own kind."""
    version_3, version_8 = (b"\xa0\x03\x02\x01" + number for number in (b"\x02", b"\x07"))
    der = make(tmp_path, "x").der.replace(version_3, version_8, 1)
    found = read(crypto.load_certificate(crypto.FILETYPE_ASN1, der))
    assert (found.subject, found.names) == ("unreadable", ())
    assert found.digest == hashlib.sha256(der).digest()


def test_facts_are_short_and_printable(tmp_path: Path) -> None:
    made = make(tmp_path, "x", names=[f"{number}.example.net" for number in range(100)])
    facts = read(certificate(made)).facts()
    assert facts["names"] == [f"{number}.example.net" for number in range(8)]
    assert facts["fingerprint"] == made.fingerprint
    assert facts["subject"] == "CN=x"
    evil = read(certificate(make(tmp_path, "\x1b[2Jevil\n", names=[]))).facts()
    assert str(evil["subject"]).isprintable()
    assert evil["names"] == ["?[2Jevil?"]
