"""What the spool raises. Each says what the caller does next."""


class SpoolError(Exception):
    """Nothing was stored."""


class SpoolUnavailable(SpoolError):
    """The disk is full or fails. Nothing of this call was stored: keep the events, do not
    acknowledge them, and try again later. The store looks for itself whether the disk is back,
    without a restart, and tells by `on_change`."""


class SpoolFull(SpoolError):
    """The cap is reached. Nothing of this call was stored: hold the senders back, or drop and
    count; there is room again once events were removed."""


class SpoolRefused(SpoolError):
    """There is no spool to be had here, and waiting does not help (another process has it, it was
    written by a newer version, no right to write): tell the operator and stop."""
