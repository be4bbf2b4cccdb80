"""Help for tests and benchmarks: a slow network on one machine."""
