"""Releases that go wrong in every way that we could think of, at real machines: minutes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2c2g import __version__
from p2c2g.updating.manifest import Manifest, Result
from p2c2g.updating.signing import ReleaseKey, signed
from tests import wheels
from tests.acceptance.conftest import Command, finish_quickly
from tests.acceptance.test_joining import RUN, Pool
from tests.brokers import OpenRedis
from tests.updating import Machine, Operator, environment

pytestmark = [
    pytest.mark.trial, pytest.mark.needs("redis-server"), pytest.mark.timeout(1_800),
]  # fmt: skip

#: Put at the end of a module: each chunk is failed at.
BROKEN_AT_WORK = '\n\ndef _enhance(*_, **__):\n    raise RuntimeError("broken at work")\n'


class House:
    """A pool, its operator, and one lent machine."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool, self.folder = pool, folder
        # Leases of two seconds are for tests of leases.
        pool.own["P2C2G_COORDINATOR_LEASE"] = "300"
        pool.coordinator.end()
        pool.run(pool.url.rpartition(":")[2])
        self.built = wheels.build(folder)
        self.operator = Operator(folder, self._run)
        self.machine = Machine(
            folder, pool.url, pool.key("anna", "peer", "--uses=1"), environment(**pool.theirs)
        )

    def _run(self, *words: str) -> str:
        done = finish_quickly("p2c2g", *words, **self.pool.own)
        assert done.code == 0, done
        return done.output

    def wheel(self, version: str, **changes: str) -> Path:
        told = {name.replace("__", "/") + ".py": text for name, text in changes.items()}
        return wheels.as_version(self.built, self.folder, version, told)

    def play(self, start: Any) -> Command:
        """Have a gamer play until the test ends."""
        words = [word for word in RUN if not word.startswith("--seconds")]
        key = self.pool.key("ben", "gamer")
        session: Command = start(*words, "--pool", self.pool.url, P2C2G_KEY=key, **self.pool.theirs)
        return session

    def offer(self, text: str) -> None:
        """Have the coordinator offer what no command of ours would: somebody else runs it."""
        with sqlite3.connect(self.folder / "data" / "coordinator.db") as database:
            database.execute("UPDATE releases SET text = ?, stopped = NULL", (text,))


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Command] = []

    def begin(*words: str, **env: str) -> Command:
        started.append(Command(words, **env))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


@pytest.fixture
def house(start: Any, tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        (tmp_path / "redis").mkdir()
        made = House(Pool(start, OpenRedis(stack, tmp_path / "redis"), tmp_path), tmp_path)
        stack.callback(end, made.machine)
        yield made


def end(machine: Machine) -> None:
    if machine.process is not None and machine.process.poll() is None:
        machine.end()


def test_broken_at_work(house: House, start: Any) -> None:
    machine = house.machine
    machine.keep()
    machine.wait(machine.works(__version__))
    machine.end()
    # Idle for so long that a gamer's chunks come in any case.
    machine.environment["P2C2G_UPDATE_IDLE"] = "60"
    machine.keep()
    machine.wait(machine.works(__version__))
    house.play(start)
    machine.wait(lambda: (state := machine.state()) is not None and state.chunks > 5)
    # It starts, enrols and is ready, and then fails at each chunk of a gamer's.
    house.operator.release(house.wheel("98.0.0", p2c2g_workers__tasks=BROKEN_AT_WORK))
    machine.wait(machine.ended("98.0.0"))
    assert "failed at each of" in machine.journal().said
    machine.wait(machine.works(__version__))
    machine.wait(lambda: not machine.journal().reports)
    assert house.operator.shown()[0]["failed"] == 1
    # A good one does chunks, and stays for that.
    house.operator.release(house.wheel("99.0.0"))
    machine.wait(machine.works("99.0.0"))
    machine.wait(lambda: (state := machine.state()) is not None and state.chunks > 5)


STEPS: dict[str, Callable[[Machine], bool]] = {
    "fetch": lambda machine: (machine.home.root / "update").exists(),
    "environment": lambda machine: machine.home.venv("99.0.0").exists(),
    "installed": lambda machine: machine.home.program(version="99.0.0").exists(),
    "probe": lambda machine: b"probe" in commands(machine),
    "trial": lambda machine: b"--trial" in commands(machine),
    "at work": lambda machine: (s := machine.state()) is not None and s.version == "99.0.0",
    "switched": lambda machine: machine.home.current_version() == "99.0.0",
}


def commands(machine: Machine) -> bytes:
    """Return how all that the keeper has started was started."""
    import psutil

    assert machine.process is not None
    found = []
    for each in psutil.Process(machine.process.pid).children(recursive=True):
        try:
            found += each.cmdline()
        except psutil.NoSuchProcess:
            continue
    return "\n".join(found).encode()


@pytest.mark.parametrize("step", STEPS)
def test_ended_in_the_middle(house: House, step: str) -> None:
    machine = house.machine
    machine.keep()
    machine.wait(machine.works(__version__))
    house.operator.release(house.wheel("99.0.0"))
    machine.wait(lambda: STEPS[step](machine))
    machine.kill()
    assert machine.home.current_version() in (__version__, "99.0.0")
    assert subprocess.run([machine.home.program(), "--version"], check=True, timeout=60)
    machine.keep()
    machine.wait(machine.works("99.0.0"))
    machine.wait(lambda: not machine.journal().reports)
    assert house.operator.shown()[0]["good"] == 1


def test_wrongly_signed_downgraded_and_by_a_key_that_follows(house: House) -> None:
    machine, operator = house.machine, house.operator
    machine.keep()
    machine.wait(machine.works(__version__))
    first = house.wheel("99.0.0")
    operator.release(first)
    machine.wait(machine.works("99.0.0"))
    said = Manifest.model_validate_json(_payload(operator.folder / "1.release.json"))
    thief, mine = ReleaseKey.generate(), ReleaseKey.read(operator.folder / "release.key", "")
    later = {"serial": 9, "version": "99.1.0", "wheels": (said.main.model_copy(
        update={"name": "p2c2g-99.1.0-py3-none-any.whl"}),)}  # fmt: skip
    newer = Manifest.model_validate(said.model_dump() | later)
    older = said.model_copy(update={
        "serial": 12, "version": "0.0.1", "wheels": (said.main.model_copy(
            update={"name": "p2c2g-0.0.1-py3-none-any.whl"}),)})  # fmt: skip
    back = said.model_copy(update={"serial": 1, "note": "again"})
    over = said.model_copy(update={"serial": 11, "expires": said.issued + 1.0})
    for text, why in (
        (signed(newer, thief), "not signed by the key that this machine trusts"),
        (signed(newer, mine).replace('"payload": "', '"payload": "AAAA'), "not signed by the key"),
        (signed(back, mine), "Two releases have the number 1"),
        (signed(over, mine), "has expired"),
        (signed(older, mine), "older than 99.0.0, which this machine runs"),
        (signed(newer, mine), "has the number 9, older than 12"),
    ):
        house.offer(text)
        machine.wait(lambda why=why: why in machine.journal().said)
        assert machine.home.current_version() == "99.0.0"
    house.offer((operator.folder / "1.release.json").read_text())
    # Another key, that the first hands on to.
    run = operator._run
    run("release", "key", str(operator.folder / "new.key"), "--no-passphrase",
        f"--replaces={operator.folder / 'release.key'}")  # fmt: skip
    run("release", "publish", str(operator.folder / "new.key.change.json"))
    operator._serial = 20
    second = house.wheel("99.2.0")
    operator.publish(operator.sign(second, key="new.key"), second)
    machine.wait(machine.works("99.2.0"))
    trusted = machine.journal().trusted
    assert trusted is not None
    assert (trusted.changes, trusted.serial) == (1, 21)


def _payload(file: Path) -> bytes:
    from p2c2g.updating.signing import payload_of

    return payload_of(file.read_text())


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own is made by root")
def test_no_disk(house: House) -> None:
    machine = house.machine
    machine.keep()
    machine.wait(machine.works(__version__))
    house.operator.release(house.wheel("99.0.0"))
    machine.wait(machine.works("99.0.0"))
    machine.wait(lambda: not machine.journal().reports)
    machine.end()
    # From now on its home is a disk of 220 MB, with room for one more environment.
    root = machine.home.root
    kept = root.with_name("kept")
    root.rename(kept)
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=220m", "none", root], check=True)
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", root], check=True)
        machine.keep()
        machine.wait(machine.works("99.0.0"))
        # It is full while the environment is made.
        house.operator.release(house.wheel("99.1.0"))
        machine.wait(lambda: machine.home.venv("99.1.0").exists())
        filler = root / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError:
                pass
        machine.wait(machine.ended("99.1.0"))
        assert "room" in machine.journal().said
        assert machine.result() is Result.UNABLE
        assert not machine.journal().failed
        assert machine.works("99.0.0")()
        # And then it is full before: that is known without a try.
        machine.wait(lambda: "MB are free" in machine.journal().said)
        filler.unlink()
        machine.wait(machine.works("99.1.0"))
        assert machine.end() == 0
    finally:
        if machine.process is not None and machine.process.poll() is None:
            machine.process.send_signal(signal.SIGTERM)
            machine.process.wait()
        subprocess.run(["umount", "--lazy", root], check=True)
