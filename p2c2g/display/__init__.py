"""What shows pictures: the hub, which fans finished pictures out, and what subscribes to it.

``hub`` is pure and needs nothing; ``web`` (the browser's viewer) and ``recorder`` (a video
file) need the ``capture`` extra and say so when it is missing.  A viewer may be slow, far away
or gone: the session never waits for one.
"""
