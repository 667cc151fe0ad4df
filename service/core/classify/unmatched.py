"""Who can act on a failure whose words no rule knows, by its enhanced code (RFC 3463 section 3).

In: what was said. Out: a scope. Only the subject of the code counts, its second number: details
that nobody has registered mean no more than that. Without one it is not known who can act: 450,
550, 553 and 554 have many meanings.
"""

from schemas.vocabulary import Scope
from service.core.classify.conditions import split_enhanced
from service.core.classify.subject import REMOTE, Subject

_SCOPES = {
    "2": Scope.RECIPIENT.value,
    "4": Scope.NETWORK.value,
    "5": Scope.REMOTE.value,
    "6": Scope.MESSAGE.value,
    "7": Scope.POLICY.value,
}
"""X.1 and X.3 depend on more; X.0 says nothing."""
_OF_THE_RECIPIENT = frozenset({"RCPT", "RCPT TO"})
_OF_THE_SENDER = frozenset({"MAIL", "MAIL FROM"})


def scope_of(asked: Subject) -> str:
    parts = split_enhanced(asked.enhanced) if asked.enhanced is not None else None
    if parts is None:
        return Scope.UNKNOWN.value
    number = parts[1]
    if number == "1":  # an address: whose, tells the command that was answered
        if asked.place in _OF_THE_RECIPIENT:
            return Scope.RECIPIENT.value
        return Scope.SENDER.value if asked.place in _OF_THE_SENDER else Scope.UNKNOWN.value
    if number == "3":  # a mail system: theirs, or the one whose words these are
        return Scope.REMOTE.value if asked.said == REMOTE else Scope.LOCAL.value
    return _SCOPES.get(number, Scope.UNKNOWN.value)
