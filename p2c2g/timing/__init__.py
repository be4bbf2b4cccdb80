"""Rates, pauses and recent times: pure, and told the time.

What is here reads no clock, waits for nothing and imports nothing of ours but errors.  Times are
seconds of the caller's clock, a monotonic one.  Nothing here locks: who shares one of these among
threads has a lock for it.
"""
