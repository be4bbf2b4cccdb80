"""An application that a module builds when a worker asks for it, and not when a test reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery


def attribute(module: dict[str, Any], build: Callable[[], Celery], name: str) -> Celery:
    """Return a module's ``app``, built now; for its ``__getattr__``.

    Raises:
        AttributeError: it is asked for something else.
    """
    if name != "app":
        raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
    application = build()
    application.set_current()
    module["app"] = application
    return application
