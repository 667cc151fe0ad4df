"""All cases, each in two sizes. `docs/guarantees.md` names them."""

from tests.faults.case import Case, Size
from tests.faults.cases import balancer, cluster, company, equal, kills, outage, rsyslog, stops

CASES = [
    Case("relp-receiver-killed", kills.relp_receiver_killed, Size(3000, 2), Size(100_000, 5)),
    Case("relp-nats-killed", kills.relp_nats_killed, Size(3000, 2), Size(100_000, 5)),
    Case("relp-both-killed", kills.relp_both_killed, Size(2000), Size(100_000, 5)),
    Case("write-ahead-both-killed", kills.write_ahead_both_killed, Size(2000), Size(100_000, 5)),
    Case("relp-killed-during-outage", kills.relp_killed_during_outage, Size(500), Size(20_000)),
    Case(
        "write-ahead-killed-during-outage",
        kills.write_ahead_killed_during_outage,
        Size(500),
        Size(20_000),
    ),
    Case("tcp-receiver-killed", kills.tcp_receiver_killed, Size(2000), Size(100_000, 5)),
    Case("tcp-nats-killed", kills.tcp_nats_killed, Size(2000), Size(50_000, 5)),
    Case("udp-nats-killed", kills.udp_nats_killed, Size(500), Size(10_000, 2)),
    Case("nats-away", outage.nats_away, Size(3000, rate=1000), Size(300_000, rate=5000)),
    Case("disk-full-then-room", outage.disk_full_then_room, Size(300), Size(5000)),
    Case("disk-full-then-nats", outage.disk_full_then_nats, Size(300), Size(5000)),
    Case("disk-filled-by-the-spool", outage.disk_filled_by_the_spool, Size(30_000), Size(60_000)),
    Case("relp-stopped", stops.relp_stopped, Size(3000), Size(100_000, 5)),
    Case("tcp-stopped", stops.tcp_stopped, Size(5000), Size(100_000)),
    Case("tcp-stopped-without-nats", stops.tcp_stopped_without_nats, Size(1000), Size(30_000)),
    Case("relp-cut-inside-a-frame", stops.relp_cut_inside_a_frame, Size(1000, 5), Size(50_000, 50)),
    Case("tcp-cut-inside-a-frame", stops.tcp_cut_inside_a_frame, Size(1000, 5), Size(50_000, 50)),
    Case(
        "slow-and-many-peers", company.slow_and_many, Size(2000, rate=500), Size(100_000, rate=2000)
    ),
    Case("random-bytes", company.random_bytes, Size(1000, rate=500), Size(100_000, rate=2000)),
    Case("equal-lines", equal.equal_lines, Size(200, 2), Size(20_000, 5)),
    Case("omrelp-receiver-killed", rsyslog.omrelp_receiver_killed, Size(3000), Size(60_000, 5)),
    Case("omrelp-failover", rsyslog.omrelp_failover, Size(3000, 2), Size(60_000, 5)),
    Case("balancer-receiver-killed", balancer.receiver_killed, Size(2000), Size(50_000)),
    Case(
        "cluster",
        cluster.cluster_failures,
        Size(5000, rate=400),
        Size(30_000, 2, rate=1000),
        nodes=3,
    ),
    Case("omfwd-nats-killed", rsyslog.omfwd_nats_killed, Size(2000), Size(60_000, 5)),
]
