"""Training a net for one game: ``p2c2g train``, and the same as a task of the pool.

An edge of its own, above the peer's and the gamer's: it imports both, and neither imports it.
Only this package needs PyTorch (the extra ``train``).
"""
