"""A lender's machine by its commands, from nothing to its first chunk and back to nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import httpx
import pytest

from p2c2g import __version__
from p2c2g.lending import peer_config
from p2c2g.lending.home import Home
from p2c2g.lending.service import installed
from p2c2g.lending.state import State, Word
from p2c2g.lending.unit import service_name
from tests.forks import Finished

from .conftest import PATIENCE, Command, finish, finish_quickly
from .test_joining import RUN, Pool, pool

__all__ = ["pool"]

pytestmark = pytest.mark.needs("redis-server")

#: Seconds in which a peer has started, and has worked, on any machine.
LONG = 240.0


class Lender:
    """A machine, whose files are in a folder of their own and whose Python is this one."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        self.folder = folder
        self.home = Home(folder / "peer")
        self.env = {
            **pool.theirs,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "P2C2G_PEER_HOME": str(self.home.root),
        }
        del self.env["P2C2G_LOG_DIR"]

    def init(self, token: str, *more: str) -> Finished:
        """Set it up; the processes that it starts outlive the command."""
        given = ("--service=none", "--yes", "--wait=0", "--page-port=0", *more)
        return finish(
            "p2c2g", "peer", "init", self.pool.url, *given, P2C2G_JOIN_TOKEN=token, **self.env
        )

    def peer(self, *arguments: str) -> Finished:
        return finish_quickly("p2c2g", "peer", *arguments, **self.env)

    def running(self) -> dict[str, Any]:
        """Wait until its status says that it runs, which it says of a peer that lately told."""
        deadline = monotonic() + LONG
        while True:
            told: dict[str, Any] = json.loads(self.peer("status", "--json").output)
            if told["running"]:
                return told
            assert monotonic() < deadline, told

    def files(self) -> list[str]:
        return sorted(each for found in os.walk(self.folder) for each in (*found[1], *found[2]))


@pytest.fixture
def lender(pool: Pool, tmp_path: Path) -> Iterator[Lender]:
    (tmp_path / "lender").mkdir()
    lender = Lender(pool, tmp_path / "lender")
    yield lender
    if lender.home.root.exists():
        installed(lender.home).uninstall(service_name(lender.home))


@pytest.mark.timeout(900)
def test_a_lender_comes_works_pauses_and_goes(pool: Pool, lender: Lender, start: Any) -> None:
    token = pool.key("anna", "peer", "--uses=1")
    key = pool.key("ben", "gamer")
    before = lender.files()
    done = lender.init(token, "--name=attic", "--max-cpu=90%")
    assert done.code == 0, done
    assert token not in pool.command_lines()
    for folder, _, names in os.walk(lender.home.root):  # Which follows no link.
        for name in names:
            with suppress(FileNotFoundError):  # The peer writes files, which are renamed then.
                assert token.encode() not in Path(folder, name).read_bytes(), name
    told = lender.running()
    assert told["word"] in ("ready", "starting", "working")
    assert "attic" in finish_quickly("p2c2g", "pool", "list", **pool.own).output

    # It is played until the peer has worked, however busy this machine is.
    session: Command = start(
        *RUN, "--seconds=600", "--pool", pool.url, P2C2G_KEY=key, **pool.theirs
    )
    assert _wait(lender, lambda state: state.chunks > 0).gamers is not None
    ended = session.end()
    assert ended.code in (0, 130), ended

    # What is changed on its page is what its file says, and holds at once.
    page = _wait(lender, lambda state: bool(state.page)).page
    address = page.partition("?")[0]
    with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE) as browser:
        assert browser.get("state").status_code == 401
        browser.get(page)
        asked = browser.post("limits", json={"max_cpu": "30%"})
        assert asked.json()["limits"]["max_cpu"] == "30%", asked.text
        assert asked.json()["state"]["total"] > 0
        assert token not in asked.text
    assert peer_config.read(lender.home.config).limits.max_cpu == "30%"

    # A pause outlasts a restart; a change that needs one makes one.
    assert lender.peer("pause", "a film").code == 0
    first = _wait(lender, lambda state: (state.word, state.why) == (Word.PAUSED, "a film"))
    changed = lender.peer("config", "--name=cellar", "--hours=none")
    assert changed.code == 0, changed
    again = _wait(lender, lambda state: state.pid != first.pid and state.word is Word.PAUSED)
    assert again.total >= first.total
    assert lender.peer("resume").code == 0

    # Who has it takes another's place in no pool, and leaves none behind.
    gone = lender.peer("uninstall", "--yes")
    assert gone.code == 0, gone
    assert lender.files() == before
    assert "attic" not in finish_quickly("p2c2g", "pool", "list", **pool.own).output
    assert lender.peer("status").code == 2


def test_what_is_wrong_leaves_nothing_behind(pool: Pool, lender: Lender) -> None:
    before = lender.files()
    wrong = lender.init("p2c2g_" + "0" * 61)
    assert wrong.code == 1, wrong
    assert wrong.errors.strip().count("\n") == 0, wrong
    assert lender.files() == before
    missing = lender.peer("init", "--yes")
    assert missing.code == 2
    assert "The pool is missing" in missing.errors
    for arguments in (("status",), ("config", "--hours=22-7"), ("pause",), ("run", "--configured")):
        done = lender.peer(*arguments)
        assert done.code == 2, done
        assert "p2c2g peer init" in done.errors
    mixed = lender.peer("run", "--configured", "--slots=2")
    assert mixed.code == 2
    assert "leave out --slots" in mixed.errors


def test_the_coordinator_gives_a_script_with_its_own_address_and_the_wheel(pool: Pool) -> None:
    trusted = ssl.create_default_context(cafile=pool.theirs["P2C2G_POOL_CA"])
    with httpx.Client(
        base_url=pool.url, verify=trusted, trust_env=False, timeout=PATIENCE
    ) as client:
        script = client.get("/install.sh")
        assert script.status_code == 200
        assert script.headers["Content-Type"].startswith("text/plain")
        assert f"POOL='{pool.url}'" in script.text
        name = f"p2c2g-{__version__}-py3-none-any.whl"
        assert f"WHEEL='{name}'" in script.text
        wheel = client.get(f"/wheels/{name}")
        assert hashlib.sha256(wheel.content).hexdigest() in script.text
        assert client.get("/wheels/other.whl").status_code == 404
        # Whatever name it is asked by, what stands in the script is an address.
        for host in ("a'; touch /tmp/x; '", "$(id)", "a b"):
            answer = client.get("/install.sh", headers={"Host": host})
            written = re.findall("^POOL=(.*)$", answer.text, re.MULTILINE)
            assert all(re.fullmatch(r"'https://[a-z0-9.:]+'", each) for each in written), written


def _wait(lender: Lender, until: Any) -> State:
    """Wait until the peer has written what is waited for."""
    look, deadline = Event(), monotonic() + LONG
    while True:
        state = State.read(lender.home.state)
        if state is not None and until(state):
            return state
        assert monotonic() < deadline, state
        look.wait(0.1)
