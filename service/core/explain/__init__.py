"""How a line is read, step by step: for `mailfault explain`.

In: bytes as they came. Out: what each step of the pipeline makes of them, in words. The steps are
those of the pipeline itself; nothing here is asked when lines are received.

    wire         which framing the bytes have
    trace        header, tag, shape, rule
    provenance   where each field of an event came from
"""

from service.core.explain.provenance import flat, origins
from service.core.explain.trace import Trace, trace
from service.core.explain.wire import Wire, frame_end, unframed

__all__ = ["Trace", "Wire", "flat", "frame_end", "origins", "trace", "unframed"]
