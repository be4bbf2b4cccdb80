"""Undoes all that made a machine a peer: what ``p2c2g peer uninstall`` does."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from p2c2g.errors import PoolRefusesError
from p2c2g.joining.peer import leave
from p2c2g.lending.home import Home
from p2c2g.lending.service import Service
from p2c2g.lending.unit import service_name
from p2c2g.settings.membership import Membership, read
from p2c2g_workers.configured import trusting

#: Where ``install.sh`` puts a link to the command, below the user's own folder.
LINK: Final = Path(".local") / "bin" / "p2c2g"


def memberships(home: Home) -> list[tuple[Path, Membership]]:
    """Return a home's memberships, and the files that they are in.

    Raises:
        UsageError: one of them is none.
    """
    return [(path, read(path)) for path in sorted(home.pools.glob("*/peer-*.json"))]


def leave_pools(home: Home, but: str = "") -> list[str]:
    """End a home's logins at the coordinators; return the pools that it was in.

    Args:
        home: the machine's.
        but: the address of one that it is to stay in.

    Raises:
        PoolUnavailableError: a coordinator does not answer; the login there stays.
    """
    os.environ.update(trusting(home))
    left = []
    for path, membership in memberships(home):
        if membership.pool == but:
            continue
        with suppress(PoolRefusesError):  # It is no member any more.
            leave(membership)
        path.unlink(missing_ok=True)
        left.append(membership.pool)
    return left


def remove(home: Home, service: Service) -> None:
    """Take away the service, the files, and the link to the command.

    Raises:
        UnavailableError: something of it cannot be taken away.
    """
    service.uninstall(service_name(home))
    link = Path.home() / LINK
    if link.is_symlink() and _is_below(link.readlink(), home.root):
        link.unlink(missing_ok=True)
    home.remove()
    # Folders that were made for these, where nothing else is in them.
    for folder in _emptied(home, link):
        with suppress(OSError):
            folder.rmdir()


def _emptied(home: Home, link: Path) -> Iterable[Path]:
    yield link.parent
    if home.is_usual:
        yield from list(home.root.parents)[:2]
    yield Path.home() / ".local"


def _is_below(path: Path, folder: Path) -> bool:
    return path.is_absolute() and folder in path.parents
