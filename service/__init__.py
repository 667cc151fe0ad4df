"""mailfault: Postfix log lines in, typed failure events out on NATS JetStream.

One line of syslog walks one way through the house; nobody walks back, except the
acknowledgement::

    socket ── listeners ──▶ core.framing ──▶ pipeline ──────────────────▶ outlet ──▶ nats
              bytes         frames           core.syslog   message        publish,     ▲
              and clock     and faults       core.postfix  facts          else spool ──┘
                                             core.classify verdict
                                             core.assemble event
                                             core.privacy  what may be shown of it
                                             core.envelope subject, id, headers, body

Invariants, each with a test:

1. Every frame ends as exactly one of: event(s), a skip with a reason, a drop with a reason.
   The counts balance at every moment the pipeline is idle.
2. An event id is a function of the line and its origin, not of time, connection or luck.
   A retry, a drain, a resend or a replay is the same id. (Of equal lines whose stamps do not tell
   them apart, also of their order in the sender's stream: `core.occurrences`.)
3. Nothing is acknowledged to a peer before it is durable: PubAck from JetStream, or committed
   to the spool.
4. Every buffer has a bound in the settings, a gauge, and a counter of what the bound cost.
5. Stop in flow order: not ready, listeners, what sits in socket buffers, pipeline, in flight,
   spool commit, last RELP acknowledgements and `serverclose`, NATS drain, web.
6. The state that enriches may be lost without losing an event; an event says how much context
   it had.
"""

__version__ = "0.1.0"
