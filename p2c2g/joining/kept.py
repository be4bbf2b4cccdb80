"""Where memberships lie: one file for each pool and name, in the user's folder of settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_config_path

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.joining.address import PoolAddress
from p2c2g.settings.membership import Membership, read, written
from p2c2g.system.secrets import write_private


class Kept:
    """One peer's membership of one pool, on this machine.

    Args:
        address: the pool's.
        name: of the peer, of those letters that file names may have.
        folder: of all memberships; the user's where None.
    """

    def __init__(self, address: PoolAddress, name: str, folder: Path | None = None) -> None:
        folder = folder or user_config_path("p2c2g") / "pools"
        self.path = folder / address.folder / f"peer-{name}.json"

    def read(self) -> Membership | None:
        """Return it, or None where there is none.

        Raises:
            UsageError: others can read it, or it is no membership.
        """
        return read(self.path) if self.path.exists() else None

    def write(self, membership: Membership) -> None:
        """Keep it, in place of an earlier one.

        Raises:
            UnavailableError: it cannot be written.
        """
        try:
            write_private(self.path, written(membership))
        except OSError as error:
            raise UnavailableError(
                f"The membership cannot be kept in {str(self.path)!r} ({error.strerror})."
            ) from error

    def forget(self) -> None:
        """Delete it, if it is there."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep it for this process and the one that it becomes: two peers are not one.

        The claim is a lock that the system ends with the process.

        Raises:
            UsageError: another process has it.
        """
        try:
            import fcntl
        except ImportError:  # Windows; there the second takes the first one's chunks.
            yield
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(
            self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(
                    "A peer of this name runs on this machine already: give this one another by "
                    "--name."
                ) from error
            os.set_inheritable(descriptor, True)
            yield
        finally:
            os.close(descriptor)
