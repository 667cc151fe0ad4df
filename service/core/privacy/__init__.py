"""What personal data of an event is kept, shortened, replaced by a keyed hash or dropped.

In: an event as it was assembled, and a policy. Out: the event as it may be seen; everything behind
it (envelope, subject, spool, NATS) sees only that. What it covers is in `docs/privacy.md`.

    policy      what is wished for each kind of value
    pseudonyms  the keyed hash, the same for every spelling of a value
    values      what is left of one address, client address or name
    known       the values of one event that are kept out, in all their spellings
    texts       free text without them, and without whatever else looks like an address
    masking     the line of a dead letter, reduced to its shape
    treatment   all of it, on one event
"""

from service.core.privacy.policy import Policy, Treatment
from service.core.privacy.treatment import Privacy

__all__ = ["Policy", "Privacy", "Treatment"]
