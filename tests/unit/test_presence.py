"""Whether anybody is there, and the sentence where nobody does anything."""

from __future__ import annotations

from typing import Any

import pytest

from p2c2g.routing.router import Facts
from p2c2g.session.attempts import Decision, Verdict
from p2c2g.session.frames import FrameInFlight, Shown
from p2c2g.session.presence import PLAIN, SILENCE, VOUCHES, Presence
from tests.recipes import all_sent


class Watch:
    """A presence, and frames of which nothing or something is enhanced."""

    def __init__(self, *facts: Facts) -> None:
        self.presence = Presence("gpu", 0.1)
        self.presence.learn(facts)
        self.now = 0.0

    def show(self, seconds: float, *, enhanced: bool = False, ran: str = "") -> str:
        """Show frames for so long, by the pipeline that a peer ran; return what is said then."""
        parts: Any = {0: None} if enhanced else {}
        for _ in range(round(seconds * 10) + 1):
            if enhanced:
                self.presence.chunk_accepted((0, 0), "ada", 0.02, ran)
            frame = FrameInFlight(
                0, None, {0: b""}, all_sent(), 0.0, 0.0, 0.0, 0.0, was_sent=True, missing={0}
            )
            shown: Shown[None, Any] = Shown(frame, parts, enhanced, self.now, self.now, None)
            self.presence.frame_shown(shown)
            self.now += 0.1
        return self.sentence()

    def sentence(self) -> str:
        return self.presence.sentence(self.now, connected=True)


WHY = "too busy, too far, of another version, or working at another broker"
READY = Facts("ada", ready=True)
OTHER = Facts("bob", ready=False, serves=False)


def test_nothing_is_said_while_something_is_enhanced_or_too_early() -> None:
    assert Watch(READY).show(10.0, enhanced=True) == ""
    watch = Watch()
    assert watch.show(SILENCE - 0.3) == ""
    assert watch.show(0.5) != ""
    assert watch.show(0.0, enhanced=True) == ""


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((), "No peers: nobody is in the pool, so this machine makes every picture alone"),
        ((OTHER,), "No peers for the queue 'gpu': 1 peer is listed, for others"),
        (
            (OTHER, Facts("eve", ready=False)),
            "1 peer is listed, none takes work now: paused, leaving or banned",
        ),
        (
            (READY, Facts("zoe", ready=True)),
            "2 peers are listed, none has answered: " + WHY,
        ),
    ],
)
def test_who_is_listed_is_in_the_sentence(facts: tuple[Facts, ...], said: str) -> None:
    assert Watch(*facts).show(SILENCE) == said


def test_peers_of_another_version_are_no_peers() -> None:
    watch = Watch()
    watch.presence.learn((), unread=2)
    assert watch.show(SILENCE) == "No peers of this version: 2 peers are listed, of another"


def test_a_broker_that_is_away_is_the_first_reason() -> None:
    watch = Watch(READY)
    watch.show(SILENCE)
    assert watch.presence.sentence(watch.now, connected=False) == (
        "The broker does not answer, so this machine makes every picture alone"
    )


def test_where_the_broker_refuses_it_is_said_and_nobody_waited_for() -> None:
    watch = Watch(READY)
    watch.show(SILENCE)
    watch.presence.refused("This pool has ended your login.")
    assert watch.presence.is_alone(watch.now)
    assert watch.sentence() == "This pool has ended your login"
    assert watch.presence.last_word() == "This pool has ended your login"
    watch.presence.refused("")
    assert not watch.presence.is_alone(watch.now)
    assert watch.sentence().startswith("1 peer is listed")


def test_answers_that_come_too_late_are_a_reason() -> None:
    watch = Watch(READY)
    watch.presence.result_unused((0, 0), "ada", Verdict.LATE)
    assert watch.show(SILENCE) == "1 peer is listed, and every answer takes more than 100 ms"


def test_errors_are_a_reason_and_no_stranger_moves_the_cursor() -> None:
    watch = Watch(READY)
    watch.presence.run_failed((0, 0), 1, "ada", "CodecError: no\x1b[2Jpicture" + "x" * 999,
                              Decision.RETRY)  # fmt: skip
    said = watch.show(SILENCE)
    assert said.startswith(
        "1 peer is listed, and no answer can be used: CodecError: no\\x1b[2Jpicture"
    )
    assert len(said) < 200


def test_what_was_said_is_over_with_the_next_part() -> None:
    watch = Watch(READY)
    watch.presence.result_unused((0, 0), "ada", Verdict.LATE)
    watch.show(SILENCE)
    watch.show(0.0, enhanced=True)
    assert "none has answered" in watch.show(SILENCE + 0.2)


def test_a_session_that_was_too_short_to_say_it_has_a_last_word() -> None:
    watch = Watch()
    assert watch.presence.last_word() == "", "no frame was shown"
    assert watch.show(0.2) == ""
    assert watch.presence.last_word().startswith("No peers: ")
    watch.show(0.0, enhanced=True)
    watch.show(SILENCE)
    assert watch.presence.last_word() == "", "something was enhanced"
    unasked = Watch()
    unasked.presence = Presence("cpu", 0.1)
    unasked.show(0.2)
    assert unasked.presence.last_word() == "", "nobody knows who is there"


def test_a_session_is_alone_where_nobody_takes_work() -> None:
    assert Watch().presence.is_alone(0.0)
    assert Watch(OTHER, Facts("eve", ready=False)).presence.is_alone(0.0)
    assert not Watch(READY).presence.is_alone(0.0)
    assert not Presence("cpu", 0.1).is_alone(0.0), "the registry was not asked yet"


def test_an_answer_vouches_for_its_peer_for_a_while() -> None:
    watch = Watch()
    watch.presence.result_arrived((0, 0), "ada", 10)
    watch.show(0.0)
    assert not watch.presence.is_alone(VOUCHES - 0.1)
    assert watch.presence.is_alone(VOUCHES + 0.1)


def test_that_no_peer_runs_a_net_is_said() -> None:
    watch = Watch(READY)
    plain, net = "upscale:2:base,sharpen:0.5", "upscale:2:ml-tiny,sharpen:0.5"
    assert watch.show(PLAIN - 0.3, enhanced=True, ran=plain) == ""
    assert watch.show(0.5, enhanced=True, ran=plain) == (
        "1 peer is listed, and none runs a net: too slow, too busy, or without the extra ml"
    )
    assert watch.show(0.0, enhanced=True, ran=net) == ""
    for _ in range(20):  # Now and then there is no time for one.
        assert watch.show(1.0, enhanced=True, ran=plain) == ""
        watch.show(0.0, enhanced=True, ran=net)
    assert watch.show(2 * PLAIN, enhanced=True) == "", "nothing was left to the peers"
