"""The remote control command ``drain``: finish what is in flight, take no more, and leave.

``celery -A p2c2g control drain -d cpu1@host`` sends it.  It is a warm shutdown that answers
first, and that the registry hears of at once.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.platforms import EX_OK
from celery.worker import state as worker_state
from celery.worker.control import control_command

from p2c2g.text import plain

logger = logging.getLogger(__name__)

#: Letters of a name that somebody gives.
_MOST = 80


@control_command(args=[("by", str)], signature="[WHO]")  # type: ignore[untyped-decorator]
def drain(state: Any, by: str = "", **_: Any) -> dict[str, str]:
    """Finish what is in flight, take no more, and leave; tell the lender who asked for it."""
    who = plain(str(by), _MOST)
    peer = getattr(state.consumer, "peer", None)
    if peer is not None:
        peer.drain(who)
    logger.info("Leaves when what it has is finished, as %s asks.", who or "an operator")
    # The loop's next turn ends the worker, after this answer has left.
    worker_state.should_stop = EX_OK
    return {"ok": "draining"}
