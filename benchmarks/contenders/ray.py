"""Ray: one actor with as many threads as the others have.

Ray's own processes and ports talk to each other, so its actor cannot be put behind the delay
proxy: it takes part at RTT 0 only.  Dashboard and usage statistics are off.
"""

from __future__ import annotations

import logging
import os
from typing import Any, ClassVar

# Read by Ray when it is imported: a benchmark calls nobody.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import GetTimeoutError

from benchmarks.contenders import Bench, Wait, work


class Worker:
    """The actor."""

    def __init__(self, work_ms: float) -> None:
        self._work_ms = work_ms

    def run(self, payload: bytes) -> bytes:
        """Do the task."""
        work(self._work_ms)
        return payload


class RayActor:
    """Ray's actor call, the quickest that it has."""

    remote: ClassVar[bool] = False

    def start(self, bench: Bench) -> None:
        """Start a small cluster on this machine and the actor in it."""
        ray.init(
            address="local",
            num_cpus=1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=128 << 20,
        )
        actor: Any = ray.remote(Worker)
        self._actor = actor.options(max_concurrency=bench.threads).remote(bench.work_ms)

    def submit(self, payload: bytes) -> Wait:
        """Call the actor."""
        reference = self._actor.run.remote(payload)

        def wait(timeout: float) -> bytes:
            try:
                return bytes(ray.get(reference, timeout=timeout))
            except GetTimeoutError as error:
                raise TimeoutError from error

        return wait

    def stop(self) -> None:
        """End the cluster."""
        ray.shutdown()
