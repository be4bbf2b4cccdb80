"""Many peers on one machine: they speak the real protocol and only pretend the work.

``make load`` (``python -m tests.load``) runs it and prints a table; what a light peer leaves out
is told in :mod:`tests.load.peer`.
"""
