"""Supervised threads: one that dies is heard of."""

from __future__ import annotations

import threading

import pytest

from p2c2g.system.threads import SupervisedThread


def test_a_thread_that_ends_in_order_is_well() -> None:
    ran = threading.Event()
    thread = SupervisedThread("p2c2g-test", ran.set)
    thread.check()
    thread.start()
    assert thread.join(60)
    assert ran.is_set()
    thread.check()


def test_a_thread_that_dies_says_so_to_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    def die() -> None:
        raise ValueError("broken")

    thread = SupervisedThread("p2c2g-test", die)
    thread.start()
    assert thread.join(60)
    with pytest.raises(RuntimeError, match="the thread p2c2g-test has died") as told:
        thread.check()
    assert isinstance(told.value.__cause__, ValueError)
    assert "The thread p2c2g-test died" in caplog.text


def test_a_join_has_a_time_limit_and_one_never_started_has_ended() -> None:
    go_on = threading.Event()

    def wait() -> None:
        assert go_on.wait(60)

    thread = SupervisedThread("p2c2g-test", wait)
    assert thread.join(0)
    thread.start()
    assert not thread.join(0.01)
    go_on.set()
    assert thread.join(60)
