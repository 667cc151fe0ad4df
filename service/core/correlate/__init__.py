"""What earlier lines told of a message, and how its deferred recipients end.

    trace    ── a line, as bytes ──▶ who logged it, its queue id, what stands behind that
    memory   ── records by queue id, bounded; nothing is parsed before a message fails
    story    ── the records of one message ──▶ its ids, sender, client: read on failure only
    waiting  ── a deferred recipient: attempts, since when, what was said last
    correlator  joins them: takes lines in order, tells events what they do not say themselves

Postfix ties its lines by queue id, which is unique only within one host and instance, and only for
a time: a short one is used again once its message is gone. Losing this state loses no event; an
event says how much of it there was.
"""
