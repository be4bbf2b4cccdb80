"""A plain Celery application that knows nothing of P2C2G, on the same broker."""

from __future__ import annotations

import os

from celery import Celery

URL = os.environ["P2C2G_BROKER_URL"]
#: That of the pool, which it has to share to be understood.
OPTIONS = {"global_keyprefix": "p2c2g:"}
app = Celery("stock", broker=URL, backend=URL, set_as_current=False)
app.conf.update(
    task_default_queue="stock",
    broker_transport_options=OPTIONS,
    result_backend_transport_options=OPTIONS,
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=True,
)


@app.task(name="stock.add")
def add(x: int, y: int) -> int:
    return x + y
