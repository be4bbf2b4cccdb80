"""What a session does where the gamer's line has no room: it leaves out, and waits for nothing."""

from __future__ import annotations

from dataclasses import replace

from p2c2g.session.limits import Limits
from tests.unit.test_core import CONFIG, Desk


def test_a_chunk_without_room_is_left_out_and_the_frame_does_not_wait_for_it() -> None:
    unpaced = replace(CONFIG, limits=Limits(up=12_000), paced=False)
    desk = Desk("ada", "bob", config=unpaced)
    [send] = desk.submit(0)
    [request] = send.requests
    assert request.chunk == 0
    assert desk.core.tables.throttle.refused == {"up": 1, "down": 0}
    desk.answer((0, 0), request.peer, 0.01)
    shown = desk.core.release(desk.core.next_release() or 0.0)
    assert shown is not None
    assert set(shown.parts) == {0}
    assert not shown.complete
    assert shown.shown_at < CONFIG.deadline


def test_a_frame_without_any_room_is_not_sent_and_waits_for_nothing() -> None:
    desk = Desk("ada", "bob", config=replace(CONFIG, limits=Limits(up=12_000)))
    desk.submit(0)
    assert desk.submit(1, now=0.01) == []
    assert ("submitted", 1, False) in desk.diary.heard
    # Nothing of it is awaited.
    frame = desk.core.tables.frames.frame(1)
    assert frame is not None
    assert not frame.missing


def test_it_says_what_is_allowed_where_that_is_too_little() -> None:
    desk = Desk("ada", "bob", config=replace(CONFIG, limits=Limits(12_500, 125_000)))
    for number in range(30):
        desk.submit(number, now=number / 30)
    said = [each[1] for each in desk.diary.heard if each[0] == "noticed"]
    assert said == ["Some of the picture stays as it is: you allow 0.1 Mbit/s up and 1 Mbit/s down"]


def test_what_comes_down_is_held_by_what_is_asked_for() -> None:
    desk = Desk("ada", "bob", config=replace(CONFIG, limits=Limits(down=12_500)))
    [send] = desk.submit(0)
    assert len(send.requests) < 2
    assert desk.core.tables.throttle.refused["down"]


def test_what_did_not_leave_takes_up_no_room() -> None:
    desk = Desk("ada", "bob", config=replace(CONFIG, limits=Limits(30_000, 1e6)))
    desk.submit(0)
    assert desk.core.tables.throttle.live(0.0)["up"]["used"] > 0
    desk.core.not_sent(0, "BrokerUnavailableError: away")
    assert {each["used"] for each in desk.core.tables.throttle.live(0.0).values()} == {0}
    # Nor does what nobody may have.
    alone = Desk(config=replace(CONFIG, limits=Limits(30_000, 1e6)), has_shared_queue=False)
    alone.submit(0)
    assert {each["used"] for each in alone.core.tables.throttle.live(0.0).values()} == {0}


def test_a_lost_chunk_is_not_run_again_where_there_is_no_room() -> None:
    for limits, again in ((Limits(up=12_000), 0), (Limits(up=1e6), 1)):
        desk = Desk("ada", "bob", "cyd", config=replace(CONFIG, limits=limits))
        [send] = desk.submit(0)
        sends = desk.core.failed((0, 0), 1, send.requests[0].peer, "CodecError: no", 0.001)
        assert len(sends) == again
