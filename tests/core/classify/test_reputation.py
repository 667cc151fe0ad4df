"""A verdict on our reputation never blames the recipient, whatever else the reply says.

A caller that stops to write to such a recipient would lose good addresses to one entry of a list.
"""

import itertools

import pytest

from service.core.classify import builtin_classifier
from service.core.classify.builtin import builtin_rules
from tests.core.classify.case_files import door, remote

REPUTATION = [
    "Service unavailable; Client host [192.0.2.10] blocked using zen.spamhaus.org",
    "Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.10",
    "192.0.2.10 is listed at bl.example.net",
    "Your IP 192.0.2.10 is on a blacklist",
    "IP address 192.0.2.10 is blocked",
    "Your host is blacklisted here",
    "poor reputation of 192.0.2.10",
    "rejected due to bad reputation",
    "Rejected: 192.0.2.10 has a low sender score",
    "sender domain example.net is listed in dbl.example",
    "blocked because of the reputation of your domain",
    "Mail from your IP address is refused because of spam",
    "Your network has been blocked for abuse",
    "dynamic IP addresses must use the smtp server of your ISP",
    "refused: your mail server is a known spam source",
    "block listed by our RBL",
    "found in DNSBL",
    "Adresse IP bloquee",
    "votre serveur est sur liste noire",
    "Ihr Server steht auf der schwarzen Liste",
    "su servidor aparece en una lista negra",
    "il server e' in lista nera",
    "Barracuda Reputation: http://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.10",
    "abusive host, go away",
    "We do not accept mail from spammers",
    "IP is in our block list (S3140)",
    "your server sends spam to our users",
    "blocked by SenderBase reputation score",
    "does not accept mail from hosts listed by Spamhaus",
    "spamming IP",
    "compromised machine 192.0.2.10",
    "192.0.2.10 was identified as a spam relay",
    "unsolicited mail from your network",
    "flagged as source of unsolicited mail",
    "All messages from 192.0.2.10 will be permanently deferred",
]
TOO_MUCH = [
    "too many connections from your IP",
    "temporarily deferred due to user complaints",
    "rate limit exceeded, slow down",
    "192.0.2.10 throttled",
    "too many messages from you this hour",
    "you are sending too fast",
    "unusual invalid recipients",
    "Exceed max quota of number of sent messages per hour",
]
ALSO_SAYS = [
    "",
    "User unknown",
    "Recipient address rejected",
    "mailbox unavailable",
    "mailbox full",
    "account disabled",
    "no such user",
    "delivery to this recipient is not possible",
    "Empfaenger unbekannt",
    "destinataire inconnu",
]
CODES = ["550 5.1.1", "550", "552 5.2.2", "450 4.2.1"]
PLACES = ["greeting", "MAIL FROM", "RCPT TO", "end of DATA"]
PLAIN = "mx.example.net"
HOSTS = [f"mx.{min(provider.hosts)}" for provider in builtin_rules().providers]

classify = builtin_classifier().classify


def texts(reputation: str) -> list[str]:
    """With the codes and the words of a reply that does blame the recipient, before or after it."""
    return [
        f"{code} {': '.join(filter(None, said))}"
        for code in CODES
        for also in ALSO_SAYS
        for said in ((also, reputation), (reputation, also))
    ]


@pytest.mark.parametrize("reputation", REPUTATION)
def test_at_a_server_of_no_known_provider(reputation: str) -> None:
    for place, text in itertools.product(PLACES, texts(reputation)):
        verdict = classify(remote(text, PLAIN, place))
        assert verdict.scope != "recipient", (place, text, verdict)


@pytest.mark.parametrize("much", TOO_MUCH)
def test_what_we_send_too_much_of(much: str) -> None:
    for place, code in itertools.product(PLACES, CODES):
        verdict = classify(remote(f"{code} {much}", PLAIN, place))
        assert verdict.scope != "recipient", (place, code, verdict)
    for code, host in itertools.product(CODES, HOSTS):
        verdict = classify(remote(f"{code} {much}", host))
        assert verdict.scope != "recipient", (code, host, verdict)


@pytest.mark.parametrize("host", HOSTS)
def test_at_a_server_of_a_known_provider(host: str) -> None:
    for reputation in REPUTATION:
        for text in texts(reputation)[: 2 * len(ALSO_SAYS) : 2]:
            verdict = classify(remote(text, host))
            assert verdict.scope != "recipient", (text, verdict)


@pytest.mark.parametrize("reputation", REPUTATION)
def test_at_our_door(reputation: str) -> None:
    for text in texts(reputation):
        verdict = classify(door(text))
        assert verdict.scope != "recipient", (text, verdict)
