"""The report of a session: what happened, and the versions and settings that made it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from p2c2g import __version__
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.system import files
from p2c2g.text import all_plain

_LIBRARIES = ("celery", "kombu", "redis", "numpy", "opencv-python-headless", "simplejpeg")


class Reported(Protocol):
    """A session that has ended."""

    @property
    def id(self) -> str:
        """Return its name."""

    def figures(self) -> dict[str, Any]:
        """Return what it counted, as JSON has it."""


def build_report(session: Reported, settings: Mapping[str, object]) -> dict[str, Any]:
    """Return the report of a closed session, as JSON has it.

    Args:
        session: the session.
        settings: what was asked for, to stand in the report.
    """
    return {
        **session.figures(),
        "session": session.id,
        "settings": dict(settings),
        "versions": {
            "p2c2g": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _LIBRARIES},
        },
        "machine": {"system": platform.platform(), "cpus": os.cpu_count()},
    }


def check_writable(path: Path) -> None:
    """Refuse a report's path before the session runs, not after.

    Raises:
        UsageError: it is a folder, or its folder is not there or not ours to write to.
    """
    try:
        files.check_replaceable(path)
    except OSError as error:
        raise UsageError(
            f"The report {str(path)!r} cannot be written ({error.strerror}): give a file in a "
            "folder that exists and is yours."
        ) from error


def write_report(path: Path, report: Mapping[str, object]) -> None:
    """Write the report; a reader never sees half of one, and an earlier one stays until then.

    Texts in it are fit to be shown, also those that peers wrote.

    Raises:
        UnavailableError: it cannot be written, such as on a full disk.
    """
    try:
        files.write_whole(path, json.dumps(all_plain(report), indent=2) + "\n")
    except OSError as error:
        raise UnavailableError(
            f"The report {str(path)!r} cannot be written: {error.strerror}."
        ) from error
