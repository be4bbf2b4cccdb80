"""The pool's application as a peer runs it whose trainings halt once their first state is kept."""

from __future__ import annotations

from p2c2g.celery import create_app
from p2c2g.settings import load
from p2c2g_training import teaching
from tests.halting_training import halting

app = create_app(load())

teaching.drive = halting
