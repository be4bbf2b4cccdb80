"""Remote control in words that every Celery application understands."""

from __future__ import annotations

from typing import Any

from celery.app.control import Control as StockControl


class Control(StockControl):
    """Celery's remote control, in JSON whatever the tasks are written in.

    Celery takes the tasks' serializer for it, and a plain application beside us would fail
    at our workers' answers, even to a question that it asks at its start.
    """

    def __init__(self, app: Any = None) -> None:
        super().__init__(app)
        self.mailbox.serializer = "json"
        # Else each call leaves a connection in a pool of the application's that nobody closes.
        self.mailbox.producer_pool = None
