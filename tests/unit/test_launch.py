"""What ``p2c2g peer run`` makes of what a person asks for."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from celery.utils.nodenames import worker_direct
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.commands.guest import Limits
from p2c2g.errors import UsageError
from p2c2g_workers.launch import Launch, concurrency, slug, this_machine


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_a_peer_of_few_words_serves_cpu_with_one_slot_a_core() -> None:
    arguments = Launch().arguments(cores=6, node="host-1a2b")
    assert arguments == [
        "-q", "-A", "p2c2g", "worker", "-Q", "cpu", "-n", "peer@host-1a2b", "-c", "6",
        "--no-task-events", "-l", "info", "--peer-name=peer",
    ]  # fmt: skip


def test_every_wish_is_an_option_that_reads_back_the_same() -> None:
    limits = Limits.parse(max_cpu="12.5%", only_idle=True, hours="22:30-7", max_mbps="2.5")
    launch = Launch("gpu, cpu,gpu", "Old Attic", "berlin", None, limits, cpu_fallback=True)
    arguments = launch.arguments(cores=16, node="h")
    assert option(arguments, "-Q") == "gpu,cpu"
    assert option(arguments, "-n") == "Old-Attic@h"
    assert option(arguments, "-c") == "2"
    assert arguments[-7:] == [
        "--peer-name=Old Attic",
        "--region=berlin",
        "--max-cpu=12.5%",
        "--hours=22:30-7",
        "--max-mbps=2.5",
        "--only-idle",
        "--cpu-fallback",
    ]


@pytest.mark.parametrize(
    ("cores", "share", "slots"), [(8, None, 8), (8, 0.5, 4), (8, 0.01, 1), (2, 0.75, 2), (1, 1, 1)]
)
def test_a_share_of_the_cpu_has_fewer_slots(cores: int, share: float | None, slots: int) -> None:
    assert concurrency(cores, share) == slots


@pytest.mark.parametrize("queues", ["", "cpu,", "a b", "cpu;gpu", "x" * 201])
def test_wrong_queues_are_refused(queues: str) -> None:
    with pytest.raises(UsageError, match="cpu,gpu"):
        Launch(queues=queues).arguments(1)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_wrong_names_and_regions_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name"):
        Launch(name=name).arguments(1)
    with pytest.raises(UsageError, match="is no region"):
        Launch(region=name).arguments(1)


@given(st.text(min_size=1, max_size=60))
def test_any_name_makes_one_that_celery_and_a_queue_can_have(name: str) -> None:
    node = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9.-]{1,40}", node)
    assert worker_direct(f"{node}@host").name == f"{node}@host.dq2"
    assert slug(name) == node


def test_names_without_a_latin_letter_are_still_told_apart() -> None:
    assert slug("Чердак") != slug("屋根裏")


def test_machines_of_one_name_are_told_apart_and_each_stays_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    seen = set()
    for identity in ("first", "second"):
        file = tmp_path / identity
        file.write_text(identity)
        monkeypatch.setattr("p2c2g_workers.launch._MACHINE_ID", file)
        assert this_machine() == this_machine()
        assert re.fullmatch(r"localhost-[0-9a-f]{4}", this_machine())
        seen.add(this_machine())
    assert len(seen) == 2
