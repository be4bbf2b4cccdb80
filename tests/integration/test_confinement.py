"""The matrix of attempts: what each principal of an open pool can do at a real broker, and cannot.

Each attempt is really made, over Redis and over Valkey, by a login that has the rules of
:mod:`p2c2g.messaging.acl`.  At the end the operator looks at every key that was nobody's business:
each is byte for byte what it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from p2c2g.messaging import names, open_names
from p2c2g.settings.principal import Principal, Role
from tests.open_pool import SERVERS, OpenPool

PEER, OTHER_PEER = "pattic", "pcellar"
GAMER, OTHER_GAMER = "galice", "gbobby"
#: One whose id begins as another's does.
LONGER = "galice2"
SESSION = "s1"

#: How the broker says that its configuration, and no rule, lets nobody do something.
_CONFIGURED = "command not allowed. If the enable-"

Attempt = tuple[str | bytes | float, ...]


def chunks(peer: str, gamer: str) -> str:
    return names.queue_key(open_names.chunks_queue(peer, gamer))


def results(peer: str, gamer: str) -> str:
    return open_names.results(peer, gamer, SESSION)


#: Every key of a pool at work, and how it is made.
TREASURE: dict[str, Attempt] = {
    **{
        chunks(peer, gamer): ("LPUSH", chunks(peer, gamer), f"chunk of {gamer}")
        for peer in (PEER, OTHER_PEER)
        for gamer in (GAMER, OTHER_GAMER, LONGER)
    },
    **{
        results(peer, gamer): ("XADD", results(peer, gamer), "1-1", "payload", f"of {peer}")
        for peer in (PEER, OTHER_PEER)
        for gamer in (GAMER, OTHER_GAMER, LONGER)
    },
    **{
        key: ("SET", key, "told")
        for peer in (PEER, OTHER_PEER)
        for key in (
            open_names.enrolment(peer), open_names.beat(peer),
            open_names.measurement(peer, "t"), open_names.standing(peer),
        )
    },
    **{
        key: ("SET", key, "seen")
        for gamer in (GAMER, OTHER_GAMER, LONGER)
        for key in (
            open_names.health(gamer), open_names.breakers(gamer), open_names.gamer_blob(gamer, "h"),
        )
    },
    **{
        key: ("XADD", key, "1-1", "wake", "up")
        for gamer in (GAMER, OTHER_GAMER, LONGER)
        for key in [open_names.wake(gamer, SESSION, 0)]
    },
    open_names.peers(): ("HSET", open_names.peers(), OTHER_PEER, "vouched for"),
    open_names.gamers(): ("SADD", open_names.gamers(), OTHER_GAMER),
    # A pool of one's own on the same server.
    names.peers(): ("HSET", names.peers(), "cpu1@host", "enrolled"),
    names.banned(): ("HSET", names.banned(), "cpu2@host", "liar"),
    names.breakers(): ("ZADD", names.breakers(), 9, "cpu1@host"),
    names.results("s"): ("XADD", names.results("s"), "1-1", "payload", "picture"),
    names.queue_key("cpu"): ("LPUSH", names.queue_key("cpu"), "chunk"),
}  # fmt: skip

#: What nobody may do but the operator, whatever the key.
FORBIDDEN: tuple[Attempt, ...] = (
    ("FLUSHALL",), ("FLUSHDB",), ("SHUTDOWN", "NOSAVE"), ("DEBUG", "SLEEP", 0), ("SWAPDB", 0, 1),
    ("CONFIG", "GET", "*"), ("CONFIG", "SET", "maxmemory", "1mb"), ("CONFIG", "RESETSTAT"),
    ("ACL", "LIST"), ("ACL", "USERS"), ("ACL", "GETUSER", "default"), ("ACL", "WHOAMI"),
    ("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all"), ("ACL", "DELUSER", "default"),
    ("ACL", "LOG"), ("ACL", "LOG", "RESET"), ("ACL", "SAVE"), ("ACL", "LOAD"), ("ACL", "CAT"),
    ("CLIENT", "LIST"), ("CLIENT", "KILL", "TYPE", "normal"), ("CLIENT", "PAUSE", 1),
    ("CLIENT", "INFO"), ("CLIENT", "UNBLOCK", 1), ("CLIENT", "TRACKING", "ON"),
    ("CLIENT", "NO-EVICT", "ON"), ("CLIENT", "REPLY", "OFF"),
    ("KEYS", "*"), ("SCAN", 0), ("RANDOMKEY",), ("DBSIZE",), ("SELECT", 1), ("MONITOR",),
    ("SUBSCRIBE", "*"), ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", "x"), ("PUBLISH", "x", "y"),
    ("SPUBLISH", "x", "y"), ("PUBSUB", "CHANNELS"),
    ("EVAL", "return 1", 0), ("EVAL_RO", "return 1", 0), ("EVALSHA", "0" * 40, 0),
    ("SCRIPT", "LOAD", "return 1"), ("SCRIPT", "KILL"), ("SCRIPT", "FLUSH"),
    ("FUNCTION", "LIST"), ("FUNCTION", "LOAD", "#!lua name=x"), ("FCALL", "x", 0),
    ("INFO",), ("COMMAND",), ("COMMAND", "COUNT"), ("ROLE",), ("MEMORY", "STATS"),
    ("MEMORY", "DOCTOR"), ("LATENCY", "HISTORY", "command"), ("SLOWLOG", "GET"),
    ("MODULE", "LIST"), ("MODULE", "LOAD", "/x.so"), ("SAVE",), ("BGSAVE",), ("BGREWRITEAOF",),
    ("LASTSAVE",), ("REPLICAOF", "127.0.0.1", 1), ("SLAVEOF", "127.0.0.1", 1), ("FAILOVER",),
    ("PSYNC", "?", -1), ("SYNC",), ("REPLCONF", "listening-port", 1), ("WAIT", 0, 1),
    ("CLUSTER", "INFO"), ("CLUSTER", "SLOTS"), ("READONLY",), ("LOLWUT",), ("UNWATCH",),
    # Celery's remote control of all workers, as ``celery control shutdown`` sends it.
    ("PUBLISH", f"{names.celerys()}/0.celery.pidbox", '{"method": "shutdown"}'),
    ("LPUSH", f"{names.celerys()}x.celery.pidbox", "{}"),
    ("SMEMBERS", names.control_bindings()), ("SADD", names.control_bindings(), "x"),
    # A stranger's key, in no pool.
    ("SET", "x", "y"), ("GET", "x"), ("SET", f"{names.celerys()}x", "y"), ("DEL", "x"),
)  # fmt: skip

#: Commands that none of our roles has, on a key that is its own otherwise.
UNKNOWN: tuple[str, ...] = (
    "DUMP", "TTL", "PTTL", "TYPE", "EXISTS", "PERSIST", "TOUCH", "UNLINK", "INCR", "GETDEL", "LPOP",
    "RPOP", "HGETALL", "MGET", "SCARD", "ZCARD", "SORT", "EXPIRETIME", "WATCH",
)  # fmt: skip


def on_key(key: str) -> tuple[Attempt, ...]:
    """Return commands that read or change one key and that no role has."""
    return (
        *((name, key) for name in UNKNOWN),
        ("OBJECT", "ENCODING", key), ("OBJECT", "FREQ", key), ("MEMORY", "USAGE", key),
        ("DEBUG", "OBJECT", key), ("COPY", key, f"{key}x"), ("RENAME", key, f"{key}x"),
        ("RENAMENX", key, f"{key}x"), ("MOVE", key, 1), ("RESTORE", key, 0, b"x", "REPLACE"),
        ("MIGRATE", "127.0.0.1", 1, key, 0, 1), ("APPEND", key, "x"),
        ("SETRANGE", key, 1 << 28, "x"), ("SETBIT", key, 1 << 31, 1), ("LRANGE", key, 0, -1),
        ("LINDEX", key, 0), ("LSET", key, 0, "x"), ("LMOVE", key, key, "LEFT", "RIGHT"),
        ("RPOPLPUSH", key, key), ("LINSERT", key, "BEFORE", "a", "b"), ("BLPOP", key, 0.01),
        ("BLMOVE", key, key, "LEFT", "RIGHT", 0.01), ("XRANGE", key, "-", "+"),
        ("XREVRANGE", key, "+", "-"), ("XREAD", "STREAMS", key, 0), ("XLEN", key),
        ("XDEL", key, "1-1"), ("XTRIM", key, "MAXLEN", 0), ("XINFO", "STREAM", key),
        ("XSETID", key, "9-9"), ("XGROUP", "DESTROY", key, "session"),
        ("XGROUP", "SETID", key, "session", "$"), ("XCLAIM", key, "session", "x", 0, "1-1"),
        ("XPENDING", key, "session"), ("SSCAN", key, 0), ("HSET", key, "a", "b"),
        ("HDEL", key, "a"), ("HGET", key, "a"), ("SADD", key, "x"), ("SREM", key, "x"),
        ("BITFIELD", key, "GET", "u8", 0), ("PFADD", key, "x"), ("GEOADD", key, 1, 1, "x"),
        ("ZUNIONSTORE", key, 1, key),
    )  # fmt: skip


def reads(key: str) -> tuple[Attempt, ...]:
    return (
        ("GET", key), ("GETRANGE", key, 0, 9), ("STRLEN", key), ("LLEN", key),
        ("BRPOP", key, 0.01),
    )  # fmt: skip


def writes(key: str) -> tuple[Attempt, ...]:
    return (
        ("SET", key, "x"), ("SET", key, "x", "PX", 9), ("DEL", key), ("PEXPIRE", key, 1),
        ("RPUSH", key, "x"), ("LTRIM", key, 1, 0), ("XADD", key, "*", "a", "b"),
    )  # fmt: skip


def gamer_reads(key: str) -> tuple[Attempt, ...]:
    return (
        *reads(key), ("SMEMBERS", key), ("HKEYS", key), ("HMGET", key, "x"),
        ("XREADGROUP", "GROUP", "session", "session", "STREAMS", key, ">"),
    )  # fmt: skip


def gamer_writes(key: str) -> tuple[Attempt, ...]:
    return (
        *writes(key), ("LPUSH", key, "x"), ("LREM", key, 0, "x"), ("EXPIRE", key, 1),
        ("XGROUP", "CREATE", key, "session", "$", "MKSTREAM"),
    )  # fmt: skip


def denied_to_the_peer() -> Iterator[Attempt]:
    yield from FORBIDDEN
    own = (
        chunks(PEER, GAMER), results(PEER, GAMER), open_names.enrolment(PEER),
        open_names.measurement(PEER, "t"),
    )  # fmt: skip
    for key in own:
        yield from on_key(key)
        yield "LPUSH", key, "forged"
        yield "LREM", key, 0, "x"
        yield "XGROUP", "CREATE", key, "session", "$", "MKSTREAM"
        yield "XREADGROUP", "GROUP", "session", "session", "STREAMS", key, ">"
        yield "MGET", key
        yield "EXPIRE", key, 1
    # What it has answered it can neither read again nor take back, and what it shares with a gamer
    # it cannot make something else of: a read of many keys fails at one of another kind.
    yield from reads(results(PEER, GAMER))
    yield from (each for each in writes(results(PEER, GAMER)) if each[0] != "XADD")
    yield from (each for each in reads(chunks(PEER, GAMER)) if each[0] not in ("LLEN", "BRPOP"))
    yield from writes(chunks(PEER, GAMER))
    yield "RPUSH", open_names.beat(PEER), "x"
    yield "BRPOP", open_names.beat(PEER), 0.01
    yield "XADD", open_names.beat(PEER), "*", "a", "b"
    # What the operator says to it, and gamers give to all peers, it reads and no more.
    for key in (open_names.standing(PEER), open_names.gamer_blob(GAMER, "h")):
        yield from writes(key)
        yield "BRPOP", key, 0.01
    foreign = [
        key
        for key in TREASURE
        if key not in own
        and not key.startswith(f"{names.celerys()}p:{PEER}:")
        and key not in (open_names.standing(PEER),)
        and ":blob:" not in key
    ]
    for key in foreign:
        yield from reads(key)
        yield from writes(key)
        yield "HSET", key, PEER, "vouched for"
        yield "HGETALL", key
        yield "ZADD", key, 9, OTHER_PEER
        yield "SADD", key, "x"
        yield "XADD", key, "NOMKSTREAM", "MAXLEN", "~", 9, "*", "a", "b"
        yield "XREVRANGE", key, "+", "-"
    # One of its own beside one of another's.
    yield "BRPOP", chunks(PEER, GAMER), chunks(OTHER_PEER, GAMER), 0.01
    yield "DEL", open_names.beat(PEER), open_names.beat(OTHER_PEER)
    yield "COPY", chunks(OTHER_PEER, GAMER), open_names.measurement(PEER, "loot")
    yield "LMOVE", chunks(OTHER_PEER, GAMER), chunks(PEER, GAMER), "LEFT", "LEFT"


def denied_to_the_gamer() -> Iterator[Attempt]:
    yield from FORBIDDEN
    own = (
        chunks(PEER, GAMER), results(PEER, GAMER), open_names.health(GAMER),
        open_names.breakers(GAMER), open_names.gamer_blob(GAMER, "h"),
        open_names.wake(GAMER, SESSION, 0),
    )  # fmt: skip
    for key in own:
        yield from on_key(key)
    # What it shares with a peer it cannot make something else of.
    lists = ("LPUSH", "RPUSH", "LREM", "LTRIM", "LLEN", "EXPIRE", "DEL")
    queue = chunks(PEER, GAMER)
    yield from (each for each in gamer_reads(queue) if each[0] not in lists)
    yield from (each for each in gamer_writes(queue) if each[0] not in lists)
    streams = ("XGROUP", "XREADGROUP", "EXPIRE", "DEL")
    stream = results(PEER, GAMER)
    yield from (each for each in gamer_reads(stream) if each[0] not in streams)
    yield from (each for each in gamer_writes(stream) if each[0] not in streams)
    for gamer in (OTHER_GAMER, LONGER):
        for key in (chunks(PEER, gamer), results(PEER, gamer), open_names.wake(gamer, SESSION, 0),
                    open_names.gamer_blob(gamer, "h")):  # fmt: skip
            yield from gamer_reads(key)
            yield from gamer_writes(key)
        for key in (open_names.health(gamer), open_names.breakers(gamer)):
            yield from gamer_writes(key)
            yield "BRPOP", key, 0.01
    for peer in (PEER, OTHER_PEER):
        for key in (open_names.enrolment(peer), open_names.beat(peer), open_names.standing(peer)):
            yield from gamer_writes(key)
            yield "BRPOP", key, 0.01
        yield from gamer_reads(open_names.measurement(peer, "t"))
        yield from gamer_writes(open_names.measurement(peer, "t"))
        yield from gamer_writes(names.queue_key(open_names.recall_queue(peer, "r")))
    for key in (open_names.peers(), open_names.gamers()):
        yield from gamer_writes(key)
        yield "HSET", key, PEER, "vouched for"
        yield "SADD", key, "x"
    for key in (names.peers(), names.banned(), names.breakers(), names.results("s"),
                names.queue_key("cpu")):  # fmt: skip
        yield from gamer_reads(key)
        yield from gamer_writes(key)
    yield "DEL", chunks(PEER, GAMER), chunks(PEER, OTHER_GAMER)
    both = ("STREAMS", results(PEER, GAMER), results(PEER, OTHER_GAMER), ">", ">")
    yield "XREADGROUP", "GROUP", "session", "session", *both
    yield "COPY", chunks(PEER, OTHER_GAMER), chunks(PEER, GAMER)


COMMON: tuple[Attempt, ...] = (
    ("PING",), ("TIME",), ("HELLO", 3), ("CLIENT", "SETNAME", "x"), ("MULTI",), ("EXEC",),
)  # fmt: skip

#: A peer's work, in order.
PEERS_WORK: tuple[Attempt, ...] = (
    *COMMON,
    ("SET", open_names.enrolment(PEER), "me", "PX", 9000),
    ("SET", open_names.beat(PEER), "alive", "PX", 3000), ("GET", open_names.standing(PEER)),
    ("GET", open_names.beat(PEER)), ("PEXPIRE", open_names.enrolment(PEER), 3000),
    ("BRPOP", names.queue_key(open_names.recall_queue(PEER, "r")), chunks(PEER, GAMER),
     chunks(PEER, OTHER_GAMER), 0.01),
    ("LLEN", chunks(PEER, GAMER)), ("BRPOP", chunks(PEER, GAMER), 0.01),
    ("RPUSH", names.queue_key(open_names.recall_queue(PEER, "r")), ""),
    ("PEXPIRE", names.queue_key(open_names.recall_queue(PEER, "r")), 60_000),
    ("DEL", names.queue_key(open_names.recall_queue(PEER, "r"))),
    ("XADD", results(PEER, GAMER), "NOMKSTREAM", "MAXLEN", "~", 64, "*", "id", "s1.0.0"),
    ("SET", open_names.measurement(PEER, "t"), "x" * 1000, "PX", 1000),
    ("GETRANGE", open_names.measurement(PEER, "t"), 0, 999),
    ("DEL", open_names.measurement(PEER, "t")),
    ("GETRANGE", open_names.gamer_blob(OTHER_GAMER, "h"), 0, 99),
    ("STRLEN", open_names.gamer_blob(GAMER, "h")),
    ("DEL", open_names.beat(PEER), open_names.enrolment(PEER)),
)  # fmt: skip

#: A gamer's, of one session.
GAMERS_WORK: tuple[Attempt, ...] = (
    *COMMON,
    ("HKEYS", open_names.peers()), ("HMGET", open_names.peers(), OTHER_PEER),
    ("SMEMBERS", open_names.gamers()), ("GETRANGE", open_names.beat(OTHER_PEER), 0, 99),
    ("GETRANGE", open_names.standing(OTHER_PEER), 0, 63),
    ("GETRANGE", open_names.enrolment(OTHER_PEER), 0, 99),
    ("LLEN", chunks(OTHER_PEER, GAMER)),
    ("XGROUP", "CREATE", results(OTHER_PEER, GAMER), "session", "$", "MKSTREAM"),
    ("EXPIRE", results(OTHER_PEER, GAMER), 30),
    ("XGROUP", "CREATE", open_names.wake(GAMER, SESSION, 0), "session", "$", "MKSTREAM"),
    ("LPUSH", chunks(OTHER_PEER, GAMER), "chunk"), ("LTRIM", chunks(OTHER_PEER, GAMER), 0, 15),
    ("EXPIRE", chunks(OTHER_PEER, GAMER), 3),
    ("XREADGROUP", "GROUP", "session", "session", "COUNT", 64, "BLOCK", 10, "NOACK", "STREAMS",
     open_names.wake(GAMER, SESSION, 0), results(OTHER_PEER, GAMER), ">", ">"),
    ("LREM", chunks(OTHER_PEER, GAMER), -1, "chunk"),
    ("RPUSH", chunks(OTHER_PEER, GAMER), "chunk"),
    ("SET", open_names.health(GAMER), "seen", "PX", 1000), ("GET", open_names.health(OTHER_GAMER)),
    ("SET", open_names.breakers(GAMER), "{}", "EX", 9),
    ("GETRANGE", open_names.breakers(OTHER_GAMER), 0, 99),
    ("SET", open_names.gamer_blob(GAMER, "h"), "net", "PX", 1000),
    ("DEL", results(OTHER_PEER, GAMER), open_names.wake(GAMER, SESSION, 0)),
    ("DEL", chunks(OTHER_PEER, GAMER)),
    ("DEL", open_names.health(GAMER), open_names.breakers(GAMER)),
)  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(each, marks=[pytest.mark.needs(each)] if each == "redis-server" else [])
        for each in SERVERS
    ],
)
def pool(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenPool]:
    with OpenPool(request.param, tmp_path_factory.mktemp("open")) as opened:
        for peer in (PEER, OTHER_PEER):
            opened.join(Role.PEER, peer)
        for gamer in (GAMER, OTHER_GAMER, LONGER):
            opened.join(Role.GAMER, gamer)
        yield opened


class Attacker:
    """One connection with a principal's login."""

    def __init__(self, pool: OpenPool, principal: Principal) -> None:
        membership = pool.memberships[principal]
        self._connection: Any = redis.Connection(
            port=pool.broker.port,
            username=membership.user,
            password=membership.password.get_secret_value(),
            protocol=2,
            driver_info=None,
        )

    def is_denied(self, attempt: Attempt) -> bool:
        """Make an attempt; tell whether the broker denied the right to it."""
        try:
            self._connection.send_command(*attempt)
            self._connection.read_response()
        except NoPermissionError:
            return True
        except redis.ResponseError as error:
            # DEBUG and MODULE to everybody; all else would have been done, had it made sense.
            return _CONFIGURED in str(error)
        return False

    def close(self) -> None:
        self._connection.disconnect()


@pytest.fixture
def treasure(pool: OpenPool) -> dict[str, Any]:
    """Return the dump of each key of a pool at work, all of them new."""
    pool.operator.flushall()
    for attempt in TREASURE.values():
        pool.command(*attempt)
    return dumps(pool)


def dumps(pool: OpenPool) -> dict[str, Any]:
    return {key: pool.command("DUMP", key) for key in sorted(pool.keys())}


ATTACKS = {
    Principal(Role.PEER, PEER): denied_to_the_peer,
    Principal(Role.GAMER, GAMER): denied_to_the_gamer,
}
WORK = {
    Principal(Role.PEER, PEER): PEERS_WORK,
    Principal(Role.GAMER, GAMER): GAMERS_WORK,
}


@pytest.mark.parametrize("principal", ATTACKS, ids=lambda each: each.role.value)
def test_what_is_not_its_own_it_cannot_touch(
    pool: OpenPool, treasure: dict[str, Any], principal: Principal
) -> None:
    attacker = Attacker(pool, principal)
    attempts = list(ATTACKS[principal]())
    assert len(attempts) > 300
    assert [attempt for attempt in attempts if not attacker.is_denied(attempt)] == []
    attacker.close()
    assert dumps(pool) == treasure


@pytest.mark.parametrize("principal", WORK, ids=lambda each: each.role.value)
def test_its_work_it_can_do(pool: OpenPool, treasure: dict[str, Any], principal: Principal) -> None:
    pool.command("ACL", "LOG", "RESET")
    worker = Attacker(pool, principal)
    assert [attempt for attempt in WORK[principal] if worker.is_denied(attempt)] == []
    worker.close()
    assert pool.denials() == []


@pytest.mark.parametrize("principal", ATTACKS, ids=lambda each: each.role.value)
def test_a_transaction_gives_no_more(
    pool: OpenPool, treasure: dict[str, Any], principal: Principal
) -> None:
    attacker = Attacker(pool, principal)
    assert not attacker.is_denied(("MULTI",))
    assert attacker.is_denied(("DEL", open_names.standing(OTHER_PEER)))
    assert not attacker.is_denied(("EXEC",))
    attacker.close()
    assert dumps(pool) == treasure


def test_who_leaves_is_cut_off(pool: OpenPool) -> None:
    leaver = Principal(Role.PEER, "pleaver")
    pool.join(leaver.role, leaver.id)
    attacker = Attacker(pool, leaver)
    assert not attacker.is_denied(("PING",))
    pool.leave(leaver)
    with pytest.raises(redis.ConnectionError):
        attacker.is_denied(("PING",))
    attacker.close()
