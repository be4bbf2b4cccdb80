"""Flower is not open to everybody.

It has no login unless it is told so, and listens on all addresses: who finds it can shut down
workers and read what they do.  So for our application it listens on this machine alone, unless a
login is set.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import click

from p2c2g.settings.addresses import is_loopback

_LOCAL = "127.0.0.1"
#: Marks a command that is guarded already.
_GUARDED = "p2c2g_guarded"


def guard() -> None:
    """See to it that Flower's command, where Celery has loaded it, listens where it may.

    In place: Celery finds it by Flower's own entry point.
    """
    loaded = sys.modules.get("flower.command")
    if loaded is not None and not hasattr(loaded.flower.callback, _GUARDED):
        loaded.flower.callback = _guarded(loaded.flower.callback)


def safe_address(address: str, *, has_login: bool) -> str:
    """Return the address that Flower is to listen on.

    Args:
        address: what was asked for; empty for nothing, which is all addresses to Flower.
        has_login: whether it asks who comes for a login.

    Raises:
        click.ClickException: it would be open to everybody.
    """
    if has_login or (address and is_loopback(address)):
        return address
    if address:
        raise click.ClickException(
            f"Flower on {address} would let everybody shut down workers: set "
            "FLOWER_BASIC_AUTH=USER:PASSWORD, or leave out --address, so that it listens on this "
            "machine alone."
        )
    return _LOCAL


def _guarded(flower: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(flower)
    def guarded(tornado_argv: tuple[str, ...]) -> None:
        _choose_address(tornado_argv)
        flower(tornado_argv)

    setattr(guarded, _GUARDED, True)
    return guarded


def _choose_address(arguments: tuple[str, ...]) -> None:
    from flower.command import apply_env_options, apply_options
    from tornado.options import options

    # As Flower does next, and to the same effect.
    apply_env_options()
    apply_options(sys.argv[0], arguments)
    if not options.unix_socket:
        has_login = bool(options.basic_auth or options.auth)
        options.address = safe_address(options.address, has_login=has_login)
