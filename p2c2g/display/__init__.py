"""Who shows: the hub that fans finished pictures out, and what hangs on it.

``hub`` is pure and needs nothing; ``web`` (the browser's viewer) and ``recorder`` (a video
file) need the ``capture`` extra and say so.  A viewer may be slow, far away or gone: the
session never waits for one.
"""
