"""What happens at the door: whole SMTP sessions that end without a message in the queue.

In: the world. Out: rounds of lines, each from the first `connect` to the `disconnect`. Order of
lines: Postfix `smtpd/smtpd.c`, `postscreen/postscreen.c`.
"""

from benchmarks import shapes
from benchmarks.lines import Item, Kind, Round
from benchmarks.world import Host, World

_RCPT = shapes.texts("smtpd_rcpt")
_OTHER = shapes.texts("smtpd_other")
_POSTSCREEN = shapes.texts("postscreen")
_HOSTILE = [row.text for row in shapes.hostile() if row.program == "smtpd"]
_DECOYS = shapes.decoys()


def refusal(world: World, host: Host, header: str, client: tuple[str, str, str]) -> Item:
    """One refused command."""
    name, ip, helo = client
    sender = "" if world.chance(0.08) else world.pick(world.senders)
    recipient = world.pick(world.recipients)
    domain = recipient.rpartition("@")[2]
    luck = world.random()
    if luck < 0.10:
        text = world.pick(_OTHER).format(c=name, ip=ip, h=helo, s=sender, r=recipient, d=domain)
    elif luck < 0.11:
        text = world.pick(_HOSTILE).format(c=name, h=helo, s=sender, r=recipient, d=domain)
    else:
        reply = world.pick(_RCPT).format(c=name, ip=ip, h=helo, s=sender, r=recipient, d=domain)
        text = (
            f"NOQUEUE: reject: RCPT from {name}: {reply}; "
            f"from=<{sender}> to=<{recipient}> proto=ESMTP helo=<{helo}>"
        )
    return header, text, Kind.REJECT


def refused_session(world: World, host: Host) -> Round:
    """A client whose every recipient is refused."""
    if world.chance(0.05):
        return _submission(world, host)
    client = world.pick(world.clients)
    header = world.pick(host.headers["smtpd"])
    lines: Round = [(header, f"connect from {client[0]}", Kind.OTHER)]
    if client[0].startswith("unknown") and world.chance(0.3):
        warning = f"warning: hostname host.dyn.example does not resolve to address {client[1]}"
        lines.append((header, warning, Kind.WARNING))
    count = 1 + world.below(4)
    lines += [refusal(world, host, header, client) for _ in range(count)]
    if world.chance(0.3):
        lines.append((header, f"lost connection after RCPT from {client[0]}", Kind.OTHER))
    text = f"disconnect from {client[0]} ehlo=1 mail=1 rcpt=0/{count} quit=1 commands=3/{3 + count}"
    lines.append((header, text, Kind.OTHER))
    return lines


def _submission(world: World, host: Host) -> Round:
    name, _, helo = world.pick(world.clients)
    header = world.pick(host.headers["submission/smtpd"])
    sender, recipient = world.pick(world.senders), world.pick(world.recipients)
    login = sender.partition("@")[0]
    reply = f"553 5.7.1 <{sender}>: Sender address rejected: not owned by user {login}"
    sasl = f" sasl_method=PLAIN sasl_username={login}" if host.logs_sasl else ""
    text = (
        f"NOQUEUE: reject: RCPT from {name}: {reply}; "
        f"from=<{sender}> to=<{recipient}> proto=ESMTP helo=<{helo}>{sasl}"
    )
    return [
        (header, f"connect from {name}", Kind.OTHER),
        (header, text, Kind.REJECT),
        (header, f"disconnect from {name} ehlo=1 auth=1 mail=1 rcpt=0/1 commands=3/4", Kind.OTHER),
    ]


def screened_session(world: World, host: Host) -> Round:
    """postscreen turns a client away."""
    _, ip, helo = world.pick(world.clients)
    header = world.pick(host.headers["postscreen"])
    port = 1024 + world.below(64_000)
    peer = f"[{ip}]:{port}"
    lines: Round = [(header, f"CONNECT from {peer} to [192.0.2.25]:25", Kind.OTHER)]
    if world.chance(0.4):
        text = f"PREGREET 11 after 0.{world.below(90)} from {peer}: EHLO x\\r\\n"
        lines.append((header, text, Kind.OTHER))
    else:
        dnsblog = world.pick(host.headers["dnsblog"])
        text = f"addr {ip} listed by domain zen.dnsbl.example as 127.0.0.4"
        lines.append((dnsblog, text, Kind.OTHER))
        lines.append((header, f"DNSBL rank {1 + world.below(12)} for {peer}", Kind.OTHER))
    for _ in range(1 + world.below(3)):
        text = world.pick(_POSTSCREEN).format(
            ip=ip, p=port, h=helo, s=world.pick(world.senders), r=world.pick(world.recipients)
        )
        lines.append((header, text, Kind.REJECT))
    lines.append((header, f"DISCONNECT {peer}", Kind.OTHER))
    return lines


def idle_session(world: World, host: Host) -> Round:
    """A client that comes and goes; scanners, health checks, passwords tried."""
    name, ip, _ = world.pick(world.clients)
    luck = world.random()
    if luck < 0.3:
        header = world.pick(host.headers["postscreen"])
        peer = f"[{ip}]:{1024 + world.below(64_000)}"
        return [
            (header, f"CONNECT from {peer} to [192.0.2.25]:25", Kind.OTHER),
            (header, f"PASS OLD {peer}", Kind.OTHER),
        ]
    if luck < 0.6:
        header = world.pick(host.headers["submission/smtpd"])
        failed = (
            f"warning: {name}: SASL LOGIN authentication failed: UGFzc3dvcmQ6, "
            f"sasl_username={world.pick(world.senders)}"
        )
        return [
            (header, f"connect from {name}", Kind.OTHER),
            (header, failed, Kind.WARNING),
            (header, f"disconnect from {name} ehlo=1 auth=0/1 quit=1 commands=2/3", Kind.OTHER),
        ]
    header = world.pick(host.headers["anvil"])
    text = f"statistics: max connection rate {1 + world.below(90)}/60s for (smtp:{ip}) at Aug  1"
    return [(header, f"{text} 08:0{world.below(10)}:0{world.below(10)}", Kind.OTHER)]


def decoy(world: World, host: Host, queue_id: str) -> Item:
    """A line that only looks like a failure."""
    program, text = world.pick(_DECOYS)
    name, _, helo = world.pick(world.clients)
    exchanger, ip = world.pick(world.exchangers)
    text = text.format(
        q=queue_id, c=name, h=helo, m=exchanger, ip=ip, d=world.pick(world.domains),
        s=world.pick(world.senders), r=world.pick(world.recipients),
    )  # fmt: skip
    return world.pick(host.headers[program]), text, Kind.DECOY
