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
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.session.session import Session
from p2c2g.system import files

_LIBRARIES = ("celery", "kombu", "redis", "numpy", "opencv-python-headless", "simplejpeg")


def build_report(session: Session, settings: Mapping[str, object]) -> dict[str, Any]:
    """Return the report of a closed session, as JSON has it.

    Args:
        session: the session.
        settings: what was asked for, to stand in the report.
    """
    tables = session.tables
    attempts, hedging, admission = tables.attempts, tables.hedging, tables.admission
    figures = session.tally.summary()
    if not figures["notices"] and (said := tables.presence.last_word()):
        figures["notices"] = [{"at_s": None, "said": said}]
    return {
        **figures,
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
    try:
        files.check_replaceable(path)
    except OSError as error:
        raise UsageError(
            f"The report {str(path)!r} cannot be written ({error.strerror}): give a file in a "
            "folder that exists and is yours."
        ) from error


def write_report(path: Path, report: Mapping[str, object]) -> None:
    """Write the report; a reader never sees half of one, and an earlier one stays until then.

    Raises:
        UnavailableError: it cannot be written, such as on a full disk.
    """
    try:
        files.write_whole(path, json.dumps(report, indent=2) + "\n")
    except OSError as error:
        raise UnavailableError(
            f"The report {str(path)!r} cannot be written: {error.strerror}."
        ) from error
