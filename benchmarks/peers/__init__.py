"""What Debian has for the same work, with the same lines, on the same machine, in the same run.

    run        ── what a run of any of them gives, and how its end is seen
    pipelines  ── those that take lines over TCP and write JSON: rsyslog, syslog-ng
    readers    ── those that read a file and count: mtail, the Prometheus exporter, pflogsumm
    programs   ── where the programs come from
    figures    ── medians and ratios

Their rules are in this directory, written for these lines: what fields of a failure line they can
name, no validation, no acknowledgement, no memory of earlier lines.
"""
