"""The report of a session: what happened, and the versions and settings that made it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from p2c2g import __version__
from p2c2g.errors import UsageError
from p2c2g.session.session import Session

_LIBRARIES = ("celery", "kombu", "redis", "numpy", "opencv-python-headless", "simplejpeg")


def build_report(session: Session, settings: Mapping[str, object]) -> dict[str, Any]:
    """Return the report of a closed session, as JSON has it.

    Args:
        session: the session.
        settings: what was asked for, to stand in the report.
    """
    tables = session.tables
    attempts, hedging, admission = tables.attempts, tables.hedging, tables.admission
    return {
        **session.tally.summary(),
        "attempts": {str(number): attempts.accepted[number] for number in (1, 2, 3)},
        "results": {
            "late": attempts.late,
            "duplicate": attempts.duplicate,
            "failed": attempts.failed,
            "exhausted": attempts.exhausted,
            "given_up": attempts.silent,
            "given_up_came": attempts.revived,
        },
        "hedges": {
            "sent": attempts.hedges,
            "won": attempts.hedges_won,
            "refused": hedging.hedges.refused,
            "reruns_refused": hedging.reruns.refused,
        },
        "breakers": session.breakers(),
        "routing": session.routing(),
        "admission": {
            "refused": admission.refused,
            "window": round(admission.window, 1),
        },
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
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(
            f"The report {str(path)!r} cannot be written: give a file in a folder that exists "
            "and is yours."
        )


def write_report(path: Path, report: Mapping[str, object]) -> None:
    """Write the report; a reader never sees half of one.

    Raises:
        UsageError: the path cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"The report {str(path)!r} cannot be written: {error}.") from error
