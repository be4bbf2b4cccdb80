"""Hands on the game: what players do in their browsers becomes input of the game.

``events`` is what travels, ``controls`` decides (pure), ``hand`` does it in a thread of its own.
``injector`` is the seam behind which the ways into a game are: ``x11``, ``uinput``, ``desktop``
(Windows and macOS), and one in memory.  ``choosing`` says which of them a source can be played by.
"""
