"""What is lost and doubled when things die: real processes, SIGKILL, exact counts.

The cases are defined once (`table.py`); `make test` plays them small, `make faults` large.
"""
