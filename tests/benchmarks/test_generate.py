"""The generator tells the truth: patterns of Postfix's writers recount its lines."""

import re
from collections import Counter
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest

from benchmarks.generate import Corpus, Options, corpus
from benchmarks.lines import Kind

LINES = 20_000
FORWARD = re.compile(
    r"<(?P<pri>20|22)>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+02:00 mx\d\d(?:\.mail\.example)? "
    r"(?P<tag>[a-z/-]+)\[\d+\]: (?P<text>.+)"
)
TRADITIONAL = re.compile(
    r"<(?P<pri>20|22)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d mx\d\d(?:\.mail\.example)? "
    r"(?P<tag>[a-z/-]+)\[\d+\]: (?P<text>.+)"
)
RFC5424 = re.compile(
    r"<(?P<pri>20|22)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+02:00 mx\d\d(?:\.mail\.example)? "
    r"(?P<tag>[a-z/-]+) \d+ - - (?P<text>.+)"
)
FORMS = {"forward": FORWARD, "traditional": TRADITIONAL, "rfc5424": RFC5424}

SHORT = r"[0-9A-F]{5}1C[0-9A-F]{4}"
LONG = r"[0-9BCDFGHJKLMNPQRSTVWXYZb-df-hj-np-tv-z]{10}z[0-9BCDFGHJKLMNPQRSTVWXYZb-df-hj-np-tv-y]{4}"
QUEUE_ID = rf"(?:{SHORT}|{LONG})"
CLIENT = r"[A-Za-z0-9._-]+\[[0-9a-f.:]+\]"
ADDRESS = r'<(?:"[^"]*"@)?[^<>"]*>'
CONTEXT = (
    rf"(?:; (?:from={ADDRESS} ?)?(?:to={ADDRESS} )?proto=E?SMTP(?: helo=<[^<>]+>)?"
    r"(?: sasl_method=PLAIN sasl_username=\S+)?)"
)
CODE = r"[45]\d\d [45]\.\d{1,3}\.\d{1,3}"
STAGE = r"(?:CONNECT|EHLO|MAIL|RCPT|DATA|VRFY|ETRN|END-OF-MESSAGE|BDAT content)"
ANY_ID = rf"(?:NOQUEUE|{QUEUE_ID})"
PEER = r"\[[0-9a-f.:]+\]:\d+"
SCREENED = rf"from={ADDRESS}, to={ADDRESS}, proto=E?SMTP, helo=<[^<>]+>"
REJECTS = [  # the daemon, the whole text: every shape that is a rejection
    ("smtpd", rf"{ANY_ID}: reject: {STAGE} from {CLIENT}: {CODE} .+{CONTEXT}"),
    ("smtpd", rf"{QUEUE_ID}: reject: {STAGE} from {CLIENT}: bare <LF> received{CONTEXT}"),
    ("smtpd", rf"{ANY_ID}: reject: RCPT from {CLIENT}: 421 4\.3\.0 \S+ Server local data error"),
    ("smtpd", rf"{ANY_ID}: milter-reject: {STAGE} from {CLIENT}: {CODE} .+{CONTEXT}"),
    ("smtpd", rf"proxy-reject: END-OF-MESSAGE: {CODE} .+{CONTEXT}"),
    ("smtpd", rf"{ANY_ID}: abort: TLS from {CLIENT}: No client certificate presented"),
    ("cleanup", rf"{QUEUE_ID}: reject: (?:header|body) .+ from {CLIENT}{CONTEXT}: 5\.7\.1 .+"),
    ("cleanup", rf"{QUEUE_ID}: reject: mime-error .+ from {CLIENT}{CONTEXT}"),
    ("cleanup", rf"{QUEUE_ID}: milter-reject: {STAGE} from {CLIENT}: [45]\.7\.1 .+{CONTEXT}"),
    ("cleanup", rf"{QUEUE_ID}: milter-header-reject: header .+ from {CLIENT}{CONTEXT}: 5\.7\.1 .+"),
    ("postscreen", rf"NOQUEUE: reject: RCPT from {PEER}: {CODE} .+; {SCREENED}"),
    ("postscreen", rf"NOQUEUE: reject: CONNECT from {PEER}: too many connections"),
    ("postscreen", rf"NOQUEUE: reject: CONNECT from {PEER}: all server ports busy"),
    ("postscreen", rf"reject: connect from {PEER}: all screening ports busy"),
]
NUMBER = r"(?:0|0\.\d{1,2}|[1-9]\.\d|[1-9]\d*)"
DELIVERY = re.compile(
    rf"{QUEUE_ID}: to={ADDRESS}(?:, orig_to=<[^<>]+>)?, "
    r"relay=(?:none|[a-z]+|[\w.-]+\[[0-9a-f.:]+\]:25|[\w.]+\[private/[\w-]+\])"
    rf"(?:, conn_use=\d)?, delay={NUMBER}, delays={NUMBER}/{NUMBER}/{NUMBER}/{NUMBER}"
    r"(?:, tls=may)?, dsn=(?P<dsn>[245])\.\d\.\d{1,3}, status=(?P<status>[a-zA-Z]+) \(.+\)"
)
EXPIRED = re.compile(rf"{QUEUE_ID}: from={ADDRESS}, status=expired, returned to sender")


def classify(tag: str, text: str) -> str:
    program = tag.rpartition("/")[2]
    if "/" not in tag:
        return "other"
    if any(daemon == program and re.fullmatch(shape, text) for daemon, shape in REJECTS):
        return "reject"
    if program == "qmgr" and EXPIRED.fullmatch(text):
        return "bounced"
    if found := DELIVERY.fullmatch(text):
        word, code = found["status"], found["dsn"]
        if word in ("deferred", "SOFTBOUNCE"):
            assert code == "4", text
            return "deferred"
        if word == "bounced":
            assert code == "5", text
            return "bounced"
        assert word in ("sent", "undeliverable"), text
    return "other"


def lines_of(made: Corpus) -> list[str]:
    return b"".join(made.blocks).decode().splitlines()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.6, 1.0])
def test_recount_finds_what_the_truth_says(share: float) -> None:
    made = corpus(Options(LINES, share))
    found: Counter[str] = Counter()
    for line in lines_of(made):
        parts = FORWARD.fullmatch(line)
        assert parts, line
        found[classify(parts["tag"], parts["text"])] += 1
    assert {name: found[name] for name in made.truth.by_type} == made.truth.by_type
    assert made.truth.failures == sum(made.truth.by_type.values())
    assert abs(made.truth.failures / LINES - share) < 0.01


@pytest.mark.parametrize("form", FORMS)
def test_every_line_is_unique_and_of_its_form(form: str) -> None:
    made = corpus(Options(LINES, format=form))
    lines = lines_of(made)
    assert len(lines) == len(set(lines)) == LINES == made.truth.lines
    assert all(FORMS[form].fullmatch(line) for line in lines)


def test_traditional_storm_is_unique_though_stamps_repeat() -> None:
    lines = lines_of(corpus(Options(LINES, 1.0, format="traditional")))
    assert len(set(lines)) == LINES
    assert len({line[:19] for line in lines}) < LINES / 10


def test_same_options_same_bytes() -> None:
    made, again = corpus(Options(5000)), corpus(Options(5000))
    assert made.blocks == again.blocks
    assert made.truth == again.truth
    assert corpus(Options(5000, seed=43)).blocks != made.blocks


def test_truth_counts_bytes_and_lines() -> None:
    made = corpus(Options(4321))
    data = b"".join(made.blocks)
    assert made.truth.bytes == len(data)
    assert made.truth.lines == data.count(b"\n") == 4321 == sum(made.truth.kinds)
    assert data.endswith(b"\n")
    assert 160 < len(data) / 4321 < 220


def test_failure_lines_are_kept_on_request() -> None:
    made = corpus(Options(5000), keep_failures=True)
    assert len(made.failure_lines) == made.truth.failures
    assert set(made.failure_lines) < set(b"".join(made.blocks).split(b"\n"))
    assert corpus(Options(5000)).failure_lines == []


def test_variety() -> None:
    """Short and long ids, IPv6, UTF-8, null senders, decoys, retries, notices, all in one log."""
    made = corpus(Options(60_000))
    text = "\n".join(lines_of(made))
    for needle in (
        "2001:db8:", "j\u00f6rg.", "from=<>", "status=SOFTBOUNCE", "status=expired", "orig_to=<",
        "tls=may", "sasl_username=", "postfix-out/", "non-delivery notification", "uid=1000",
        "status=sent (250 2.0.0 Ok (reject: none)", "milter-reject", "proxy-reject", "abort: TLS",
        "bare <LF>", "reject: header Subject", "relay=mail.example[private/",
    ):  # fmt: skip
        assert needle in text, needle
    assert re.search(rf": {SHORT}: to=", text)
    assert re.search(rf": {LONG}: to=", text)
    assert made.truth.kinds[Kind.DECOY] > LINES / 500
    hosts = {line.split(" ")[1] for line in text.splitlines()}
    assert len(hosts) == Options(1).hosts


def test_warnings_alone_have_the_warning_priority() -> None:
    for line in lines_of(corpus(Options(LINES))):
        parts = FORWARD.fullmatch(line)
        assert parts
        assert (parts["pri"] == "20") == parts["text"].startswith("warning: ")


def test_addresses_are_of_the_documentation_ranges() -> None:
    ranges = [
        ip_network(n)
        for n in (
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "2001:db8::/32",
            "127.0.0.0/8",
        )
    ]
    text = "\n".join(lines_of(corpus(Options(LINES))))
    found = set(re.findall(r"\[([0-9a-f.:]+[.:][0-9a-f]+)\]", text))
    assert len(found) > 500
    for address in map(ip_address, found):
        assert any(address in network for network in ranges if network.version == address.version)


def test_retries_come_later_and_the_last_line_of_an_id_is_its_removal() -> None:
    at: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(lines_of(corpus(Options(60_000)))):
        found = re.search(rf"\]: ({LONG}): (.+)", line)
        if found:
            at.setdefault(found[1], []).append((number, found[2]))
    retried = [
        lines for lines in at.values() if sum("queue active" in text for _, text in lines) > 1
    ]
    assert len(retried) > 20
    for lines in retried:
        active = [number for number, text in lines if "queue active" in text]
        assert all(later - earlier > 500 for earlier, later in pairwise(active))
        assert not any(text == "removed" for _, text in lines[:-1])


@pytest.mark.parametrize(
    "wrong", [{"failures": 1.1}, {"failures": -0.1}, {"hosts": 0}, {"lines": -1}]
)
def test_senseless_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no such log"):
        Options(**{"lines": 1, **wrong})  # type: ignore[arg-type]


def test_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown format"):
        corpus(Options(1, format="gelf"))
