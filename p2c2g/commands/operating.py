"""What commands of an open pool's operator have in common: here by the database, or from afar."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.errors import UsageError

if TYPE_CHECKING:
    from p2c2g.coordinator.audit import Actor
    from p2c2g.coordinator.services import Services
    from p2c2g.joining.client import PoolClient

AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="URL", help="The coordinator; else the database of this machine."),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Holds an operator's key for --at; else P2C2G_OPERATOR_KEY, or it is asked for.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


class Afar:
    """A coordinator elsewhere, and the operator's key for it.

    Args:
        at: its address.
        key_file: holds the key.

    Raises:
        UsageError: the address or the key's file is none, or there is no key.
    """

    def __init__(self, at: str, key_file: Path | None) -> None:
        from p2c2g.joining.address import PoolAddress
        from p2c2g.system.secrets import find_secret

        self._address = PoolAddress.parse(at)
        self.key = find_secret("Operator's key", "P2C2G_OPERATOR_KEY", "--key-file", key_file)

    @classmethod
    def find(cls, at: str | None, key_file: Path | None) -> Afar | None:
        """Return the coordinator that a command line names; None for this machine's database.

        Raises:
            UsageError: as the class, or a key's file is given for this machine's.
        """
        if at is None and key_file is not None:
            raise UsageError("--key-file is for --at: without it, this machine's database is used.")
        return None if at is None else cls(at, key_file)

    def client(self) -> PoolClient:
        """Return a client of it, for a ``with`` block."""
        from p2c2g.joining.client import PoolClient

        return PoolClient(self._address)


@contextmanager
def here() -> Iterator[Services]:
    """Open the coordinator's parts on this machine, beside one that may be running."""
    from p2c2g.coordinator.services import opened
    from p2c2g.settings import load

    with opened(load()) as services:
        yield services


def local_actor() -> Actor:
    """Return who is at this keyboard, for the audit log."""
    from p2c2g.coordinator.audit import Actor

    return Actor(f"local:{getpass.getuser()}")


def day(moment: float | None) -> str:
    """Return a moment for a table's cell."""
    if moment is None:
        return "–"
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
