"""The hub: order, bounds, drop policies and endings."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.display.hub import Hub, Policy
from p2c2g.media.picture import Picture
from tests.pictures import shown_picture

PIXELS = np.zeros((2, 2, 3), np.uint8)


def picture(number: int) -> Picture:
    return shown_picture(number, PIXELS)


def drain(subscription) -> list[int]:
    numbers = []
    while (taken := subscription.take()) is not None:
        numbers.append(taken.number)
    return numbers


def test_every_subscription_gets_every_picture_in_order():
    hub = Hub()
    first, second = hub.subscribe(maxsize=3), hub.subscribe(maxsize=3)
    for number in (4, 5, 9):
        hub.publish(picture(number))
    assert drain(first) == drain(second) == [4, 5, 9]
    assert first.dropped == second.dropped == 0


def test_a_subscription_sees_only_what_comes_after_it_and_latest_is_there_for_the_rest():
    hub = Hub()
    assert hub.latest is None
    hub.publish(picture(1))
    late = hub.subscribe()
    assert late.take() is None
    assert hub.latest is not None
    assert hub.latest.number == 1


def test_drop_oldest_keeps_the_newest_and_drop_newest_keeps_the_oldest():
    hub = Hub()
    newest, oldest = hub.subscribe(2, "drop-oldest"), hub.subscribe(2, "drop-newest")
    for number in range(5):
        hub.publish(picture(number))
    assert drain(newest) == [3, 4]
    assert drain(oldest) == [0, 1]
    assert newest.dropped == oldest.dropped == 3


def test_one_slow_subscription_costs_another_nothing():
    hub = Hub()
    slow, quick = hub.subscribe(1), hub.subscribe(1)
    seen = []
    for number in range(10):
        hub.publish(picture(number))
        seen += drain(quick)
    assert seen == list(range(10))
    assert quick.dropped == 0
    assert drain(slow) == [9]
    assert slow.dropped == 9


@pytest.mark.parametrize("number", [6, 7])
def test_a_number_that_does_not_rise_is_refused(number):
    hub = Hub()
    subscription = hub.subscribe()
    hub.publish(picture(7))
    with pytest.raises(ValueError, match=f"Picture {number} came after picture 7"):
        hub.publish(picture(number))
    assert drain(subscription) == [7]


def test_a_thread_iterates_until_the_hub_closes_and_still_gets_what_waits():
    hub = Hub()
    subscription = hub.subscribe(maxsize=100)
    seen: list[int] = []
    first = threading.Event()

    def iterate() -> None:
        for taken in subscription:
            seen.append(taken.number)
            first.set()

    thread = threading.Thread(target=iterate)
    thread.start()
    hub.publish(picture(0))
    assert first.wait(60), "the waiting thread was not woken"
    for number in range(1, 50):
        hub.publish(picture(number))
    hub.close()
    thread.join(60)
    assert not thread.is_alive()
    assert seen == list(range(50))


def test_closing_a_subscription_wakes_the_thread_that_waits_on_it_and_leaves_the_hub():
    hub = Hub()
    with hub.subscribe() as subscription:
        thread = threading.Thread(target=lambda: list(subscription))
        thread.start()
    thread.join(60)
    assert not thread.is_alive()
    hub.publish(picture(0))
    assert subscription.take() is None
    assert subscription.closed


def test_get_gives_up_after_its_time_and_returns_at_once_when_there_is_a_picture():
    hub = Hub()
    subscription = hub.subscribe()
    assert subscription.get(timeout=0.001) is None
    hub.publish(picture(3))
    taken = subscription.get(timeout=60)
    assert taken is not None
    assert taken.number == 3


def test_notify_comes_once_for_a_run_of_pictures_and_once_at_the_end():
    hub = Hub()
    calls: list[int] = []
    subscription = hub.subscribe(2, notify=lambda: calls.append(subscription.waiting))
    hub.publish(picture(0))
    hub.publish(picture(1))
    hub.publish(picture(2))
    assert calls == [1]
    drain(subscription)
    hub.publish(picture(3))
    assert calls == [1, 1]
    hub.close()
    hub.close()
    subscription.close()
    assert calls == [1, 1, 1]


def test_a_closed_hub_takes_nothing_and_new_subscriptions_end_at_once():
    hub = Hub()
    hub.close()
    hub.publish(picture(0))
    assert hub.latest is None
    assert list(hub.subscribe()) == []


@pytest.mark.parametrize(("maxsize", "policy"), [(0, "drop-oldest"), (1, "keep-all")])
def test_a_queue_that_cannot_work_is_refused(maxsize, policy):
    with pytest.raises(ValueError, match="give"):
        Hub().subscribe(maxsize, policy)


@given(
    maxsize=st.integers(1, 5),
    policy=st.sampled_from(["drop-oldest", "drop-newest"]),
    steps=st.lists(st.one_of(st.integers(1, 9), st.just("take")), max_size=60),
)
def test_against_a_model(maxsize: int, policy: Policy, steps: list[int | str]):
    """Any mix of pictures (with any gaps) and takes: order, bound and count all hold."""
    hub = Hub()
    subscription = hub.subscribe(maxsize, policy)
    model: deque[int] = deque()
    number = taken_count = published = lost = 0
    last = -1
    for step in steps:
        if isinstance(step, int):
            number += step
            published += 1
            hub.publish(picture(number))
            if len(model) == maxsize:
                lost += 1
            if len(model) < maxsize:
                model.append(number)
            elif policy == "drop-oldest":
                model.popleft()
                model.append(number)
        else:
            taken = subscription.take()
            expected = model.popleft() if model else None
            assert (taken.number if taken else None) == expected
            if taken:
                taken_count += 1
                assert taken.number > last
                last = taken.number
        assert subscription.waiting == len(model) <= maxsize
        assert subscription.dropped == lost
    assert published == taken_count + subscription.waiting + subscription.dropped
