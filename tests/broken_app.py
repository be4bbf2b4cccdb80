"""The lane's application on a machine that cannot start a thread, for ``celery -A``."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.concurrency.thread import TaskPool

from tests import lane_app
from tests.lazy_app import attribute


def refuse(*_: Any, **__: Any) -> None:
    """Start nothing."""
    raise RuntimeError("can't start new thread")


def build() -> Celery:
    """Return the application of the broker that the environment names."""
    TaskPool.on_apply = refuse
    return lane_app.build()


def __getattr__(name: str) -> Celery:
    """Build ``app`` when the worker asks for it."""
    return attribute(globals(), build, name)
