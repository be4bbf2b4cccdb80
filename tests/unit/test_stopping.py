"""How a command ends at a signal, whatever it does just then, and as before at a second one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from p2c2g.commands.options import stopping_at_signals
from tests.lane import PATIENCE

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Hear signals that nobody else does, whoever had this process ignore them."""
    numbers: list[int] = []
    before = {
        each: signal.signal(each, lambda number, _: numbers.append(number)) for each in NUMBERS
    }
    yield numbers
    for each, handler in before.items():
        signal.signal(each, handler)


class Flag(threading.Event):
    """An event whose lock can be held, as whoever begins to wait for it does."""

    def held(self) -> threading.Condition:
        return self._cond  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_may_come_while_the_flag_that_it_sets_is_locked(
    heard: list[int], number: signal.Signals
) -> None:
    ending = Flag()
    with stopping_at_signals(ending.set):
        with ending.held():
            signal.raise_signal(number)
        assert ending.wait(PATIENCE)
        assert heard == []
        signal.raise_signal(number)
        assert heard == [number]


def test_a_hangup_that_was_to_be_ignored_is_ignored(heard: list[int]) -> None:
    ending = threading.Event()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopping_at_signals(ending.set):
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
