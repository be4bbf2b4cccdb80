"""No peer answers more than it was asked."""

from __future__ import annotations

import logging

import pytest

from p2c2g.session.answers import BURST, EACH, MAX_PEERS, MUTED, Answers


class Desk:
    def __init__(self) -> None:
        self.now = 0.0
        self.answers = Answers(lambda: self.now)

    def ask(self, peer: str, times: int = 1) -> None:
        for number in range(times):
            self.answers.run_sent((number, 0), 1, peer, 100)


def test_who_answers_what_it_was_asked_is_heard_for_ever() -> None:
    desk = Desk()
    for _ in range(10 * BURST):
        desk.ask("ada")
        assert all(desk.answers.came("ada") for _ in range(EACH))
    assert desk.answers.muted() == frozenset()


def test_who_answers_more_is_muted_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    with caplog.at_level(logging.WARNING):
        heard = [desk.answers.came("eve") for _ in range(3 * BURST)]
    assert heard.count(True) == BURST
    assert caplog.text.count("Peer eve answers what nobody asked") == 1
    desk.ask("eve", 100)  # What is asked of it later is worth no more.
    assert desk.answers.muted() == {"eve"}
    assert not desk.answers.came("eve")
    assert desk.answers.came("ada")
    desk.now = MUTED
    assert desk.answers.muted() == frozenset()
    assert desk.answers.came("eve")


def test_what_is_no_answer_counts_by_its_size() -> None:
    desk = Desk()
    desk.answers.was_useless("ada", 1 << 20)
    assert desk.answers.muted() == frozenset()
    desk.answers.was_useless("eve", 8 << 20)
    assert desk.answers.muted() == {"eve"}


def test_questions_are_not_saved_up() -> None:
    desk = Desk()
    desk.ask("eve", 10 * BURST)
    assert sum(desk.answers.came("eve") for _ in range(10 * BURST)) == BURST


def test_who_gets_a_chunk_by_a_move_may_answer_it() -> None:
    desk = Desk()
    assert sum(desk.answers.came("ada") for _ in range(BURST)) == BURST
    desk.answers.chunk_moved((1, 0), "bob", "ada")
    assert desk.answers.came("ada")


def test_names_that_are_asked_no_more_are_forgotten() -> None:
    desk = Desk()
    for number in range(2 * MAX_PEERS):
        desk.ask(f"peer{number}")
    assert len(desk.answers._left) == MAX_PEERS
