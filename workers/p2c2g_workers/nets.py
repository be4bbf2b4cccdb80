"""The weights of the nets that this peer can run: the package's, and those of gamers' own.

The package's are always here.  A gamer's own, made for one game, are fetched by their hash
(:mod:`p2c2g_workers.fetching`) and are used once they are here.  How they are read, and what is
guaranteed of them, is in :mod:`p2c2g_workers.netfile`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from p2c2g.errors import ProcessorError
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Step
from p2c2g_workers.netfile import (
    CELL_IN,
    CELL_OUT,
    LEVEL,
    MAX_MODEL,
    MISSING,
    NOTHING,
    SHAPES,
    SUM_LIMIT,
    WEIGHT_LIMIT,
    Layer,
    Weights,
    read,
    write,
)

__all__ = [
    "CELL_IN",
    "CELL_OUT",
    "LEVEL",
    "MAX_HELD",
    "MAX_MODEL",
    "MISSING",
    "NOTHING",
    "SHAPES",
    "SUM_LIMIT",
    "WEIGHT_LIMIT",
    "Held",
    "Layer",
    "Weights",
    "card",
    "find",
    "has",
    "hold",
    "is_shipped",
    "read",
    "shipped",
    "want",
    "write",
]

#: Weights of gamers' own nets that are kept in memory; the least recently used goes.
MAX_HELD = 16


def card(method: str) -> dict[str, Any]:
    """Return the card of the package's weights: data, licences, figures and the hash.

    Raises:
        ProcessorError: the package has none for this method.
    """
    found: dict[str, Any] = json.loads(_file(method, "json"))
    return found


@cache
def shipped(method: str) -> Weights:
    """Return the package's weights for a method.

    Raises:
        ProcessorError: it has none, or they are not those that their card describes.
    """
    model = _file(method, "onnx")
    weights = read(model)
    if hashlib.sha256(model).hexdigest() != card(method)["sha256"] or weights.method != method:
        raise ProcessorError(
            f"The weights of {method} are not those of their card: install the package again."
        )
    return weights


@cache
def is_shipped(method: str) -> bool:
    """Tell whether the package has weights for a method."""
    return method in NETWORKS and _path(method, "onnx").is_file()


def find(step: Step) -> Weights:
    """Return the weights for a step: a gamer's own where it names some, else the package's.

    Raises:
        ProcessorError: they are not here.
    """
    own = _held.of(step)
    if own is not None:
        return own
    method = step.method or ""
    if step.weights:
        raise ProcessorError(
            f"This peer has none of the weights {'+'.join(step.weights)} of {method}: they are "
            f"fetched while {method} is done without them."
        )
    if not is_shipped(method):
        raise ProcessorError(
            f"This peer has no weights of {method}: the package has those of "
            f"{', '.join(filter(is_shipped, NETWORKS)) or 'no net'}."
        )
    return shipped(method)


def has(step: Step) -> bool:
    """Tell whether :func:`find` would succeed."""
    if MISSING:
        return False
    return _held.of(step) is not None if step.weights else is_shipped(step.method or "")


def want(names: Sequence[str]) -> None:
    """Fetch a gamer's own weights in the background; does nothing for those that are here."""
    missing = [name for name in names if name not in _held]
    if missing and not MISSING:
        # Only a worker that was sent a name needs this import.
        from p2c2g_workers import fetching

        fetching.want(missing)


def hold(weights: Weights) -> None:
    """Keep a gamer's own weights for :func:`find`; the least recently used make room."""
    _held.add(weights)


class Held:
    """Weights of gamers' own in memory, at most so many: the least recently used is dropped."""

    def __init__(self, most: int = MAX_HELD) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._weights: OrderedDict[str, Weights] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._weights

    def __len__(self) -> int:
        return len(self._weights)

    def add(self, weights: Weights) -> None:
        """Keep weights."""
        with self._lock:
            self._weights[weights.name] = weights
            self._weights.move_to_end(weights.name)
            while len(self._weights) > self._most:
                self._weights.popitem(last=False)

    def of(self, step: Step) -> Weights | None:
        """Return the first weights that a step names which are here and of its method."""
        for name in step.weights:
            with self._lock:
                found = self._weights.get(name)
                if found is not None and found.method == step.method:
                    self._weights.move_to_end(name)
                    return found
        return None


_held = Held()


def _path(method: str, suffix: str) -> Any:
    return files("p2c2g_workers").joinpath("weights", f"{method}.{suffix}")


def _file(method: str, suffix: str) -> bytes:
    if not is_shipped(method):
        raise ProcessorError(f"The package has no weights for {method}.")
    data: bytes = _path(method, suffix).read_bytes()
    return data
