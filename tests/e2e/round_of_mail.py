"""What one round of `deploy/postfix/fail-mail.sh` becomes: six failures, each of another kind."""

import re

FAILURES = {
    ("reject", "victim@elsewhere.example", "relay_denied"),
    ("reject", "postmaster@example.com", "spam_content"),
    ("bounced", "nobody@example.com", "unknown_user"),
    ("bounced", "anna@full.example", "unknown_user"),
    ("deferred", "bob@busy.example", "mailbox_full"),
    ("deferred", "carl@away.example", "connection"),
}
"""Type, recipient, category."""

Failure = tuple[object, str, object]


def failure(event_type: object, recipient: object, category: object) -> Failure:
    """The number that the script writes into some recipients is of its round."""
    return event_type, re.sub(r"-\d+@", "@", str(recipient)), category
