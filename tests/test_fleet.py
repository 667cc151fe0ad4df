"""Two receivers of a fleet, a real nats-server, and streams that move between them."""

from pathlib import Path

import pytest

from tests import mail_traffic
from tests.fleet import fleet, found, play, readable, score
from tests.nats_server import client_of, real_nats


@pytest.mark.parametrize("seed", [1])
async def test_streams_move_at_random_moments(tmp_path: Path, seed: int) -> None:
    hosts = [mail_traffic.host(f"mx{n}.example.org", 100 * seed + n, 100) for n in range(4)]
    async with real_nats(tmp_path) as server:
        async with fleet(tmp_path, [server.url]) as members:
            await readable(members)
            moves = await play(hosts, members, seed, 60)
            for member in members:
                await member.taken()
                await member.receiver.settled()
        async with client_of(server) as client:
            what = await found(client)
    from tests.fleet import where
    result = score(hosts, what)
    n=0
    for host in hosts:
        for mail in host.mails:
          for r in mail.recipients:
            if not r.deferrals: continue
            ev=what.deferred[host.name, mail.queue_id, r.address]
            got=[(e.attempt,e.message.context,str(e.raw)[4:34]) for e in ev]
            res=[(e.attempts,e.attempt,e.outcome) for e in what.resolved[host.name, mail.queue_id, r.address]]
            last = 1 if r.outcome in ("delivered", "bounced") else 0
            if ([a for a,_,_ in got]!=list(range(1,len(got)+1)) or any(c!="complete" for _,c,_ in got) or res[0][0]!=r.deferrals+last) and n<8:
                n+=1
                print("BAD", mail.queue_id, r, got, res)
                for l in sum(mail.rounds,[]): print("   ", where[l], l.decode()[:120])
    print(result, moves, {k: max(v) for k, v in what.lags.items()})
    assert 0
