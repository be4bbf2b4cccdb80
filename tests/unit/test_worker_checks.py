"""Options of Celery's that cannot work here are refused before anything starts."""

from __future__ import annotations

from typing import Any

import click
import pytest

from p2c2g.commands.worker_checks import WorkerChecks, refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"autoscale": "8,1"}, ("--autoscale", "-c")),
        ({"autoscale": "8,1", "pool": "processes"}, ("--autoscale",)),
        ({"pool": "prefork"}, ("-P processes",)),
        ({"concurrency": "0"}, ("-c 0", "1 or more")),
        ({"pool": "processes", "max_tasks_per_child": "1"}, ("--max-tasks-per-child=1", "1000")),
        ({"pool": "processes", "max_memory_per_child": "1000"}, ("--max-memory-per-child=1000",)),
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
    ],
)
def test_what_works_is_let_pass(options: dict[str, Any]) -> None:
    assert refused(options) is None


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
