"""`mailfault board`: a live page for the fleet, from JetStream, in a process of its own.

One way through it: stream → `reader` → `picture` (the aggregates: `recent`, `minutes`, `leaders`,
`waiting`, `fleet`) → `feed` (at most two looks a second) → `pages` (server-sent events) → browser.
Every part of the picture has a bound in `config`, and counts what the bound cost.

Text of log lines is hostile. It leaves here as JSON only, and the page puts it into text nodes
only; `guard` has the policy that would stop a script all the same.
"""
