"""Playing by a real socket: who may, what arrives, and that nothing stays pressed."""

from __future__ import annotations

import json
import random
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g.media.frame import Rect, Size
from p2c2g_capture.input.controls import MOST_PLAYERS
from p2c2g_capture.input.events import Kind, pack
from p2c2g_capture.input.hand import Hand
from p2c2g_capture.input.injector import MemoryInjector
from p2c2g_capture.sources.xvfb import VirtualDisplay
from tests.hands import TOKENS, Playing, hand_on, player_at
from tests.watchers import PATIENCE, STATS, Client, picture
from tests.xgame import XGame


class Room:
    """A served session whose game is in memory."""

    def __init__(self, hub: Hub, hand: Hand, game: MemoryInjector, url: str) -> None:
        self.hub, self.hand, self.game, self.url = hub, hand, game, url

    def player(self):
        return player_at(self.url)


@contextmanager
def served(hand: Hand | None, **how) -> Iterator[tuple[Hub, str]]:
    hub = Hub()
    viewer = ViewerServer(hub, lambda: STATS, game=hand, **how)
    try:
        yield hub, viewer.start()
    finally:
        viewer.close()


@pytest.fixture
def room() -> Iterator[Room]:
    with hand_on() as (hand, game), served(hand) as (hub, url):
        yield Room(hub, hand, game, url)


def closing(player: Playing) -> tuple[int, str]:
    """Read to the end; return how it ended."""
    closed = Client(player.connection).closing()
    assert closed.rcvd is not None
    return closed.rcvd.code, closed.rcvd.reason


def test_who_has_the_token_plays(room):
    with room.player() as player:
        assert player.take()["plays"]
        player.does(Kind.KEY_DOWN, 30)
        assert player.told("ack")["ack"] == 1
        assert (room.game.events[0].kind, room.game.events[0].number) == (Kind.KEY_DOWN, 30)
        assert room.game.begun == [True]
        player.say(take=False)
        assert not player.told("plays")["plays"]
        assert room.game.wait_for(2, PATIENCE)
        assert room.game.is_at_rest


@pytest.mark.parametrize(
    "first",
    [
        '{"token": "wrong"}', '{"token": 1}', "{}", "[]", "[" * 4000, "token", b"", b"12345",
        '{"take": true}', '{"token": "\\ud800"}',
    ],
)  # fmt: skip
def test_who_shows_no_right_token_first_plays_nothing(room, first):
    with room.player() as player:
        player.connection.send(first)
        code, why = closing(player)
    assert code == 1008
    assert why
    assert room.game.events == []
    assert room.game.begun == []


@pytest.mark.parametrize("then", ["{}", '{"take": 1}', b"forged", pack([])])
def test_what_is_no_word_of_a_player_ends_it_and_all_is_let_go(room, then):
    with room.player() as player:
        player.take()
        player.does(Kind.KEY_DOWN, 30)
        player.told("ack")
        player.connection.send(then)
        assert closing(player)[0] == 1008
    assert room.game.wait_for(2, PATIENCE)
    assert room.game.is_at_rest


def test_a_page_of_another_site_plays_nothing(room):
    address = f"ws{room.url.removeprefix('http')}input"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, proxy=None, origin="http://evil.example")  # type: ignore[arg-type]


def test_who_may_only_watch_cannot_play():
    with hand_on() as (hand, game), served(hand, asks=True) as (_, url):
        page, _, query = url.partition("?")
        with pytest.raises(InvalidStatus, match="401"):
            connect(f"ws{page.removeprefix('http')}input", proxy=None)
        with connect(f"ws{page.removeprefix('http')}input?{query}", proxy=None) as connection:
            player = Playing(connection)
            # The viewer's own token is none for that.
            player.say(token=query.removeprefix("token="))
            assert closing(player)[0] == 1008
        assert game.begun == []


def test_a_session_that_is_not_played_says_so():
    with served(None) as (_, url), player_at(url) as player:
        assert closing(player) == (1008, "This session cannot be played from here.")


def test_so_many_players_find_a_place(room):
    players = [room.player() for _ in range(MOST_PLAYERS + 1)]
    try:
        entered = [each.__enter__() for each in players]
        for player in entered[:-1]:
            assert player.take()
        entered[-1].say(token=TOKENS.play)
        assert closing(entered[-1])[0] == 1008
    finally:
        for each in players:
            each.__exit__(None, None, None)


def test_a_socket_that_dies_without_a_word_holds_nothing(room):
    """What is held is let go while the socket is still open: nothing comes by it."""
    with room.player() as player:
        player.take()
        player.does(Kind.KEY_DOWN, 30)
        player.told("ack")
        assert player.told("let_go")
        assert room.game.wait_for(2, PATIENCE)
        assert room.game.is_at_rest
        # Who comes back presses again what is pressed.
        player.does(Kind.KEY_DOWN, 30)
        player.told("ack")
        assert [each.kind for each in room.game.events[:3]] == [
            Kind.KEY_DOWN, Kind.KEY_UP, Kind.KEY_DOWN,
        ]  # fmt: skip


def test_random_ends_of_real_sockets_leave_nothing_pressed(room):
    chance, pressed = random.Random(5), 0
    for turn in range(60):
        with room.player() as player:
            assert player.take()["plays"], turn
            for key in chance.sample(range(1, 100), chance.randrange(1, 6)):
                player.does(Kind.KEY_DOWN, key)
            player.does(Kind.BUTTON_DOWN, chance.randrange(5))
            while player.told("ack")["ack"] < player.sequence:
                pass
            pressed += player.sequence
            match turn % 4:
                case 0:  # The network goes: a reset.
                    raw = player.connection.socket
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    raw.close()
                case 1:
                    player.connection.close()
                case 2:
                    player.does(Kind.RELEASE)
                case _:
                    player.say(take=False)
        assert room.game.wait_for(2 * pressed, PATIENCE), turn
        assert room.game.is_at_rest, turn


def test_nothing_is_lost_doubled_or_moved_while_viewers_are_flooded(room):
    """Pictures for a viewer that does not read, and a hand that plays: the game gets it all."""
    stop = threading.Event()

    def flood() -> None:
        number = 0
        while not stop.is_set():
            room.hub.publish(picture(number))
            number += 1

    flooding = threading.Thread(target=flood)
    address = f"ws{room.url.removeprefix('http')}ws"
    with (
        connect(address, proxy=None, open_timeout=PATIENCE) as watcher,
        room.player() as player,
    ):
        watcher.send(json.dumps({"draws": False, "base": True}))
        assert player.take()["plays"]
        flooding.start()
        try:
            sent = []
            for number in range(1, 201):
                for kind in (Kind.KEY_DOWN, Kind.KEY_UP):
                    event = player.event(kind, number % 100 + 1)
                    sent.append(event)
                    player.connection.send(pack([event]))
                player.told("ack")
            # Of a key that a silence has let go already nothing is told, but of this.
            sent.append(player.event(Kind.WHEEL, y=1.0))
            player.connection.send(pack([sent[-1]]))
            while player.told("ack")["ack"] < len(sent):
                pass
        finally:
            stop.set()
            flooding.join()
    figures = room.hand.figures()
    # A release by silence, where the machine stood still, is said; none is allowed else.
    silences = figures["refused"].pop("silences", 0)
    before = figures["refused"].pop("said before", 0)
    assert figures["refused"] == {}
    got = [each for each in room.game.events if each.sequence]
    assert got == [each for each in sent if each in got]
    assert len(sent) - len(got) == before <= silences


def test_the_end_of_a_session_lets_go(room):
    with room.player() as player:
        player.take()
        player.does(Kind.KEY_DOWN, 30)
        player.told("ack")
        room.hand.close()
        assert room.game.is_at_rest


#: Presses a key of a display that is not ours, says so, and waits to be killed.
PRESSES = """
import sys
from p2c2g_capture.input.events import Event, Kind
from p2c2g_capture.input.guardian import GuardedInjector
from p2c2g_capture.input.target import XTarget
from p2c2g_capture.input.x11 import X11Injector

target = XTarget(sys.argv[1])
injector = GuardedInjector(X11Injector(target), target)
injector.inject([Event(Kind.KEY_DOWN, 30), Event(Kind.BUTTON_DOWN, 0), Event(Kind.KEY_DOWN, 31)])
injector.inject([Event(Kind.KEY_UP, 31)])
print(injector.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.needs("Xvfb")
def test_a_session_that_is_killed_leaves_nothing_pressed():
    # No key repeats itself where the machine stands still while one is down.
    with VirtualDisplay(Size(320, 180), "-r") as display:
        game = XGame(display.name, Rect(0, 0, 320, 180), focus=True)
        with subprocess.Popen(
            [sys.executable, "-c", PRESSES, display.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as session:
            assert session.stdout is not None
            assert session.stdout.readline()
            heard = game.hear(4)
            assert {(each.name, each.number) for each in heard} >= {
                ("key down", 30), ("button down", 1),
            }  # fmt: skip
            assert game.keys_down() == {30}
            session.kill()
        let_go = game.hear(2, PATIENCE)
        assert {(each.name, each.number) for each in let_go} == {("key up", 30), ("button up", 1)}
        assert game.keys_down() == set()
        game.close()
