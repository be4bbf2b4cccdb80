"""The hand on the game: what is sent is in the game, and whatever ends it is let go."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from p2c2g_capture.input.controls import IDLE
from p2c2g_capture.input.events import Event, Kind
from p2c2g_capture.input.hand import Hand, Seat, Tokens
from p2c2g_capture.input.injector import InjectionError, MemoryInjector
from tests.hands import TOKENS, Fingers, hand_on

PATIENCE = 30


class Told:
    """What a player is told."""

    def __init__(self) -> None:
        self._all: queue.Queue[Any] = queue.Queue()

    def __call__(self, what: Any) -> None:
        self._all.put(dict(what))

    def next(self, name: str) -> dict[str, Any]:
        """Return the next that has this name."""
        while name not in (what := self._all.get(timeout=PATIENCE)):
            pass
        return what


def seat_at(hand: Hand, token: str = TOKENS.play, near: bool = True) -> tuple[Seat, Told]:
    told = Told()
    seat = hand.admit(token, told, near=near)
    assert seat is not None
    seat.take()
    return seat, told


def test_what_is_sent_is_in_the_game_and_said_to_be():
    fingers = Fingers()
    with hand_on(clock=lambda: 0.0) as (hand, game):
        seat, told = seat_at(hand, near=False)
        state = told.next("plays")
        assert (state["plays"], state["role"], state["held"]) == (True, "all", False)
        assert state["can"] == ["keys", "pads", "pointer"]
        assert seat.heard(fingers.data(Kind.KEY_DOWN, 30)) == ""
        ack = told.next("ack")
        assert ack["ack"] == 1
        assert ack["got"] <= ack["done"]
        assert game.events == [Event(Kind.KEY_DOWN, 30, sequence=1, at=1.0)]
        assert game.begun == [False]
        figures = hand.figures()
        assert (figures["held"], figures["events"], figures["refused"]) == (True, 1, {})
        assert figures["ms"]["p99"] >= figures["ms"]["p50"] >= 0


def test_a_token_says_who_may_and_what():
    with hand_on() as (hand, _):
        assert hand.admit("wrong", print, near=True) is None
        assert hand.admit("", print, near=True) is None
        assert hand.admit("ü", print, near=True) is None
        _, told = seat_at(hand, TOKENS.pads or "")
        assert told.next("plays")["role"] == "pads"
    assert Tokens.new(shared=False).pads is None
    assert Tokens.new(shared=True).pads not in (None, Tokens.new(shared=True).pads)


def test_another_is_told_that_it_cannot_have_the_controls_and_gets_them_of_who_is_idle():
    now = 0.0
    with hand_on(clock=lambda: now) as (hand, _):
        _, first = seat_at(hand)
        assert first.next("plays")["plays"]
        second, told = seat_at(hand)
        assert "Another viewer plays" in told.next("refused")["refused"]
        now = IDLE
        second.take()
        assert told.next("plays")["plays"]
        assert not first.next("plays")["plays"]


@pytest.mark.parametrize("how", ["gives", "leaves", "ends", "silent"])
def test_whatever_ends_it_all_is_let_go(how):
    now = threading.Event()  # its own clock: set where time has passed
    clock = lambda: 100.0 if now.is_set() else 0.0  # noqa: E731
    fingers = Fingers()
    with hand_on(clock=clock) as (hand, game):
        seat, told = seat_at(hand)
        for kind, number in ((Kind.KEY_DOWN, 30), (Kind.BUTTON_DOWN, 1)):
            seat.heard(fingers.data(kind, number))
        seat.heard(fingers.data(Kind.PAD_AXIS, 1, x=0.5))
        assert game.wait_for(3, PATIENCE)
        assert not game.is_at_rest
        if how == "gives":
            seat.give()
        elif how == "leaves":
            seat.leave()
        elif how == "ends":
            hand.close()
        else:
            now.set()
            told.next("let_go")
        assert game.wait_for(6, PATIENCE)
        assert game.is_at_rest


def test_a_game_that_takes_nothing_any_more_is_said_once_and_does_no_harm(caplog):
    class Broken(MemoryInjector):
        def inject(self, events):
            raise InjectionError("The game's window was closed.")

    fingers = Fingers()
    with hand_on(Broken()) as (hand, _):
        seat, told = seat_at(hand)
        told.next("plays")
        for _ in range(3):
            assert seat.heard(fingers.data(Kind.WHEEL, y=1)) == ""
        state = told.next("plays")
        assert (state["says"], state["can"]) == ("The game's window was closed.", [])
    assert [each.message for each in caplog.records] == [
        "Nobody can play any more: The game's window was closed."
    ]


def test_what_waits_for_a_game_that_stands_still_is_bounded():
    going, asked = threading.Event(), threading.Event()

    class Slow(MemoryInjector):
        def inject(self, events):
            if not events:  # The hand begins, and the key may not have been heard yet.
                return
            asked.set()
            assert going.wait(PATIENCE)
            super().inject(events)

    fingers, now = Fingers(), 0.0
    with hand_on(Slow(), clock=lambda: now) as (hand, game):
        seat, told = seat_at(hand)
        seat.heard(fingers.data(Kind.KEY_DOWN, 30))
        assert asked.wait(PATIENCE)
        for _ in range(4200):
            now += 0.001
            seat.heard(fingers.data(Kind.WHEEL, y=1))
        going.set()
        while not told.next("plays")["says"]:
            pass
        assert game.wait_for(2, PATIENCE)
        assert [each.kind for each in game.events] == [Kind.KEY_DOWN, Kind.KEY_UP]


def test_motion_that_waits_is_one_motion():
    going, asked = threading.Event(), threading.Event()

    class Slow(MemoryInjector):
        def inject(self, events):
            asked.set()
            assert going.wait(PATIENCE)
            super().inject(events)

    fingers = Fingers()
    with hand_on(Slow(), clock=lambda: 0.0) as (hand, game):
        seat, told = seat_at(hand)
        seat.heard(fingers.data(Kind.WHEEL, y=1))
        assert asked.wait(PATIENCE)
        for x in (0.25, 0.5, 0.75):
            seat.heard(fingers.data(Kind.MOVE_TO, x=x))
        seat.heard(fingers.data(Kind.BUTTON_DOWN))
        going.set()
        while told.next("ack")["ack"] < 5:
            pass
        assert game.events == [
            Event(Kind.WHEEL, y=1, sequence=1, at=1.0),
            Event(Kind.MOVE_TO, x=0.75, sequence=4, at=4.0),
            Event(Kind.BUTTON_DOWN, sequence=5, at=5.0),
        ]


def test_a_hand_that_has_ended_admits_nobody():
    with hand_on() as (hand, game):
        hand.close()
        assert hand.admit(TOKENS.play, print, near=True) is None
        assert game.closed
