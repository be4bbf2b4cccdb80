"""A pool that is reckoned, not run: the same decisions under a clock that jumps."""
