"""Benchmarks: each file is a command of its own, and says what it measures."""
