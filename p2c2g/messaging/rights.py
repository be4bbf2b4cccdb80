"""The rights over an open pool's broker: logins, what begins with ``o:``, and how full keys are.

Of the coordinator alone, whose login may do everything.  What is to be done is decided elsewhere
(:mod:`p2c2g.coordinator.broker_rights`, :mod:`p2c2g.coordinator.janitor`).  Passwords come as
their SHA-256, which is what the broker keeps: the clear ones pass neither this process's memory
for long nor the broker's logs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from p2c2g.errors import BrokerRefusesError
from p2c2g.messaging import acl, names, open_names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.limits import MAX_BULK
from p2c2g.settings.principal import Principal, Role, is_principal_id

#: Settings of a broker that strangers use, and the most that they should be; 0 is no bound.
_BOUNDS: Final = {
    "maxmemory": 2**62,
    "proto-max-bulk-len": MAX_BULK,
    "client-query-buffer-limit": 4 * MAX_BULK,
}
#: Commands of one write: a thousand standings of 2 KB each are no one message.
_SLICE: Final = 100


@dataclass(frozen=True, slots=True)
class Held:
    """One key, its type unknown, and the bytes that the broker holds for it."""

    key: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Fill:
    """How full a broker is: bytes in use, and at most (0 where that is not set), and its keys."""

    bytes: int
    most: int
    keys: int


@dataclass(frozen=True, slots=True)
class Connections:
    """Who is connected: how many connections each principal has, and whose begin in no login.

    ``strangers`` are the ids of connections that have not logged in for a while.
    """

    count: Mapping[Principal, int]
    strangers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """A part of a scan.

    ``cursor`` is where the next part begins, 0 where this was the last one.
    """

    cursor: int
    held: tuple[Held, ...]


class Rights:
    """What the coordinator does at the broker.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker is away or
    refuses, and can then be called again: each says how it is to be, not what is to change.

    Args:
        client: of a login that may do everything.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def server(self) -> str:
        """Return a name for this run of the broker: another one has forgotten every login."""
        with translated():
            told: Any = self._client.info("server")
        return str(told.get("run_id", ""))

    def shortcomings(self) -> list[str]:
        """Return what this broker does not bound, in a sentence each; none where it does not tell.

        ``docs/pools.md`` has a ``redis.conf`` that bounds all of it.

        Raises:
            BrokerRefusesError: it is too old to keep strangers apart.
        """
        with translated():
            server: Any = self._client.info("server")
        version = str(server.get("redis_version", "7"))
        if version.partition(".")[0].isdigit() and int(version.partition(".")[0]) < 7:
            raise BrokerRefusesError(
                f"The broker is Redis {version}, whose access rules cannot keep strangers apart: "
                "an open pool needs Redis 7.0 or later, or Valkey."
            )
        try:
            with translated():
                told: Any = self._client.config_get(*_BOUNDS, "maxmemory-policy")
        except BrokerRefusesError:
            return []  # A hosted one, which has no CONFIG; its owner sees to it.
        found = []
        for name, most in _BOUNDS.items():
            value = int(told.get(name, most))
            if value == 0:
                found.append(f"{name} is not set.")
            elif value > most:
                found.append(f"{name} is {value}, and {most} would do.")
        if told.get("maxmemory-policy", "noeviction") != "noeviction":
            found.append("maxmemory-policy is not noeviction.")
        return found

    def logins(self) -> frozenset[Principal]:
        """Return who has a login; other users are none of ours."""
        with translated():
            users: Any = self._client.execute_command("ACL USERS")  # type: ignore[no-untyped-call]
        return frozenset(filter(None, (_principal(_text(user)) for user in users)))

    def grant(self, logins: Mapping[Principal, Collection[str]]) -> None:
        """Make or replace logins; connections under the same password stay.

        Args:
            logins: each with the SHA-256 of its passwords, 64 hexadecimal digits each.
        """
        self._send(
            (
                "ACL SETUSER", principal.user, "reset", "on",
                *(f"#{digest}" for digest in digests),
                *acl.rules(principal),
            )
            for principal, digests in logins.items()
        )  # fmt: skip

    def revoke(self, principals: Iterable[Principal]) -> None:
        """Delete logins and end their connections, in that order of effect: none comes back."""
        commands: list[tuple[str, ...]] = []
        for principal in principals:
            # Off first: it cannot log in between the two others; it also makes one who is not
            # there, whom CLIENT KILL would not know.
            commands += [
                ("ACL SETUSER", principal.user, "off"),
                ("CLIENT KILL", "USER", principal.user),
                ("ACL DELUSER", principal.user),
            ]
        self._send(commands)

    # -- what the operator says --------------------------------------------------------------

    def tell_standings(self, standings: Mapping[str, str | None]) -> None:
        """Say to each peer how it stands; None takes back what was said."""
        self._send(
            ("UNLINK", open_names.standing(peer)) if said is None
            else ("SET", open_names.standing(peer), said)
            for peer, said in standings.items()
        )  # fmt: skip

    def tell_vouchers(self, vouchers: Mapping[str, str | None]) -> None:
        """Vouch for peers; None is for those who are not vouched for any more."""
        self._send(
            ("HDEL", open_names.peers(), peer) if said is None
            else ("HSET", open_names.peers(), peer, said)
            for peer, said in vouchers.items()
        )  # fmt: skip

    def tell_gamers(self, here: Iterable[str], gone: Iterable[str] = ()) -> None:
        """Name gamers who have a login, and those who have it no more."""
        key = open_names.gamers()
        self._send(
            [("SADD", key, gamer) for gamer in here] + [("SREM", key, gamer) for gamer in gone]
        )

    def told(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the peers and the gamers who are named at the broker."""
        with translated():
            peers: Any = self._client.hkeys(open_names.peers())
            gamers: Any = self._client.smembers(open_names.gamers())
        return frozenset(map(_text, peers)), frozenset(map(_text, gamers))

    # -- how full it is ----------------------------------------------------------------------

    def fill(self) -> Fill:
        """Return how full the broker is."""
        with translated():
            memory: Any = self._client.info("memory")
            keys: Any = self._client.dbsize()
        return Fill(int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0)), int(keys))

    def connections(self, patience: float) -> Connections:
        """Return who is connected.

        Args:
            patience: seconds that a connection has to log in.
        """
        with translated():
            mine: Any = self._client.acl_whoami()
            rows: Any = self._client.client_list()
        # Who has not logged in is the default user: where that is us, nobody can tell.
        nobody = "default" if _text(mine) != "default" else ""
        count = Counter(filter(None, (_principal(str(row.get("user", ""))) for row in rows)))
        strangers = (
            int(row["id"])
            for row in rows
            if row.get("user") == nobody and float(row.get("age", 0)) > patience
        )
        return Connections(count, tuple(strangers))

    def hang_up(self, connections: Iterable[int]) -> None:
        """End connections, by their ids; those that have ended are no mistake."""
        self._send(("CLIENT KILL", "ID", str(each)) for each in connections)

    def look(self, cursor: int, count: int) -> Look:
        """Return some of the pool's keys with their bytes.

        The broker looks at ``count`` keys of its table, or a few more, and estimates what a long
        list holds, so a call costs it a bounded time.
        """
        with translated():
            told: Any = self._client.scan(cursor, match=f"{names.celerys()}[pg]:*", count=count)
            cursor, keys = int(told[0]), list(told[1])
            pipeline = self._client.pipeline(transaction=False)
            for key in keys:
                pipeline.memory_usage(key)
            sizes = pipeline.execute() if keys else []
        return Look(
            cursor,
            tuple(
                Held(key.decode(errors="surrogateescape"), int(size))
                for key, size in zip(keys, sizes, strict=True)
                if size is not None  # gone meanwhile
            ),
        )

    def remove(self, keys: Iterable[str]) -> None:
        """Delete keys; the broker frees their memory beside its other work."""
        self._send(("UNLINK", key.encode(errors="surrogateescape")) for key in keys)

    def _send(self, commands: Iterable[tuple[Any, ...]]) -> None:
        waiting = list(commands)
        with translated():
            for start in range(0, len(waiting), _SLICE):
                pipeline = self._client.pipeline(transaction=False)
                for command in waiting[start : start + _SLICE]:
                    pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
                pipeline.execute()


def _principal(user: str) -> Principal | None:
    role, _, name = user.partition("-")
    if role in (each.value for each in Role) and is_principal_id(name):
        return Principal(Role(role), name)
    return None


def _text(told: Any) -> str:
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)
