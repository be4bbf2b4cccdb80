"""The policies by their names."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from p2c2g.errors import UsageError
from p2c2g.routing.affinity import Affinity
from p2c2g.routing.capability import Capability
from p2c2g.routing.policy import Policy
from p2c2g.routing.predictive import Predictive
from p2c2g.routing.weighted import Weighted

#: What makes each policy, given where its chance comes from.
POLICIES: dict[str, Callable[[Random], Policy]] = {
    "capability": lambda random: Capability(),
    "weighted": Weighted,
    "predictive": Predictive,
    "affinity": lambda random: Affinity(Predictive(random)),
}


def make(name: str, random: Random) -> Policy:
    """Return a policy of this name, which is one session's own.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in POLICIES:
        raise UsageError(f"{name!r} is no policy: there are {', '.join(POLICIES)}.")
    return POLICIES[name](random)
