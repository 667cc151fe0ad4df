"""Which lives are led, and how often: one function a course of events.

In: the world, a host, the clock. Out: rounds of lines (`lines.Round`), the first to be played at
once, each next one as a retry much later.
"""

from collections.abc import Callable

from benchmarks import sessions
from benchmarks.lines import Round
from benchmarks.messages import Message
from benchmarks.stamps import Clock
from benchmarks.world import Host, World

Life = Callable[[World, Host, Clock], list[Round]]

_RETRY = 300
"""Seconds until the first retry, as `minimal_backoff_time`."""


def delivered(world: World, host: Host, clock: Clock) -> list[Round]:
    message = Message(world, host, clock)
    recipients = [world.pick(world.recipients) for _ in range(1 + world.below(3) // 2)]
    lines = message.arrives()
    lines += [message.active(len(recipients)), message.leaves_smtpd()]
    lines += [message.sent(recipient) for recipient in recipients]
    if world.chance(0.12):
        lines.append(sessions.decoy(world, host, message.queue_id))
    lines.append(message.removed())
    return [lines]


def deferred(world: World, host: Host, clock: Clock) -> list[Round]:
    """Deferred, tried again, and at last delivered, bounced or expired."""
    message = Message(world, host, clock)
    recipients = [world.pick(world.recipients) for _ in range(1 + world.below(5))]
    lines = message.arrives()
    lines += [message.active(len(recipients)), message.leaves_smtpd()]
    lines += [message.deferred(recipient) for recipient in recipients]
    rounds = [lines]
    age = 0
    for _ in range(world.below(3)):
        age += _RETRY + world.below(4000)
        lines = [message.active(len(recipients))]
        lines += [message.deferred(recipient, age) for recipient in recipients]
        rounds.append(lines)
    rounds.append(_end(world, message, recipients, age + _RETRY + world.below(4000), clock))
    return rounds


def _end(world: World, message: Message, recipients: list[str], age: int, clock: Clock) -> Round:
    lines = [message.active(len(recipients))]
    # An expiry ends all recipients in one line: of one, or the truth would have to count them.
    if len(recipients) == 1 and world.chance(0.1) and not message.has_strangers:
        lines.append(message.expired())
        lines += message.notice(clock)
    elif world.chance(0.2):
        lines += [message.bounced(recipient, age) for recipient in recipients]
        lines += message.notice(clock)
    else:
        lines += [message.sent(recipient, age) for recipient in recipients]
    lines.append(message.removed())
    return lines


def bounced(world: World, host: Host, clock: Clock) -> list[Round]:
    message = Message(world, host, clock)
    recipients = [world.pick(world.recipients) for _ in range(1 + world.below(3))]
    lines = message.arrives()
    lines += [message.active(len(recipients)), message.leaves_smtpd()]
    lines += [
        message.sent(recipient) if number and world.chance(0.3) else message.bounced(recipient)
        for number, recipient in enumerate(recipients)
    ]
    lines += message.notice(clock)
    lines.append(message.removed())
    return [lines]


def content_refused(world: World, host: Host, clock: Clock) -> list[Round]:
    message = Message(world, host, clock)
    lines = message.arrives()
    lines += [message.refused(), message.leaves_smtpd()]
    return [lines]


def partly_refused(world: World, host: Host, clock: Clock) -> list[Round]:
    """One recipient refused, the message accepted for another: its queue id is on both lines."""
    message = Message(world, host, clock)
    lines = message.arrives()
    lines.insert(2, sessions.refusal(world, host, message.smtpd, message.client))
    header, text, kind = lines[2]
    if text.startswith("NOQUEUE: reject: RCPT"):
        lines[2] = (header, message.queue_id + text.removeprefix("NOQUEUE"), kind)
    lines += [message.active(1), message.sent(world.pick(world.recipients)), message.removed()]
    return [lines]


def refused(world: World, host: Host, clock: Clock) -> list[Round]:
    return [sessions.refused_session(world, host)]


def screened(world: World, host: Host, clock: Clock) -> list[Round]:
    return [sessions.screened_session(world, host)]


def idle(world: World, host: Host, clock: Clock) -> list[Round]:
    return [sessions.idle_session(world, host)]


def storm(world: World, host: Host, clock: Clock) -> list[Round]:
    """Nothing but failures: the midst of a dictionary attack, or of a queue run."""
    count = 10 + world.below(30)
    if world.chance(0.5):
        client, header = world.pick(world.clients), world.pick(host.headers["smtpd"])
        return [[sessions.refusal(world, host, header, client) for _ in range(count)]]
    message = Message(world, host, clock)
    fail = message.bounced if world.chance(0.25) else message.deferred
    age = _RETRY + world.below(86_400)
    return [[fail(world.pick(world.recipients), age) for _ in range(count)]]


HEALTHY: tuple[Life, ...] = (delivered,) * 8 + (idle,) * 2
FAILING: tuple[Life, ...] = (
    (refused,) * 15 + (screened,) * 5 + (deferred,) * 8 + (bounced,) * 8
    + (content_refused,) * 4 + (partly_refused,) * 3
)  # fmt: skip
STORM: tuple[Life, ...] = (storm,)
