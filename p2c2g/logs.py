"""Logs of our own commands; a worker's are Celery's."""

from __future__ import annotations

import logging
import os

from rich.console import Console
from rich.logging import RichHandler


def configure() -> None:
    """Send warnings, and more where ``P2C2G_LOG_LEVEL`` says so, to standard error."""
    logging.basicConfig(
        level=os.environ.get("P2C2G_LOG_LEVEL", "WARNING").upper(),
        format="%(message)s",
        handlers=[
            RichHandler(console=Console(stderr=True), show_path=False, rich_tracebacks=False)
        ],
    )
