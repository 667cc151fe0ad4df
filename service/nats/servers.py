"""Which server to try next.

In: the configured servers and what a server tells of its cluster. Out: one after the other, from
a random start so that many receivers spread; the one that was just lost comes last.
"""

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

_LEARNT_MAX = 32
"""Servers remembered beside the configured ones: what a server says is not trusted to be short."""


class Candidate(NamedTuple):
    url: str
    hostname: str | None
    """Name to expect in its certificate, where it is not the host of the URL."""


class Servers:
    def __init__(self, configured: Sequence[str]) -> None:
        self._configured = [Candidate(url, None) for url in configured]
        random.shuffle(self._configured)
        self._queue = list(self._configured)

    def __len__(self) -> int:
        return len(self._queue)

    def next(self) -> Candidate:
        candidate = self._queue.pop(0)
        self._queue.append(candidate)
        return candidate

    def learn(self, source: Candidate, urls: Iterable[str]) -> None:
        """The cluster's addresses, as told by `source`. Most are bare IP addresses, and the
        certificate is for a name: that of the server we were told to use."""
        scheme = urlsplit(source.url).scheme
        hostname = source.hostname or urlsplit(source.url).hostname
        known = {urlsplit(candidate.url).netloc for candidate in self._configured}
        learnt = []
        for url in urls:
            netloc = urlsplit(url).netloc.rpartition("@")[2]
            if netloc not in known and len(learnt) < _LEARNT_MAX:
                known.add(netloc)
                learnt.append(Candidate(f"{scheme}://{netloc}", hostname))
        random.shuffle(learnt)
        self._queue = [c for c in [*self._configured, *learnt] if c.url != source.url]
        self._queue.append(source)
