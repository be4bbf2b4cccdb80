"""The peer's task ``p2c2g.train``, on a queue of its own: ``celery -A p2c2g worker -Q train -c 1``.

It carries only small texts and returns nothing: frames, states and the net are blobs, and its
progress is on the board.  PyTorch is imported only when there is something to train.
"""

from __future__ import annotations

import importlib.util
import threading
from typing import Any

from celery import Task, shared_task, signals

from p2c2g.errors import P2C2GError, UsageError
from p2c2g.messaging.blobs import Blobs
from p2c2g.messaging.client import redis_client
from p2c2g.settings import load
from p2c2g_training.board import Board
from p2c2g_training.order import TASK, Order

#: Set when this worker ends: the training that runs is handed on.
_ended = threading.Event()


@signals.worker_shutting_down.connect
def _end(**_: Any) -> None:
    _ended.set()


@shared_task(name=TASK, bind=True, throws=(P2C2GError,), ignore_result=True)
def train(self: Task, text: str, attempt: int) -> None:
    """Carry out an order: see :class:`~p2c2g_training.order.Order`.

    Raises:
        UsageError: this peer does not carry it out.
        BrokerUnavailableError: the broker does not answer any more.
    """
    if not isinstance(text, str) or not isinstance(attempt, int):
        raise UsageError("An order to train is a text and the number of the attempt.")
    order = Order.parse(text)
    settings = load()
    with redis_client(settings) as client:
        board = Board(client)
        if importlib.util.find_spec("torch") is None:
            board.tell(
                order.id, attempt, state="failed",
                sentence="A peer of the queue train has no PyTorch: pip install 'p2c2g[train]'.",
            )  # fmt: skip
            return
        from p2c2g_training.teaching import teach

        teach(
            order, attempt, board, Blobs(client),
            peer=str(self.request.hostname or "local"), device=_device(settings.worker.gpu),
            ended=_ended,
        )  # fmt: skip


def _device(gpu: int) -> str:
    """Return PyTorch's device here: the graphics card that is set, else the CPU."""
    import torch

    return f"cuda:{gpu}" if gpu < torch.cuda.device_count() else "cpu"
