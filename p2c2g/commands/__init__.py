"""The commands of ``p2c2g``, and what they share with ``p2c2g-capture``."""
