"""A lent machine takes the versions that its pool's operator has signed, and leaves bad ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2c2g import __version__
from p2c2g.updating.manifest import Result
from tests import wheels
from tests.brokers import OpenRedis
from tests.updating import Machine, Operator, environment

from .conftest import finish_quickly
from .test_joining import Pool

pytestmark = [pytest.mark.needs("redis-server"), pytest.mark.timeout(900)]


@pytest.fixture
def pool(start: Any, tmp_path: Path) -> Iterator[Pool]:
    with ExitStack() as stack:
        (tmp_path / "redis").mkdir()
        yield Pool(start, OpenRedis(stack, tmp_path / "redis"), tmp_path)


def operator_of(pool: Pool, folder: Path) -> Operator:
    def run(*words: str) -> str:
        done = finish_quickly("p2c2g", *words, **pool.own)
        assert done.code == 0, done
        return done.output

    return Operator(folder, run)


def test_a_machine_takes_good_releases_and_leaves_bad_ones(pool: Pool, tmp_path: Path) -> None:
    built = wheels.build(tmp_path)
    operator = operator_of(pool, tmp_path)
    machine = Machine(
        tmp_path, pool.url, pool.key("anna", "peer", "--uses=1"), environment(**pool.theirs)
    )
    machine.keep()
    try:
        machine.wait(machine.works(__version__))
        # One that cannot be imported: found before the old version is touched.
        broken = wheels.as_version(
            built, tmp_path, "98.0.0", {"p2c2g_workers/cli.py": "\nimport nothing_of_that_name\n"}
        )
        operator.release(broken)
        # A try that is cut short for another reason is made again.
        machine.wait(lambda: "98.0.0 did not work here" in machine.journal().said)
        machine.wait(lambda: not machine.home.venv("98.0.0").exists())
        # A good one: it takes the place of the old, and tells of both.
        good = wheels.as_version(built, tmp_path, "99.0.0")
        operator.release(good)
        machine.wait(machine.works("99.0.0"))
        machine.wait(lambda: not machine.journal().reports)
        assert machine.home.venv(__version__).is_symlink()  # What was adopted stays, to go back.
        told = {each["version"]: each for each in operator.shown()}
        assert (told["98.0.0"]["failed"], told["99.0.0"]["good"]) == (1, 1)
        assert "nothing_of_that_name" in told["98.0.0"]["why"][0]
        # What is signed by another key, and what is older, it says and leaves.
        operator.new_key("thief.key")
        refused = finish_quickly(
            "p2c2g", "release", "publish", str(operator.sign(good, key="thief.key")), **pool.own
        )
        assert (refused.code, "not signed by the key that peers trust" in refused.errors) == (2, 1)
        for words in (("--check",), ()):
            said = finish_quickly("p2c2g", "peer", "update", *words, **machine.environment)
            assert (said.code, said.output) == (0, "This machine runs 99.0.0, the newest.\n"), said
    finally:
        assert machine.end() == 0, machine.said()
    assert Result.GOOD not in [each.result for each in machine.journal().reports]
