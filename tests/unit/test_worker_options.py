"""The worker's options and its choice of queues, without a broker."""

from __future__ import annotations

import logging

import click
import pytest
from celery import Celery

from p2c2g.celery import create_app
from p2c2g.commands.worker_options import worker_options
from p2c2g.errors import UsageError
from p2c2g.messaging.labels import MAX_REGION
from p2c2g.peers.messages import Capabilities
from p2c2g.settings import Settings
from p2c2g.settings.unknown import OPTION_VARIABLES
from p2c2g_workers.serving import choose_queues

CPU = Capabilities(queues=("cpu",))
BOTH = Capabilities(queues=("gpu", "cpu"))


@pytest.fixture
def app() -> Celery:
    return create_app(Settings())


def read(*arguments: str, **environment: str) -> dict[str, object]:
    """Return what the options make of a command line."""
    seen: dict[str, object] = {}
    command = click.Command("worker", params=worker_options(), callback=seen.update)
    patch = pytest.MonkeyPatch()
    with patch.context() as environ:
        for name, value in environment.items():
            environ.setenv(name, value)
        command.main(list(arguments), standalone_mode=False)
    return seen


def test_without_options_nothing_is_asked_for() -> None:
    assert read() == {
        "peer_name": None,
        "region": None,
        "cpu_fallback": False,
        "max_cpu": None,
        "only_idle": False,
        "hours": None,
        "max_mbps": None,
        "no_task_events": False,
    }


def test_each_option_can_be_given() -> None:
    assert read(
        *("--peer-name", "Attic", "--region", "eu", "--cpu-fallback", "--max-cpu", "50%"),
        *("--only-idle", "--hours", "22-7", "--max-mbps", "20", "--no-task-events"),
    ) == {
        "peer_name": "Attic",
        "region": "eu",
        "cpu_fallback": True,
        "max_cpu": "50%",
        "only_idle": True,
        "hours": "22-7",
        "max_mbps": "20",
        "no_task_events": True,
    }


def test_each_option_has_a_variable() -> None:
    values = {"CPU_FALLBACK": "1", "ONLY_IDLE": "yes", "HOURS": "22-7", "MAX_MBPS": "20"}
    values |= {"PEER_NAME": "Attic", "REGION": "eu", "MAX_CPU": "50%", "NO_TASK_EVENTS": "1"}
    environment = {f"P2C2G_WORKER_{name}": value for name, value in values.items()}
    assert set(environment) == set(OPTION_VARIABLES)
    assert [option.envvar for option in worker_options()] == list(OPTION_VARIABLES)
    assert read(**environment) == {
        "peer_name": "Attic",
        "region": "eu",
        "cpu_fallback": True,
        "max_cpu": "50%",
        "only_idle": True,
        "hours": "22-7",
        "max_mbps": "20",
        "no_task_events": True,
    }
    assert read("--region", "us", **environment)["region"] == "us"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--peer-name", ""), "'' is no name: give from 1 to 200 printable characters"),
        (("--peer-name", "a\nb"), "is no name"),
        (("--region", "x" * (MAX_REGION + 1)), "is no region: give from 1 to 64 printable"),
        (("--max-cpu", "0"), "'0' is no share of the CPU"),
        (("--hours", "7-7"), "'7-7' are no hours"),
        (("--max-mbps", "fast"), "'fast' is no bandwidth"),
    ],
)
def test_what_is_wrong_is_refused(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(click.BadParameter, match=sentence) as caught:
        read(*arguments)
    assert caught.value.exit_code == 2


def test_every_option_says_what_it_is_for(app: Celery) -> None:
    options = [each for each in app.user_options["worker"] if not each.hidden]
    assert len(options) == len(OPTION_VARIABLES)
    for option in options:
        assert option.help
        assert option.help.endswith(".")
        assert option.help_group == "Peer Options"


def test_a_worker_with_a_gpu_serves_what_it_was_told(app: Celery) -> None:
    queues = app.amqp.queues
    queues.select(["gpu"])
    choose_queues(queues, BOTH, cpu_fallback=True)
    assert list(queues.consume_from) == ["gpu"]


def test_a_worker_that_cannot_serve_its_queue_refuses(app: Celery) -> None:
    queues = app.amqp.queues
    queues.select(["gpu", "cpu"])
    with pytest.raises(UsageError, match=r"queue gpu: looked for CUDA.* --cpu-fallback or -Q cpu"):
        choose_queues(queues, CPU, cpu_fallback=False)


def test_with_the_fallback_cpu_takes_the_place_of_gpu(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    queues = app.amqp.queues
    queues.select(["gpu", "spare"])
    with caplog.at_level(logging.WARNING):
        choose_queues(queues, CPU, cpu_fallback=True)
    assert set(queues.consume_from) == {"cpu", "spare"}
    assert caplog.messages == ["Found no GPU: serving the queue cpu in place of gpu."]


def test_a_card_that_does_not_work_says_why(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    queues = app.amqp.queues
    queues.select(["gpu"])
    why = 'Card (cuda): PyTorch is not installed: pip install "p2c2g[cuda]"'
    with pytest.raises(UsageError) as caught:
        choose_queues(queues, CPU, cpu_fallback=False, problem=why)
    assert str(caught.value) == (
        f"This machine cannot serve the queue gpu: {why}. Give --cpu-fallback or -Q cpu to serve "
        "the queue cpu."
    )
    with caplog.at_level(logging.WARNING):
        choose_queues(queues, CPU, cpu_fallback=True, problem=why)
    assert list(queues.consume_from) == ["cpu"]
    assert caplog.messages == [f"{why}: serving the queue cpu in place of gpu."]


def test_a_worker_that_was_told_nothing_serves_what_it_can(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    queues = app.amqp.queues
    choose_queues(queues, CPU, cpu_fallback=False)
    assert list(queues.consume_from) == ["cpu"]
    assert caplog.messages == []


def test_a_queue_of_ones_own_is_nobodys_business(app: Celery) -> None:
    queues = app.amqp.queues
    queues.select(["spare"])
    choose_queues(queues, CPU, cpu_fallback=False)
    assert list(queues.consume_from) == ["spare"]
