"""A process that only wakes up on time, or not: what the machine itself does to everybody.

``python -m tests.chaos.metronome`` sleeps a little again and again until its standard input
ends; then it prints, as JSON, the moments at which it was woken more than :data:`LATE` late,
and by how much, in seconds.
"""

from __future__ import annotations

import json
import select
import sys
import time

#: Seconds of one sleep, and how late a waking is worth noting.
SLEEP, LATE = 0.005, 0.005


def main() -> None:
    """Sleep, and note when it took too long."""
    late: list[tuple[float, float]] = []
    wanted = time.monotonic() + SLEEP
    while not select.select([sys.stdin], [], [], SLEEP)[0]:
        now = time.monotonic()
        if now - wanted > LATE:
            late.append((now, now - wanted))
        wanted = time.monotonic() + SLEEP
    json.dump(late, sys.stdout)


if __name__ == "__main__":
    main()
