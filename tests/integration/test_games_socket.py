"""The list of games by a real socket: who is told, and what a stranger gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from tests.hands import TOKENS
from tests.shelves import shelf_of
from tests.watched import opened
from tests.watchers import PATIENCE, STATS, Client

#: What is said first by who is none of the gamer's.
NOT_THE_GAMERS = [
    "", "{", "[]", '{"list": true}', '{"choose": "two"}', '{"token": 7}',
    json.dumps({"token": TOKENS.pads}), '{"token": "\\ud800"}', "[" * 4000, b"\x00",
]  # fmt: skip


@contextmanager
def asking(*, is_offered: bool = True) -> Iterator[tuple[ClientConnection, list[str]]]:
    chosen: list[str] = []
    games = shelf_of(chosen.append) if is_offered else None
    viewer = ViewerServer(Hub(), lambda: STATS, games=games)
    try:
        url = viewer.start()
        with opened(f"ws{url.removeprefix('http')}games") as connection:
            yield connection, chosen
    finally:
        viewer.close()


def ask(connection: ClientConnection, **what) -> dict:
    connection.send(json.dumps(what))
    return json.loads(connection.recv(timeout=PATIENCE))


def ended(connection: ClientConnection) -> int:
    closed = Client(connection).closing()
    assert closed.rcvd is not None
    return closed.rcvd.code


def test_the_gamer_is_told_and_chooses():
    with asking() as (connection, chosen):
        connection.send(json.dumps({"token": TOKENS.play}))
        told = ask(connection, list=True)
        assert [each["name"] for each in told["games"]] == ["one", "two", "three"]
        assert "refused" in ask(connection, choose="/bin/sh")
        assert ask(connection, choose="two") == {"chosen": "two"}
        assert chosen == ["two"]


@pytest.mark.parametrize("first", NOT_THE_GAMERS)
def test_nobody_else_is_told_anything(first):
    with asking() as (connection, chosen):
        connection.send(first)
        assert ended(connection) == 1008
        assert chosen == []


@pytest.mark.parametrize("word", ["{}", '{"list": 1}', '{"choose": ["two"]}', "no"])
def test_what_is_no_word_ends_it(word):
    with asking() as (connection, chosen):
        connection.send(json.dumps({"token": TOKENS.play}))
        connection.send(word)
        assert ended(connection) == 1008
        assert chosen == []


def test_a_page_of_another_site_is_told_nothing():
    with asking() as (connection, _):
        host, port = connection.remote_address[:2]
        with pytest.raises(InvalidStatus, match="403"):
            opened(f"ws://{host}:{port}/games", origin="http://evil.example")


def test_a_session_that_offers_none_says_so():
    with asking(is_offered=False) as (connection, _):
        closed = Client(connection).closing()
        assert closed.rcvd is not None
        assert closed.rcvd.reason == "This session offers no games."
