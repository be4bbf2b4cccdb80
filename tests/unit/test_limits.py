"""The wall of a session: what may leave and be asked for, whatever comes of it."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g.session.limits import (
    AROUND_CHUNK,
    AROUND_RESULT,
    MEMORY,
    PATIENCE,
    UNKNOWN,
    Limits,
    Throttle,
)
from p2c2g.timing.held import SPAN
from tests.unit.test_held_rate import worst

OTHER = Form("jpeg", 20)


def test_without_limits_everything_goes() -> None:
    throttle = Throttle(Limits())
    assert not Limits()
    assert not throttle.is_on
    assert all(throttle.grant((0, chunk, 1), 1 << 20, USUAL_FORM, 0.0) for chunk in range(100))
    throttle.came((0, 0, 1), 1 << 20, 0.0)
    throttle.carried(1 << 30, 1 << 30, 0.0)
    assert throttle.figures(0.0) == {}
    assert throttle.sentence(0.0) == ""


def test_megabits_are_bytes() -> None:
    assert Limits.of_mbps(8, None) == Limits(1e6, None)
    assert Limits.of_mbps(None, 0.8)


class Line:
    """A session's frames and its peers, which answer after a while, and count what goes where."""

    def __init__(self, limits: Limits, fps: float) -> None:
        self.throttle = Throttle(limits, 1 / fps)
        self.fps = fps
        self.up: list[tuple[float, float]] = []
        self.down: list[tuple[float, float]] = []
        self.coming: deque[tuple[float, tuple[int, int, int], int]] = deque()

    def play(
        self, seconds: float, chunks: int, size: int, residual: int, latency: float, else_: int = 0
    ) -> None:
        for frame in range(int(seconds * self.fps)):
            now = frame / self.fps
            while self.coming and self.coming[0][0] <= now:
                at, run, came = self.coming.popleft()
                self.throttle.came(run, came, at)
                self.down.append((at, came + AROUND_RESULT))
            # What nobody asked the wall for.
            self.up.append((now, else_))
            self.down.append((now, else_))
            self.throttle.carried(int(total(self.up)), int(total(self.down)), now)
            for chunk in range(chunks):
                run = (frame, chunk, 1)
                if self.throttle.grant(run, size, USUAL_FORM, now):
                    self.up.append((now, size + AROUND_CHUNK))
                    self.coming.append((now + latency, run, residual))


def total(went: list[tuple[float, float]]) -> float:
    return sum(size for _, size in went)


@settings(deadline=None, max_examples=20)
@given(
    up=st.sampled_from([None, 0.5, 2.0, 5.0]),
    down=st.sampled_from([None, 0.5, 2.0, 5.0]),
    fps=st.sampled_from([10, 30, 60]),
    chunks=st.integers(1, 8),
    size=st.integers(1000, 20_000),
    residual=st.integers(500, 15_000),
    latency=st.floats(0.005, 0.5),
    else_=st.integers(0, 300),
)
def test_no_two_seconds_have_more_and_a_large_demand_uses_it(
    up: float | None, down: float | None, fps: int, chunks: int, size: int, residual: int,
    latency: float, else_: int,
) -> None:  # fmt: skip
    limits = Limits.of_mbps(up, down)
    line = Line(limits, fps)
    line.play(8.0, chunks, size, residual, latency, else_)
    shares, is_short = [], False
    for limit, went, each in (
        (limits.up, line.up, size + AROUND_CHUNK),
        (limits.down, line.down, residual + AROUND_RESULT),
    ):
        if limit is not None:
            assert worst(sorted(went)) <= 1.05 * limit * SPAN + fps * SPAN * else_ / 10
            # Of what comes, once the first has come.
            late = [each for each in went if each[0] >= SPAN + latency]
            # A span holds a whole number of large ones.
            shares.append((total(late) / (6.0 - latency)) / (limit - each / SPAN))
            is_short |= chunks * fps * each > 1.5 * limit
    if is_short:
        assert max(shares) >= 0.9


def test_something_that_never_comes_gives_its_room_back() -> None:
    throttle = Throttle(Limits(down=20_000))
    granted = [throttle.grant((0, chunk, 1), 1, USUAL_FORM, 0.0) for chunk in range(50)]
    assert 0 < sum(granted) < 50
    assert throttle.refused == {"up": 0, "down": 50 - sum(granted)}
    assert "0.16 Mbit/s down" in throttle.sentence(0.5)
    assert throttle.sentence(10) == ""
    assert throttle.live(PATIENCE)["down"]["used"] == 0
    assert throttle.grant((9, 0, 1), 1, USUAL_FORM, 0.1 + PATIENCE)


def test_a_run_that_did_not_leave_takes_up_no_room() -> None:
    throttle = Throttle(Limits(20_000, 20_000))
    assert throttle.grant((0, 0, 1), 15_000, USUAL_FORM, 0.0)
    assert throttle.live(0.0)["up"]["used"] == pytest.approx((15_000 + AROUND_CHUNK) / 40_000, 1e-2)
    throttle.withdraw((0, 0, 1), 15_000)
    assert throttle.live(0.0) == {name: {"mbps": 0.16, "used": 0} for name in ("up", "down")}
    throttle.carried(0, 0, 0.0)
    assert throttle.grant((0, 0, 2), 15_000, USUAL_FORM, 0.1)


def test_each_form_brings_what_it_brought_of_late() -> None:
    throttle = Throttle(Limits(down=10e6))
    assert throttle.expected(USUAL_FORM, 0.0) == UNKNOWN + AROUND_RESULT
    for frame in range(50):
        throttle.grant((frame, 0, 1), 1, USUAL_FORM, frame / 30)
        throttle.came((frame, 0, 1), 3000, frame / 30)
        throttle.grant((frame, 1, 1), 1, OTHER, frame / 30)
        throttle.came((frame, 1, 1), 1000, frame / 30)
    assert throttle.expected(USUAL_FORM, 2.0) == pytest.approx(3000 + AROUND_RESULT)
    assert throttle.expected(OTHER, 2.0) == pytest.approx(1000 + AROUND_RESULT)
    # What was large is tried again: the picture has changed.
    assert throttle.expected(OTHER, 2.0 + MEMORY) == UNKNOWN + AROUND_RESULT
    assert Throttle(Limits(down=20_000)).expected(OTHER, 0.0) < 2000


def test_what_the_sockets_carried_counts_whatever_was_guessed() -> None:
    throttle = Throttle(Limits(100_000, 100_000))
    throttle.carried(5000, 7000, 0.0)
    assert throttle.live(0.0)["up"]["used"] == 0
    throttle.grant((0, 0, 1), 2000, USUAL_FORM, 0.0)
    throttle.came((0, 0, 1), 3000, 0.05)
    throttle.carried(5000 + 10_000, 7000 + 20_000, 0.1)
    assert throttle.live(0.1) == {
        "up": {"mbps": 0.8, "used": 0.05},
        "down": {"mbps": 0.8, "used": 0.1},
    }
    assert throttle.figures(10.0) == {
        "up": {"mbps": 0.8, "used": 0.01, "fullest": 0.05, "refused": 0},
        "down": {"mbps": 0.8, "used": 0.02, "fullest": 0.1, "refused": 0},
    }


def test_the_target_is_what_is_left_for_pictures() -> None:
    assert Throttle(Limits()).targets == (float("inf"), float("inf"))
    throttle = Throttle(Limits(up=100_000))
    assert throttle.targets == (pytest.approx(95_000), float("inf"))
    carried = 0
    for frame in range(300):
        throttle.carried(carried, 0, frame / 30)
        throttle.take((frame, 0, 1), 1000, USUAL_FORM, frame / 30)
        # A half more than the pictures, and what has nothing to do with them.
        carried += 1500 + 200
    assert throttle.targets == (pytest.approx(95_000 - 30 * 700, rel=0.05), float("inf"))
    # Something is always left.
    for frame in range(300, 600):
        throttle.carried(carried := carried + 10_000, 0, frame / 30)
    assert throttle.targets[0] > 0


def test_a_chunk_that_is_sent_again_to_be_moved_goes_up_once_more() -> None:
    assert Throttle(Limits(down=1000)).resend(1 << 20, 0.0)
    throttle = Throttle(Limits(up=20_000))
    while throttle.resend(1000, 0.0):
        pass
    assert throttle.live(0.0)["up"]["used"] == pytest.approx(2000 / 40_000, abs=0.03)
    assert not throttle.fits(1000, USUAL_FORM, 0.0)
    assert throttle.refused == {"up": 0, "down": 0}
