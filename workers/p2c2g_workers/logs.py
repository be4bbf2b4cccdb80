"""A worker's logs: Celery's lines on the console as usual, and ours beside them.

Celery makes its own handlers; here they become outputs of the one handler of
:mod:`p2c2g.logs`, with its promises, and a file of JSON lines is added where
``P2C2G_LOG_DIR`` is set.  The level is Celery's ``--loglevel``, or ``P2C2G_LOG_LEVEL`` where
that is set and lower.  Celery's two lines a chunk are for the file alone.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import signals

from p2c2g.logs import console_of, install, json_file
from p2c2g.settings import load
from p2c2g_workers.page.kept_log import kept_log
from p2c2g_workers.status import Clearing, is_worth_a_line
from p2c2g_workers.wishes import PAGE_VARIABLE


@signals.after_setup_logger.connect
def add_outputs(logger: logging.Logger, **_: Any) -> None:
    """Take over the root logger that Celery has just set up.

    Celery only logs what a receiver raises; wrong settings were reported before, when the
    application was made.
    """
    # A line for each question to an open pool's coordinator.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = load().log
    if stream := console_of(settings):
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:  # And no file of Celery's --logfile.
                handler.setStream(stream)
    outputs: list[logging.Handler] = [Clearing(), *logger.handlers]
    for console in outputs:
        console.addFilter(is_worth_a_line)
    if settings.dir is not None:
        outputs.append(json_file(settings.dir, settings, "worker"))
    if os.environ.get(PAGE_VARIABLE):
        kept_log.addFilter(is_worth_a_line)
        outputs.append(kept_log)
    if "level" in settings.model_fields_set:
        wanted = logging.getLevelNamesMapping()[settings.level]
        logger.setLevel(min(logger.level, wanted))
    install(logger, outputs, one_line=settings.one_line)
