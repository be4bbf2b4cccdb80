"""Makes a machine a peer, step by step: what ``p2c2g peer init`` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic, time
from typing import Any, Final

from p2c2g import __version__
from p2c2g.commands.peer_checks import Check, Found, Worth, free_space, judged, python_version
from p2c2g.commands.worker_checks import without_nets
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.joining.client import CA_VARIABLE, PoolClient
from p2c2g.joining.peer import enter
from p2c2g.lending import peer_config
from p2c2g.lending.home import RUN, STARTS, Home
from p2c2g.lending.peer_settings import PeerConfig
from p2c2g.lending.service import Service
from p2c2g.lending.state import State
from p2c2g.lending.unit import Unit, service_name
from p2c2g.system.cpus import cores
from p2c2g.system.files import write_whole
from p2c2g.system.processes import last_line
from p2c2g.system.secrets import find_secret, write_private
from p2c2g_workers.configured import trusting
from p2c2g_workers.membership import TOKEN_VARIABLE, place

#: Seconds that a peer may take until it writes what it does, and between two looks.
STARTED: Final = 60.0
LOOK: Final = 0.2


def found_here(home: Home) -> Found:
    """Return what is found of this machine."""
    from p2c2g_workers import probe

    return Found(
        python=python_version(),
        disk=free_space(home.root),
        memory=probe.memory(),
        cores=cores(),
        cpu=probe.cpu_model(),
        cards=[gpu.name for gpu in probe.gpus()],
        nets=not without_nets(),
    )


def checked(home: Home, show: Callable[[Check], None]) -> None:
    """Look whether this machine can be lent.

    Args:
        home: where its files are to be.
        show: is told of each check.

    Raises:
        UnavailableError: it cannot.
    """
    bad = []
    for check in judged(found_here(home), home.root):
        show(check)
        if check.worth is Worth.BAD:
            bad.append(f"{check.what} ({check.found}): {check.advice}")
    if bad:
        raise UnavailableError(f"This machine cannot be lent for its {'; '.join(bad)}.")


def reached(home: Home, pool: str, show: Callable[[Check], None]) -> None:
    """Look whether a pool's coordinator answers; certificates that sign its own are kept.

    Raises:
        PoolUnavailableError: it does not.
        UsageError: that is no address.
    """
    named = os.environ.get(CA_VARIABLE, "")
    if named and Path(named) != home.pool_ca:
        try:
            write_whole(home.pool_ca, Path(named).read_bytes())
        except OSError as error:
            raise UsageError(
                f"{CA_VARIABLE} names {named!r}, which cannot be kept ({error.strerror}): give a "
                "file of certificates in PEM."
            ) from error
    os.environ.update(trusting(home))
    address, _ = place(pool, "", home.pools)
    with PoolClient(address) as client:
        seconds = client.reach()
    show(Check("Pool", f"{address.url} answers in {1000 * seconds:.0f} ms"))


def joined(
    home: Home, pool: str, name: str, token_file: Path | None, say: Callable[[str], None]
) -> str:
    """Have a membership of a pool; return how the peer is called there.

    A token is asked for only where there is none yet, and is not kept.

    Raises:
        PoolUnavailableError: the pool does not answer, or will not have it.
        UsageError: there is no token.
    """
    address, kept = place(pool, name, home.pools)

    def token() -> str:
        return address.token or find_secret(
            "Join token", TOKEN_VARIABLE, "--token-file", token_file
        )

    with kept.claimed():
        membership = enter(address, kept, name, token, say)
    os.environ.pop(TOKEN_VARIABLE, None)
    return membership.id


def keep_cache(home: Home) -> None:
    """Have this process, and the libraries that it uses, keep in the home what they may lose."""
    if sys.platform == "linux":
        os.environ["XDG_CACHE_HOME"] = str(home.cache)


def measured() -> None:
    """Measure what this machine can do, and remember that."""
    from p2c2g.settings import load
    from p2c2g_workers import probe
    from p2c2g_workers.engine.choosing import open_engine

    choice = open_engine(load().worker, probe.gpus())
    try:
        probe.capabilities(engine=choice.engine)
    finally:
        choice.engine.close()


def configured(home: Home, changes: Mapping[str, Any]) -> PeerConfig:
    """Write ``peer.toml``, or change the one that is there.

    Raises:
        UsageError: a value is wrong, or the file is.
    """
    if home.config.exists():
        return peer_config.change(home.config, changes)
    config = PeerConfig.of(changes)
    peer_config.write(home.config, config)
    return config


def keep_broker(home: Home, url: str) -> None:
    """Keep the URL of a broker of one's own, for the peer's user alone."""
    write_private(home.broker_url, url + "\n")


def adopt(home: Home) -> None:
    """Use this process's environment from now on, where its home has none of this version."""
    prefix = Path(sys.prefix)
    current = home.current_version()
    if current is not None and home.venv(current).resolve() == prefix.resolve():
        return
    home.adopt(prefix, __version__)


def install(home: Home, service: Service) -> None:
    """Have the system start it.

    Raises:
        UnavailableError: the system will not.
    """
    adopt(home)
    service.install(Unit.of(home, STARTS))


def started(home: Home, service: Service) -> State:
    """Start it, and wait until it says what it does.

    Raises:
        UnavailableError: it has ended, or says nothing.
    """
    began = time()
    service.start(service_name(home))
    return wait(home, service, STARTED, lambda state: state.started >= began - 1.0)


def wait(home: Home, service: Service, seconds: float, until: Callable[[State], bool]) -> State:
    """Wait until what it does is as it should be; return that.

    Raises:
        UnavailableError: it has ended, or was not so in time.
    """
    pause, deadline = Event(), monotonic() + seconds
    while True:
        state = State.read(home.state)
        if state is not None and state.is_fresh(time()) and until(state):
            return state
        if not service.is_running(service_name(home)):
            raise UnavailableError(f"The peer has ended: {_why(home)}")
        if monotonic() > deadline:
            raise UnavailableError(
                f"The peer has not said what it does for {seconds:.0f} s: look at its log in "
                f"{home.log}."
            )
        pause.wait(LOOK)


def _why(home: Home) -> str:
    with suppress(OSError):
        if line := last_line(home.log / "service.log"):
            return line
    return f"p2c2g {' '.join(RUN)} says why."
