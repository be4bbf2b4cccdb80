"""A worker's logs: Celery's lines on the console as usual, and ours beside them.

Celery makes its own handlers; here they become outputs of the one handler of
:mod:`p2c2g.logs`, with its promises, and a file of JSON lines is added where
``P2C2G_LOG_DIR`` is set.  The level is Celery's ``--loglevel``, or ``P2C2G_LOG_LEVEL`` where
that is set and lower.  Celery's two lines a chunk are for the file alone.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import signals

from p2c2g.logs import install, json_file
from p2c2g.settings import load
from p2c2g_workers.status import Clearing, is_worth_a_line


@signals.after_setup_logger.connect
def add_outputs(logger: logging.Logger, **_: Any) -> None:
    """Take over the root logger that Celery has just set up.

    Celery only logs what a receiver raises; wrong settings were reported before, when the
    application was made.
    """
    settings = load().log
    outputs: list[logging.Handler] = [Clearing(), *logger.handlers]
    for console in outputs:
        console.addFilter(is_worth_a_line)
    if settings.dir is not None:
        outputs.append(json_file(settings.dir, settings, "worker"))
    if "level" in settings.model_fields_set:
        wanted = logging.getLevelNamesMapping()[settings.level]
        logger.setLevel(min(logger.level, wanted))
    install(logger, outputs)
