"""P2C2G, *peer → cloud → gamer*: the core that both edges share.

The folders are floors, and read in order they tell a chunk's story: ``media`` (what
travels), ``messaging`` (how it travels), ``peers`` (who is there and how they do),
``session`` (who sends it and puts it together), ``display`` (who shows it).  An import never
runs back up.
"""

__version__ = "0.1.0"
