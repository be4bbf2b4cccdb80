"""Other programs on the same database: nobody takes what is somebody else's."""

from __future__ import annotations

import subprocess
import sys

from celery import Celery

from p2c2g.messaging import names
from p2c2g.messaging.channel import REPLY_LIFETIME
from p2c2g.messaging.embedded import EmbeddedBroker
from tests.lane import PATIENCE, ROOT, Lane
from tests.pool import MakeWorker, environment


def test_another_applications_queue_of_the_same_name_is_left_alone(
    lane: Lane, worker: MakeWorker, broker: EmbeddedBroker
) -> None:
    running = worker("-Q", "cpu", "-c", "1")
    with Celery("plain", broker=broker.url, set_as_current=False) as plain:
        plain.send_task("plain.add", (2, 3), queue="cpu", ignore_result=True)
    lane.round_trip()
    assert lane.client.llen("cpu") == 1
    # And theirs finds nothing of ours there.
    lane.client.delete("cpu")
    lane.send()
    lane.confirm()
    assert not lane.client.exists("cpu")
    assert "Threw away" not in running.log()


def test_another_pool_on_the_database_sees_nothing_of_ours(lane: Lane, worker: MakeWorker) -> None:
    worker("-Q", "cpu", "-c", "1")
    keys = {key.decode() for key in lane.client.keys("*")}
    assert all(key.startswith((names.ours(), names.celerys())) for key in keys), keys


def test_answers_to_who_was_killed_expire(lane: Lane) -> None:
    queue = "dead.reply.celery.pidbox"
    with lane.app.connection_for_write() as connection:
        answer = {"body": "{}", "headers": {}, "properties": {"priority": 0}}
        connection.default_channel._put(queue, answer)
    assert 0 < lane.client.ttl(names.queue_key(queue)) <= REPLY_LIFETIME
    lane.client.delete(names.queue_key(queue))


def test_celerys_migration_leaves_what_is_ours(lane: Lane, broker: EmbeddedBroker) -> None:
    sent = lane.send(2)
    lane.confirm()
    with EmbeddedBroker() as other:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "celery", "-A", "p2c2g", "migrate"),
                *(broker.url, other.url, "-t", "0.5"),
            ],
            env=environment(broker.url), cwd=ROOT, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert sorted(lane.queued()) == sorted(sent), done
    assert done.returncode == 0, done
