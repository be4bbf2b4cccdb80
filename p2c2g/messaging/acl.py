"""What each principal of an open pool may do at the broker, in the broker's own words.

The coordinator gives these rules to ``ACL SETUSER``, behind the login's password.  Redis 7 or
Valkey: ``%R~``, ``%W~`` and rules in parentheses, which are *selectors*, are theirs.  Neither role
has scripts, since the broker counts every key of a script as written; nor remote control,
publishing, configuration, or any command that lists keys.

Who shares a key with another may use it for what it is and for nothing else, which is what the
selectors are for.  A peer that could ``SET`` its results, or a gamer that could ``SET`` its queue
at a peer, would make of it something at which the other's read of many keys fails.
"""

from __future__ import annotations

from typing import Final

from p2c2g.messaging import names
from p2c2g.settings.principal import Principal, Role

#: Everybody's: to connect, and to ask the time.  Not ``client|setinfo``, which Redis 7.0 does not
#: know and would refuse the rules for: our clients do not send it.
_COMMON: Final = ("ping", "hello", "auth", "client|setname", "multi", "exec", "time")
#: On keys of its own, and to read what others tell.
_OWN: Final = ("set", "get", "getrange", "strlen", "pexpire", "del")
_GAMERS_OWN: Final = (*_OWN, "smembers", "hkeys", "hmget")


def rules(principal: Principal) -> tuple[str, ...]:
    """Return a principal's rules, each one argument of ``ACL SETUSER``, without its password.

    They begin from nothing, so that who was given other rules earlier keeps none of them.
    """
    begin = ("resetkeys", "resetchannels", "clearselectors", "-@all")
    if principal.role is Role.PEER:
        return (*begin, *_peer(principal.id))
    return (*begin, *_gamer(principal.id))


def _peer(peer: str) -> tuple[str, ...]:
    base = names.celerys()
    own = f"{base}p:{peer}"
    return (
        *_allowed(*_COMMON, *_OWN),
        f"~{own}:own:*", f"~{own}:told:*",
        f"%R~{base}o:standing:{peer}", f"%R~{base}g:*:blob:*",
        # Its chunks, and by the same read the list by which it calls that back.
        _selector("brpop", "llen", keys=(f"~{own}:in:*", f"~{own}:own:*")),
        # Not its chunks: a queue that is too long is then its gamer's doing.
        _selector("rpush", keys=(f"~{own}:own:*",)),
        _selector("xadd", keys=(f"%W~{own}:out:*",)),
    )  # fmt: skip


def _gamer(gamer: str) -> tuple[str, ...]:
    base = names.celerys()
    others = (
        "p:*:told:*", "g:*:health", "g:*:breakers", "o:peers", "o:gamers",
        "o:standing:*",
    )  # fmt: skip
    return (
        *_allowed(*_COMMON, *_GAMERS_OWN),
        f"~{base}g:{gamer}:*",
        *(f"%R~{base}{each}" for each in others),
        _selector(
            "lpush", "rpush", "lrem", "ltrim", "llen", "expire", "del",
            keys=(f"~{base}p:*:in:{gamer}",),
        ),
        # Results, and by the same read the stream by which it ends that.
        _selector(
            "xgroup|create", "xreadgroup", "expire", "del",
            keys=(f"~{base}p:*:out:{gamer}.*", f"~{base}g:{gamer}:own:*"),
        ),
    )  # fmt: skip


def _allowed(*commands: str) -> tuple[str, ...]:
    return tuple(f"+{each}" for each in commands)


def _selector(*commands: str, keys: tuple[str, ...]) -> str:
    return f"({' '.join((*_allowed(*commands), *keys))})"
