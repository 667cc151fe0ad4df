"""Bytes to meaning: no IO, no clock, no logging. Data and `now` in, values out."""
