"""Starts a worker as ``peer.toml`` says: what the system's service runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from p2c2g.commands.worker_checks import refused_queues
from p2c2g.errors import UsageError
from p2c2g.joining.client import CA_VARIABLE
from p2c2g.lending import peer_config
from p2c2g.lending.home import VARIABLE, Home
from p2c2g.lending.peer_settings import PeerConfig
from p2c2g.settings import load, url_file
from p2c2g.settings.broker_url import redacted
from p2c2g.system.cpus import cores
from p2c2g_workers.launch import Launch
from p2c2g_workers.membership import TOKEN_VARIABLE, entered
from p2c2g_workers.wishes import LENT_VARIABLE, PAGE_VARIABLE

_BROKER = "P2C2G_BROKER_URL"


def run_configured(home: Home, page: int | None, say: Callable[[str], None]) -> int:
    """Become the worker of a lent machine.

    Args:
        home: the machine's.
        page: the port of its page, where that is not to be ``peer.toml``'s.
        say: is told in a sentence what is worth knowing.

    Raises:
        UsageError: the machine is not set up, or something in ``peer.toml`` is wrong.
        PoolUnavailableError: its pool will not have it.
    """
    config = peer_config.read(home.config)
    if page is not None:
        config = PeerConfig.of({**peer_config.flat(config), "page.show": True, "page.port": page})
    launch = launch_of(config)
    if wrong := refused_queues(launch.queues, strict=True):
        raise UsageError(wrong)
    arguments = launch.arguments(cores())
    home.prepare()
    # The joining of a pool, below, goes by it, too.
    os.environ.update(trusting(home))
    environment = environment_of(home, config, os.environ)
    with ExitStack() as stack:
        if config.pool.join:
            token = home.join_key if home.join_key.exists() else None
            path = stack.enter_context(
                entered(config.pool.join, config.peer.name, token, say, home.pools)
            )
            home.join_key.unlink(missing_ok=True)
            environment["P2C2G_MEMBERSHIP"] = str(path)
        return become([sys.executable, "-m", "celery", *arguments], environment)


def launch_of(config: PeerConfig) -> Launch:
    """Return the worker that a configuration asks for."""
    peer = config.peer
    return Launch(
        queues=",".join(peer.queues),
        name=peer.name,
        region=peer.region or None,
        slots=peer.slots or None,
        limits=config.limits.limits(),
        cpu_fallback=peer.cpu_fallback,
    )


def environment_of(
    home: Home, config: PeerConfig, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a lent machine's worker: all that it keeps is in its home.

    Raises:
        UsageError: no broker is named by its file, where it is to work in a pool of one's own.
    """
    made = {**environment, **trusting(home), VARIABLE: str(home.root)}
    made[LENT_VARIABLE] = str(home.root)
    made.pop(TOKEN_VARIABLE, None)
    made.pop(PAGE_VARIABLE, None)
    if config.page.show:
        made[PAGE_VARIABLE] = str(config.page.port)
    made.setdefault("P2C2G_LOG_DIR", str(home.log))
    if sys.platform == "linux":
        made["XDG_CACHE_HOME"] = str(home.cache)
    if not config.pool.join and home.broker_url.exists():
        made.pop(_BROKER, None)
        made[url_file.VARIABLE] = str(home.broker_url)
    return made


def trusting(home: Home) -> dict[str, str]:
    """Return what has the coordinator's own certificates trusted, where a home has any."""
    return {CA_VARIABLE: str(home.pool_ca)} if home.pool_ca.exists() else {}


def broker_said(home: Home) -> str:
    """Return the broker of a pool of one's own, without its password."""
    if home.broker_url.exists():
        return redacted(url_file.read(home.broker_url))
    return redacted(load().broker.url)


def become(command: list[str], environment: Mapping[str, str]) -> int:
    """Become a program, with the same process; on Windows, wait for its end.

    Returns:
        its exit code, where it is waited for.
    """
    if os.name == "posix":
        sys.stdout.flush()
        os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted
    return subprocess.call(command, env=environment)  # noqa: S603 - each argument is checked
