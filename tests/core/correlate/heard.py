"""Lines of one host, as a correlator hears them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from service.core.correlate.correlator import Correlator, News
from service.core.correlate.links import Notice
from service.core.correlate.memory import Bounds, stamp_of
from service.core.correlate.story import Story
from service.core.correlate.trace import queue_of, told_by
from service.core.postfix.facts import Delivery

NOW = 1_787_392_800
RECEIVED = datetime.fromtimestamp(NOW, UTC)
ZONE = ZoneInfo("UTC")
CLIENT = "postfix/smtpd[1]: 4ABCDE12F: client=mail.example.net[192.0.2.10]:4711"
MESSAGE_ID = "postfix/cleanup[2]: 4ABCDE12F: message-id=<1@mail.example.net>"
ACTIVE = "postfix/qmgr[3]: 4ABCDE12F: from=<a@example.net>, size=4211, nrcpt=2 (queue active)"
REMOVED = "postfix/qmgr[3]: 4ABCDE12F: removed"


class Log:
    """Lines of one host, a second apart."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.known = Correlator(bounds or Bounds(10_000, 1 << 24, 86_400), ZONE)
        self.now = NOW
        self.sent: list[bytes] = []

    def tell(self, *lines: str, after: int = 1) -> News | Notice | None:
        news = None
        for line in lines:
            self.now += after
            at = datetime.fromtimestamp(self.now, UTC).isoformat()
            self.sent.append(f"<22>{at} mx1 {line}".encode())
            news = self._hear(self.sent[-1])
        return news

    def again(self, number: int) -> None:
        """The last lines come once more."""
        for raw in self.sent[-number:]:
            self._hear(raw)

    def _hear(self, raw: bytes) -> News | Notice | None:
        trace = self.known.traces.read(told_by(raw), RECEIVED, "192.0.2.250")
        assert trace is not None, raw
        news = self.known.hear(trace, stamp_of(self.now))
        if news is News.REMOVED:
            self.known.close(trace[0], trace[1], self.now)
        return news

    def story(self, queue_id: str = "4ABCDE12F", instance: str = "postfix") -> Story | None:
        queue = queue_of("mx1", instance)
        return self.known.story(queue, queue.key(queue_id))

    def key(self, queue_id: str = "4ABCDE12F") -> bytes:
        return queue_of("mx1", "postfix").key(queue_id)

    def deferred(self, recipient: str, line: str, at: float | None = None) -> int | None:
        """The number of the attempt."""
        facts = Delivery("deferred", "deferred", "later", recipient, delay=5.0)
        at = float(self.now) if at is None else at
        attempt = self.known.attempts.deferred(self.key(), self.story(), facts, at, line)
        assert attempt is not None
        if attempt.is_news:
            self.known.attempts.keep(self.key(), attempt.waiting, self.now)
        return attempt.number


def told(*lines: str) -> Story:
    log = Log()
    log.tell(*lines)
    story = log.story()
    assert story is not None
    return story
