"""Who plays, what is held, and what is refused."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from p2c2g_capture.input.controls import BURST, IDLE, MOST_PLAYERS, SILENCE, Controls
from p2c2g_capture.input.events import MOST, Event, Kind, pack
from p2c2g_capture.input.held import Held, merged
from tests.hands import Fingers


class Player(Fingers):
    """Somebody who plays by a table of controls."""

    def __init__(self, controls: Controls, role="all", now: float = 0.0) -> None:
        super().__init__()
        self.controls = controls
        self.name = controls.join(role, now, near=False)

    def does(self, kind: Kind, number: int = 0, now: float = 0.0, **more) -> Sequence[Event]:
        heard = self.controls.heard(self.name, self.data(kind, number, **more), now)
        assert not heard.ends
        return heard.events


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture
def player(controls) -> Player:
    made = Player(controls)
    assert controls.take(made.name, 0.0)
    return made


def said(events: Sequence[Event]) -> list[tuple[Kind, int]]:
    return [(each.kind, each.number) for each in events]


def test_what_a_player_does_reaches_the_game_in_order(controls, player):
    events = [
        player.event(Kind.KEY_DOWN, 30),
        player.event(Kind.MOVE_TO, x=0.5),
    ]
    events += [player.event(Kind.KEY_UP, 30), player.event(Kind.WHEEL, y=1)]
    assert list(controls.heard(player.name, pack(events), 0.0).events) == events
    assert controls.counts["taken"] == 4


def test_who_has_not_taken_the_controls_plays_nothing(controls):
    watcher = Player(controls)
    assert watcher.does(Kind.KEY_DOWN, 30) == ()
    assert controls.counts["not allowed"] == 1


def test_one_holds_the_controls_until_it_does_nothing(controls, player):
    other = Player(controls)
    player.does(Kind.MOVE_TO, now=1.0)
    assert not controls.take(other.name, 1.0 + IDLE - 0.01)
    assert controls.take(other.name, 1.0 + IDLE)
    assert controls.holder == other.name
    assert player.does(Kind.KEY_DOWN, 30, now=7.0) == ()


def test_who_holds_a_key_is_not_idle(controls, player):
    player.does(Kind.KEY_DOWN, 30)
    assert not controls.take(Player(controls).name, 100.0)


def test_who_held_a_key_until_now_was_not_idle_until_then(controls, player):
    other = Player(controls)
    player.does(Kind.KEY_DOWN, 30, now=1.0)
    player.does(Kind.BEAT, now=20.0)
    controls.silent(20.0 + SILENCE)
    assert not controls.take(other.name, 20.0 + SILENCE)
    player.does(Kind.KEY_DOWN, 30, now=21.0)
    player.does(Kind.RELEASE, now=40.0)
    assert not controls.take(other.name, 40.0 + IDLE - 0.01)
    assert controls.take(other.name, 40.0 + IDLE)


def test_who_gives_them_back_or_leaves_holds_nothing(controls, player):
    for ends in (controls.give, controls.leave):
        controls.take(player.name, 0.0)
        player.does(Kind.KEY_DOWN, 30)
        player.does(Kind.BUTTON_DOWN, 2)
        player.does(Kind.PAD_BUTTON, 5, x=0.7)
        player.does(Kind.PAD_AXIS, 1, x=-0.7)
        assert ends(player.name) == (
            Event(Kind.KEY_UP, 30), Event(Kind.BUTTON_UP, 2), Event(Kind.PAD_BUTTON, 5),
            Event(Kind.PAD_AXIS, 1),
        )  # fmt: skip
        assert controls.holder is None
        assert controls.due is None
    assert controls.leave(player.name) == ()


def test_what_is_held_is_let_go_by_who_says_so_and_by_who_is_silent(controls, player):
    player.does(Kind.KEY_DOWN, 30)
    assert said(player.does(Kind.RELEASE)) == [(Kind.KEY_UP, 30)]
    player.does(Kind.KEY_DOWN, 30, now=1.0)
    player.does(Kind.BEAT, now=1.05)
    assert controls.due == pytest.approx(1.05 + SILENCE)
    assert controls.silent(1.05 + SILENCE - 0.001) == {}
    silent = controls.silent(1.05 + SILENCE)
    assert {name: said(events) for name, events in silent.items()} == {
        player.name: [(Kind.KEY_UP, 30)]
    }
    assert controls.due is None
    # It plays on: what is pressed still is pressed again.
    assert said(player.does(Kind.KEY_DOWN, 30, now=2.0)) == [(Kind.KEY_DOWN, 30)]


def test_what_came_before_is_refused_and_counted(controls, player):
    first, second = (player.data(Kind.KEY_DOWN, number) for number in (30, 31))
    assert controls.heard(player.name, second, 0.0).events
    for again in (second, first):
        assert controls.heard(player.name, again, 0.0).events == ()
    assert (controls.counts["old"], controls.counts["lost"]) == (2, 1)


def test_a_connection_of_old_events_ends(controls, player):
    again = player.data(Kind.BEAT)
    heard = [controls.heard(player.name, again, now / 100) for now in range(300)]
    assert [bool(each.ends) for each in heard] == [False] * 257 + [True] * 43


def test_what_is_pressed_is_not_pressed_again_nor_let_go_twice(controls, player):
    assert player.does(Kind.KEY_UP, 30) == ()
    assert said(player.does(Kind.KEY_DOWN, 30)) == [(Kind.KEY_DOWN, 30)]
    assert player.does(Kind.KEY_DOWN, 30) == ()
    assert said(player.does(Kind.KEY_UP, 30)) == [(Kind.KEY_UP, 30)]
    assert controls.counts["said before"] == 2


def test_forged_events_end_a_connection_and_nothing_of_the_message_counts(controls, player):
    good = player.event(Kind.KEY_DOWN, 30)
    heard = controls.heard(player.name, pack([good, Event(Kind.KEY_DOWN, 0)]), 0.0)
    assert heard.events == ()
    assert heard.ends
    assert controls.counts["forged"] == 1


def test_a_flood_ends_a_connection_and_what_it_held_is_let_go(controls, player):
    ends, sent = "", 0
    while not ends:
        message = [player.event(Kind.MOVE_TO, x=0.5) for _ in range(MOST - 1)]
        message.append(player.event(Kind.KEY_DOWN, 30))
        ends = controls.heard(player.name, pack(message), 0.0).ends
        sent += MOST
    assert sent <= BURST + MOST
    assert said(controls.leave(player.name)) == [(Kind.KEY_UP, 30)]


def test_who_has_a_token_for_pads_presses_nothing_else(controls, player):
    second = Player(controls, role="pads")
    assert controls.take(second.name, 0.0)
    assert controls.holder == player.name
    assert second.does(Kind.KEY_DOWN, 30) == ()
    assert [each.pad for each in second.does(Kind.PAD_BUTTON, 0, x=1)] == [1]
    assert [each.pad for each in player.does(Kind.PAD_BUTTON, 0, x=1)] == [0]
    # The screen's pad of a phone has a number of its own there.
    assert [each.pad for each in player.does(Kind.PAD_BUTTON, 1, x=1, pad=3)] == [2]


def test_four_pads_are_all_there_are(controls, player):
    for pad in range(3):
        assert player.does(Kind.PAD_BUTTON, 0, x=1, pad=pad)
    second = Player(controls, role="pads")
    controls.take(second.name, 0.0)
    assert second.does(Kind.PAD_BUTTON, 0, x=1)
    assert second.does(Kind.PAD_BUTTON, 0, x=1, pad=1) == ()
    # Who gives them back makes room.
    controls.give(player.name)
    assert second.does(Kind.PAD_BUTTON, 0, x=1, pad=1)


def test_so_many_may_be_joined(controls):
    for _ in range(MOST_PLAYERS):
        assert not controls.is_full
        Player(controls)
    assert controls.is_full
    controls.leave(controls.players[0])
    assert not controls.is_full


def test_motion_is_merged_and_nothing_else():
    events = [
        Event(Kind.MOVE_TO, x=0.1, sequence=1), Event(Kind.MOVE_TO, x=0.2, sequence=2),
        Event(Kind.BUTTON_DOWN, 0, sequence=3), Event(Kind.MOVE_TO, x=0.3, sequence=4),
        Event(Kind.MOVE_BY, x=1, y=2, sequence=5), Event(Kind.MOVE_BY, x=3, y=-4, sequence=6),
        Event(Kind.WHEEL, y=1, sequence=7), Event(Kind.WHEEL, y=1, sequence=8),
    ]  # fmt: skip
    kept = merged(events)
    assert [each.sequence for each in kept] == [2, 3, 4, 6, 7, 8]
    assert (kept[3].x, kept[3].y) == (4, -2)


KINDS = [
    (Kind.KEY_DOWN, range(1, 9)), (Kind.KEY_UP, range(1, 9)), (Kind.BUTTON_DOWN, range(3)),
    (Kind.BUTTON_UP, range(3)), (Kind.PAD_BUTTON, range(4)), (Kind.PAD_AXIS, range(4)),
    (Kind.RELEASE, (0,)), (Kind.MOVE_TO, (0,)),
]  # fmt: skip


def test_nothing_stays_pressed_after_a_thousand_ends_of_any_kind():
    """Blurs, silences, closed tabs and forgeries at any moment; the game is let go each time."""
    chance = random.Random(17)
    controls, game, now = Controls(), Held(), 0.0
    for turn in range(1000):
        player = Player(controls, now=now)
        assert controls.take(player.name, now)
        for _ in range(chance.randrange(12)):
            now += chance.random() * 0.09
            kind, numbers = chance.choice(KINDS)
            x = chance.choice((0.0, 1.0)) if kind in (Kind.PAD_BUTTON, Kind.PAD_AXIS) else 0.0
            for event in player.does(kind, chance.choice(numbers), now=now, x=x):
                game.note(event)
        match turn % 4:
            case 0:
                let_go = player.does(Kind.RELEASE, now=now)
            case 1:
                now += SILENCE
                let_go = controls.silent(now).get(player.name, ())
            case 2:
                let_go = controls.give(player.name)
            case _:
                assert controls.heard(player.name, b"forged", now).ends
                let_go = ()
        for event in (*let_go, *controls.leave(player.name)):
            game.note(event)
        assert len(game) == 0, turn
    assert controls.due is None
