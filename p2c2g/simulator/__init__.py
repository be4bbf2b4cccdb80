"""A pool that is simulated, not run: the same decisions under a clock that jumps."""
