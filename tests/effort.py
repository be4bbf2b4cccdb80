"""How much a run of the tests does: property tests have their full size in CI alone."""

from __future__ import annotations

import os

#: Whether this is the full run.
FULL = os.environ.get("CI", "").lower() == "true"


def examples(full: int) -> int:
    """Return how many examples a property is tried on: ``full``, or a quarter on a desk.

    ``P2C2G_TEST_EXAMPLES=2000`` makes it so many everywhere, for a long run.
    """
    asked = os.environ.get("P2C2G_TEST_EXAMPLES")
    if asked is not None:
        return int(asked)
    return full if FULL else max(10, full // 4)


def chunks(full: int) -> int:
    """Return how many chunks a simulation has: ``full``, or a fifth on a desk.

    ``P2C2G_SIMULATED_CHUNKS=1000000`` makes it so many.
    """
    asked = os.environ.get("P2C2G_SIMULATED_CHUNKS")
    if asked is not None:
        return int(asked)
    return full if FULL else full // 5
