"""A gamer's place in an open pool, for one session: ``p2c2g-capture run --pool``."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.text import Text

from p2c2g.display.access import new_token
from p2c2g.display.connection import Stats
from p2c2g.display.hub import Hub
from p2c2g.display.relay import Relay
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.courier import Courier
from p2c2g.joining.lease import Lease, play
from p2c2g.joining.messages import MAX_MESSAGE
from p2c2g.settings import Settings
from p2c2g.settings.membership import Membership
from p2c2g.system.secrets import find_secret
from p2c2g.verify.evidence import Evidence

#: Said of a session that can be watched.
WATCHABLE = (
    "Who has that address, your own account and the pool's operators can watch. For that the "
    "pictures go through the pool's coordinator: those who run it can see them."
)
#: Holds the key of an account.
KEY_VARIABLE = "P2C2G_KEY"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a session is to be played, and by which account's key."""

    address: PoolAddress
    key: str = field(repr=False)

    @classmethod
    def find(cls, pool: str, key_file: Path | None, say: Callable[[str], None]) -> Self:
        """Return the ticket for a pool: its key is looked for, or asked for.

        Raises:
            UsageError: the address or the key's file is none, or there is no key.
        """
        address = PoolAddress.parse(pool)
        if address.token:
            say(
                "The key is in the address, which everybody on this machine can read: set "
                f"{KEY_VARIABLE} instead, or be asked for it."
            )
        key = address.token or find_secret("Key", KEY_VARIABLE, "--key-file", key_file)
        return cls(PoolAddress(address.url), key)


@contextmanager
def playing(ticket: Ticket, settings: Settings, say: Callable[[str], None]) -> Iterator[Membership]:
    """Have a login at the pool's broker, which the settings then name, until the block ends.

    Args:
        ticket: where, and by which key.
        settings: get the broker.
        say: is told in a sentence where the login cannot be renewed.

    Raises:
        PoolUnavailableError: the coordinator does not answer, or refuses.
    """
    membership = play(ticket.address, socket.gethostname(), ticket.key)
    settings.membership = membership
    settings.broker.join(membership)
    with Lease(membership, say):
        yield membership


def witness(membership: Membership, evidence: Callable[[], list[Evidence]]) -> Courier:
    """Return who brings a session's evidence against peers to the pool's coordinator.

    Args:
        membership: of the session's pool.
        evidence: what there is so far.
    """
    return Courier.of(membership, lambda: [fitting(each) for each in evidence()])


def fitting(evidence: Evidence) -> Evidence:
    """Return evidence that fits into one message: without its pictures, where it is too long."""
    if len(evidence.model_dump_json()) <= MAX_MESSAGE:
        return evidence
    bare = {"shown": ""}
    other = evidence.other
    return evidence.model_copy(
        update={
            **bare,
            "statement": evidence.statement.model_copy(update=bare),
            "other": other and other.model_copy(update=bare),
        }
    )


def watchable(
    membership: Membership, hub: Hub, stats: Stats, console: Console, say: Callable[[str], None]
) -> Relay:
    """Have others watch a session from elsewhere, and say where, and what that means.

    Args:
        membership: of the session's pool.
        hub: where its pictures are.
        stats: what its readout shows.
        console: is told.
        say: is told in a sentence where nobody can watch.
    """
    relay = Relay(hub, stats, membership, new_token(), say)
    relay.start()
    console.print("Others watch at", Text(relay.url, "bold"), soft_wrap=True)
    console.print(WATCHABLE, style="dim", soft_wrap=True)
    return relay
