"""This machine's place in an open pool, for ``p2c2g peer run --join`` and ``p2c2g peer leave``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from p2c2g.errors import UsageError
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.kept import Kept
from p2c2g.joining.peer import enter, leave
from p2c2g.system.secrets import find_secret
from p2c2g_workers.launch import slug

#: Holds a join token.
TOKEN_VARIABLE = "P2C2G_JOIN_TOKEN"  # noqa: S105 - its name


@contextmanager
def entered(
    pool: str,
    name: str,
    token_file: Path | None,
    say: Callable[[str], None],
    folder: Path | None = None,
) -> Iterator[Path]:
    """Have a membership of a pool, and keep it for this process and the one that it becomes.

    Args:
        pool: the coordinator's address.
        name: what people call this peer; each has a membership of its own.
        token_file: holds a join token, where one was given.
        say: is told in a sentence what is worth knowing.
        folder: of a lent machine's memberships; the user's where None.

    Returns:
        the membership's file.

    Raises:
        PoolUnavailableError: the coordinator does not answer, or refuses.
        UsageError: the address, or the token's file is none, or there is no token.
    """
    address, kept = place(pool, name, folder)
    if address.token:
        say(
            f"The join token is in the address, which everybody on this machine can read: set "
            f"{TOKEN_VARIABLE} instead, or be asked for it."
        )

    def token() -> str:
        return address.token or find_secret(
            "Join token", TOKEN_VARIABLE, "--join-token-file", token_file
        )

    with kept.claimed():
        enter(address, kept, name, token, say)
        yield kept.path


def left(pool: str, name: str, folder: Path | None = None) -> None:
    """End this machine's membership of a pool: there, and then here.

    Args:
        pool: the coordinator's address.
        name: what people call the peer.
        folder: of a lent machine's memberships; the user's where None.

    Raises:
        PoolUnavailableError: the coordinator does not answer; the membership stays.
        UsageError: there is none.
    """
    address, kept = place(pool, name, folder)
    membership = kept.read()
    if membership is None:
        raise UsageError(
            f"No peer called {name} of this machine is in the pool {address.url}: name another by "
            "--name."
        )
    leave(membership)
    kept.forget()


def place(pool: str, name: str, folder: Path | None = None) -> tuple[PoolAddress, Kept]:
    """Return a pool's address, and where a peer's membership of it lies.

    A lent machine is one peer, which may be called otherwise later.
    """
    address = PoolAddress.parse(pool)
    return address, Kept(address, slug(name) if folder is None else "lent", folder)
