"""Options of Celery's that cannot work here are refused before anything starts."""

from __future__ import annotations

from typing import Any

import click
import pytest

from p2c2g.commands import extras
from p2c2g.commands.worker_checks import WorkerChecks, refused, refused_queues, without_nets


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"autoscale": "8,1"}, ("--autoscale", "-c")),
        ({"autoscale": "8,1", "pool": "processes"}, ("--autoscale",)),
        ({"pool": "prefork"}, ("-P processes",)),
        ({"concurrency": "0"}, ("-c 0", "1 or more")),
        ({"pool": "processes", "max_tasks_per_child": "1"}, ("--max-tasks-per-child=1", "1000")),
        ({"pool": "processes", "max_memory_per_child": "1000"}, ("--max-memory-per-child=1000",)),
        ({"queues": "foo"}, ("'foo'", "gpu, cpu, train")),
        ({"queues": "gpus, foo"}, ("'gpus', 'foo'",)),
    ],
)
def test_what_cannot_work_is_one_sentence(options: dict[str, Any], words: tuple[str, ...]) -> None:
    sentence = refused(options)
    assert sentence is not None
    assert all(word in sentence for word in words)
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"concurrency": "4", "pool": "threads"},
        {"pool": "processes", "max_tasks_per_child": "1000", "max_memory_per_child": "600000"},
        {"pool": "solo"},
        {"concurrency": "auto"},
        {"queues": "cpu,gpu"},
        {"queues": "spare, cpu"},
    ],
)
def test_what_works_is_let_pass(options: dict[str, Any]) -> None:
    assert refused(options) is None


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of an extra is installed."""
    monkeypatch.setattr(extras, "find_spec", lambda _name: None)


@pytest.mark.usefixtures("bare")
def test_a_worker_without_its_libraries_is_refused_with_the_extra() -> None:
    assert refused({}) == (
        'A peer needs psutil and tomlkit, which are not installed: pip install "p2c2g[worker]".'
    )


def test_a_peer_that_trains_needs_pytorch_before_it_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        extras, "find_spec", lambda name: None if name in ("torch", "onnx") else object()
    )
    assert refused({"queues": "cpu,train"}) == (
        "A peer of the queue train needs torch and onnx, which are not installed: "
        'pip install "p2c2g[train,ml]".'
    )
    assert refused({"queues": "cpu"}) is None
    assert "without trained nets" in without_nets()


def test_one_that_has_nets_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _name: object())
    assert without_nets() == ""


def test_a_peer_for_lenders_serves_no_queue_but_ours() -> None:
    assert "'spare'" in str(refused_queues("cpu,spare", strict=True))
    assert refused_queues("cpu,gpu", strict=True) is None


def test_the_check_is_hidden_has_no_value_and_sees_what_was_typed() -> None:
    seen: list[dict[str, Any]] = []
    command = click.Command(
        "worker",
        params=[click.Option(("-P", "--pool")), click.Option(("--autoscale",)), WorkerChecks()],
        callback=lambda **values: seen.append(values),
    )
    command.main(["-P", "threads"], standalone_mode=False)
    assert seen == [{"pool": "threads", "autoscale": None}]
    with pytest.raises(click.UsageError, match="--autoscale cannot be used"):
        command.main(["--autoscale", "4,1"], standalone_mode=False)
    assert "p2c2g-checks" not in command.get_help(click.Context(command))
