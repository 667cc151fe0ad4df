"""Ready-made subscribers: each file is a program of its own, to be run and copied."""
