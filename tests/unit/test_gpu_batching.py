"""What waits goes together, in order; nothing that was taken is lost.  No card is needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, wait

import pytest

from p2c2g.errors import ChunkError, ProcessorError
from p2c2g_workers.gpu.batching import Batcher
from p2c2g_workers.gpu.errors import DeviceError, OutOfMemory

SOON = 20.0


class Runner:
    """Keeps each batch until it is let go, and writes down what was in it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.began = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, jobs: Sequence[str]) -> list[str | Exception]:
        self.batches.append(list(jobs))
        self.began.release()
        assert self.go.acquire(timeout=SOON)
        return [ProcessorError(job) if "bad" in job else job.upper() for job in jobs]


def busy(batcher: Batcher[str, str], runner: Runner) -> Future[str]:
    """Have the thread at work on one job, so that others gather."""
    first = batcher.submit("first")
    assert runner.began.acquire(timeout=SOON)
    return first


def release(runner: Runner, times: int = 20) -> None:
    runner.go.release(times)


def test_one_alone_does_not_wait_for_more() -> None:
    runner = Runner()
    batcher = Batcher(runner, 8)
    first = busy(batcher, runner)
    assert runner.batches == [["first"]]
    release(runner)
    assert first.result(SOON) == "FIRST"
    batcher.close()


def test_what_gathered_goes_together_up_to_the_limit_and_in_order() -> None:
    runner = Runner()
    batcher = Batcher(runner, 3)
    busy(batcher, runner)
    found = [batcher.submit(name) for name in "abcde"]
    release(runner)
    assert [one.result(SOON) for one in found] == list("ABCDE")
    assert runner.batches == [["first"], ["a", "b", "c"], ["d", "e"]]
    batcher.close()


def test_only_equals_are_in_a_batch_and_the_oldest_is_in_the_next() -> None:
    runner = Runner()
    batcher = Batcher(runner, 8, key=lambda job: job[0])
    busy(batcher, runner)
    found = [batcher.submit(name) for name in ("x1", "y1", "x2", "z1", "y2", "x3")]
    release(runner)
    wait(found, SOON)
    assert runner.batches[1:] == [["x1", "x2", "x3"], ["y1", "y2"], ["z1"]]
    batcher.close()


def test_an_error_goes_to_its_caller_alone() -> None:
    runner = Runner()
    batcher = Batcher(runner, 8)
    busy(batcher, runner)
    good, bad, other = (batcher.submit(name) for name in ("good", "bad", "other"))
    release(runner)
    assert (good.result(SOON), other.result(SOON)) == ("GOOD", "OTHER")
    with pytest.raises(ProcessorError, match="bad"):
        bad.result(SOON)
    batcher.close()


def test_what_the_runner_raises_goes_to_all_of_the_batch_and_the_next_runs() -> None:
    def run(jobs: Sequence[int]) -> list[int]:
        if 0 in jobs:
            raise OutOfMemory("none left")
        return list(jobs)

    batcher = Batcher(run, 4)
    with pytest.raises(OutOfMemory, match="none left"):
        batcher.submit(0).result(SOON)
    assert batcher.submit(7).result(SOON) == 7
    batcher.close()


def test_too_few_results_are_an_error() -> None:
    batcher: Batcher[int, int] = Batcher(lambda jobs: list(jobs)[1:], 4)
    with pytest.raises(DeviceError, match="1 chunks gave 0 results"):
        batcher.submit(1).result(SOON)
    batcher.close()


def test_the_newest_is_refused_when_the_line_is_full() -> None:
    runner = Runner()
    batcher = Batcher(runner, 2, max_waiting=3, name="card")
    busy(batcher, runner)
    found = [batcher.submit(name) for name in "abc"]
    with pytest.raises(DeviceError, match="3 chunks wait for the card already: send this one"):
        batcher.submit("d")
    release(runner)
    assert [one.result(SOON) for one in found] == ["A", "B", "C"]
    batcher.close()
    assert runner.batches == [["first"], ["a", "b"], ["c"]]


def test_closing_finishes_what_waits_and_takes_no_more() -> None:
    runner = Runner()
    batcher = Batcher(runner, 2)
    first = busy(batcher, runner)
    found = [first, *(batcher.submit(name) for name in "abc")]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    release(runner)
    closing.join(SOON)
    assert not closing.is_alive()
    assert all(one.done() for one in found)
    with pytest.raises(DeviceError, match="is closed"):
        batcher.submit("late")
    batcher.close()


def test_a_job_that_was_called_off_is_not_run() -> None:
    runner = Runner()
    batcher = Batcher(runner, 8)
    busy(batcher, runner)
    gone, stays = batcher.submit("gone"), batcher.submit("stays")
    assert gone.cancel()
    release(runner)
    assert stays.result(SOON) == "STAYS"
    assert runner.batches == [["first"], ["stays"]]
    batcher.close()


def test_many_threads_get_their_own_results() -> None:
    batcher: Batcher[int, int] = Batcher(lambda jobs: [job * job for job in jobs], 5)
    wrong: list[int] = []

    def ask(start: int) -> None:
        numbers = range(start, start + 50)
        wrong.extend(one for one in numbers if batcher.submit(one).result(SOON) != one * one)

    threads = [threading.Thread(target=ask, args=(100 * index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)
    batcher.close()


def test_a_devices_errors_are_a_chunks_that_another_may_do() -> None:
    assert issubclass(OutOfMemory, DeviceError)
    assert issubclass(DeviceError, ChunkError)
    assert OutOfMemory.retryable
