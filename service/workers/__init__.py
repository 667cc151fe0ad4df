"""Several receivers on the same addresses, one process each, as one service (`serve --workers N`).

    parent      ── holds the sockets, starts the workers, starts them anew, answers for all of them
    sockets     ── one socket for each worker at each address (SO_REUSEPORT)
    assignment  ── what the parent tells a worker: its number, its sockets, its directory
    worker      ── one of these processes, as the parent sees it
    merging     ── the metrics of all as those of one

A connection stays with one worker, and so do the datagrams of one sending address and port: what
the lines of a host tell of a message meets in one place. What must be known elsewhere, when a host
connects anew and another worker takes it, goes by way of the shared bucket, as in a fleet.
"""
