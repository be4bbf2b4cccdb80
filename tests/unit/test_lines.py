"""What is measured of lines that are computed: a queue, a rate, others in it, liars behind it."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.lines.line import MAX_PEERS, UNKNOWN, Lines, LineState
from p2c2g.lines.rate import BEYOND, FLOOR
from tests.simulated_lines import Peer, Rate, Way, constant, play

ONE = "one@here"
MBIT = 125_000.0  # bytes a second
FPS = 30.0

Want = Callable[[float], float]


def mbits(rate: float) -> int:
    return int(rate * MBIT / FPS)


def wanting(rate: float) -> Want:
    return lambda _: rate * MBIT


TEN, THREE = wanting(10), wanting(3)


class Played:
    """A session that was played: what its lines said after each frame.

    ``want`` is what it would send, in bytes a second; where it ``obeys``, no more than the target.
    """

    def __init__(
        self,
        peers: list[Peer],
        want: Want = TEN,
        back: Want = THREE,
        *,
        seconds: float,
        obeys: bool = False,
        fps: float = FPS,
        chunks: int = 3,
    ) -> None:
        self.lines = Lines()
        self.up: list[tuple[float, LineState]] = []
        self.down: list[tuple[float, LineState]] = []
        self.own: list[tuple[float, LineState]] = []
        self.overdue: list[tuple[float, float]] = []
        name = peers[0].name

        def size(now: float) -> int:
            target = self.lines.own_up.target if len(peers) > 1 else self.lines.up(name).target
            wanted = want(now)
            return int((wanted if not obeys or target is None else min(wanted, target)) / fps)

        frames = play(
            self.lines, peers, seconds=seconds, up=size, down=lambda now: int(back(now) / fps),
            fps=fps, chunks=chunks,
        )  # fmt: skip
        for now in frames:
            self.up.append((now, self.lines.up(name)))
            self.down.append((now, self.lines.down(name)))
            self.own.append((now, self.lines.own_up))
            self.overdue.append((now, self.lines.overdue(name, now)))

    def states(self, after: float = 0.0) -> set[str]:
        return {state.state for now, state in self.up if now >= after}

    def targets(self, after: float = 0.0) -> list[float]:
        return [state.target for now, state in self.up if now >= after and state.target is not None]


# -- a line with room


def test_nothing_is_known_of_a_peer_that_nobody_heard_of() -> None:
    lines = Lines()
    assert lines.up(ONE) == lines.down(ONE) == lines.own_up == lines.own_down == UNKNOWN
    assert lines.compute(ONE) == lines.overdue(ONE, 5.0) == 0
    assert lines.own_round_trip is None


def test_a_line_with_room_has_no_rise_and_no_limit() -> None:
    played = Played([Peer()], seconds=5)
    up, down = played.lines.up(ONE), played.lines.down(ONE)
    assert (up.state, down.state) == ("normal", "normal")
    assert (up.target, down.target) == (None, None)
    assert up.goodput == pytest.approx(10 * MBIT, rel=0.1)
    assert down.goodput == pytest.approx(3 * MBIT, rel=0.1)
    assert (up.rise, down.rise) == pytest.approx((0, 0), abs=0.001)
    # Both ways, and one chunk in each: the clocks' offset is not in it.
    assert up.least == down.least == pytest.approx(0.015, abs=0.002)
    assert played.lines.own_up.goodput == pytest.approx(10 * MBIT, rel=0.1)


def test_a_burst_says_what_a_line_could_carry() -> None:
    played = Played([Peer(up=Way(rate=constant(40)))], seconds=2)
    assert played.lines.up(ONE).burst == pytest.approx(40 * MBIT, rel=0.01)


def test_jitter_is_no_queue() -> None:
    played = Played([Peer(up=Way(jitter=0.01), down=Way(jitter=0.01))], seconds=60)
    assert not played.targets()
    assert "overuse" not in played.states()


def test_frames_of_very_different_sizes_are_no_queue() -> None:
    """Each leaves at once, and the last of its chunks comes when the line has carried all."""
    random = Random(5)
    played = Played(
        [Peer(up=Way(rate=constant(20)))], lambda _: random.choice((1, 3, 12)) * MBIT, seconds=30
    )
    assert not played.targets()


@pytest.mark.parametrize("drift", [1e-4, -1e-4])
def test_clocks_that_drift_apart_are_no_queue(drift: float) -> None:
    peer = Peer(clock=lambda now: 77.0 + now * (1 + drift))
    played = Played([peer], seconds=120, fps=10)
    assert not played.targets()
    assert max(state.rise for _, state in played.up + played.down) < 0.002
    assert played.lines.up(ONE).least == pytest.approx(0.015, abs=0.004)


@pytest.mark.parametrize("jump", [-5000.0, -0.2, 0.2, 5000.0])
def test_a_clock_that_jumps_is_forgotten_at_once(jump: float) -> None:
    """A peer that was started again has another one."""
    peer = Peer(clock=lambda now: now if now < 2 else now + jump)
    played = Played([peer], seconds=4)
    assert not played.targets()
    assert max(state.rise for now, state in played.up + played.down if now > 3) < 0.002


def test_a_route_that_became_longer_is_a_rise_for_half_a_minute() -> None:
    way = Way()
    peer = Peer(up=way)

    def back(now: float) -> float:
        way.takes = 0.015 if now < 5 else 0.045
        return 3 * MBIT

    played = Played([peer], back=back, seconds=45, fps=10)
    rises = dict(played.up)
    assert rises[20.0].rise == pytest.approx(0.03, abs=0.003)
    assert played.lines.up(ONE).rise < 0.003
    assert played.lines.up(ONE).least == pytest.approx(0.03, abs=0.003)


# -- a line that is full


def test_what_does_not_fit_a_line_is_its_limit() -> None:
    played = Played([Peer(up=Way(rate=constant(10)))], wanting(15), seconds=1)
    up = played.lines.up(ONE)
    assert up.state == "overuse"
    assert up.rise > 0.1
    assert 2 * MBIT < played.targets()[-1] < 10 * MBIT
    # The way back has room, and nobody takes the one for the other.
    assert played.lines.down(ONE).state == "normal"
    assert played.lines.down(ONE).target is None
    assert played.lines.down(ONE).rise < 0.002


def test_the_way_back_is_measured_by_itself() -> None:
    played = Played([Peer(down=Way(rate=constant(5)))], wanting(10), wanting(8), seconds=2)
    assert played.lines.down(ONE).state == "overuse"
    assert played.lines.down(ONE).target is not None
    assert played.lines.up(ONE).target is None
    assert played.lines.up(ONE).rise < 0.002


@pytest.mark.parametrize("jitter", [0.0, 0.01])
def test_who_obeys_gets_nearly_all_of_a_narrow_line_and_no_queue(jitter: float) -> None:
    played = Played(
        [Peer(up=Way(rate=constant(5), jitter=jitter))], wanting(20), seconds=30, obeys=True
    )
    settled = [state for now, state in played.up if now > 15]
    rate = sum(state.goodput or 0.0 for state in settled) / len(settled)
    assert 0.8 * 5 * MBIT < rate < 5.05 * MBIT
    assert sorted(state.rise for state in settled)[len(settled) * 9 // 10] < 0.05


def test_a_line_that_falls_is_known_within_half_a_second_and_its_return_within_three() -> None:
    def rate(now: float) -> float:
        return (4 if 3 <= now < 6 else 40) * MBIT

    played = Played([Peer(up=Way(rate=rate))], wanting(20), seconds=14, obeys=True)
    assert not [target for now, state in played.up if now < 3 and (target := state.target)]
    fallen = next(now for now, state in played.up if state.target is not None)
    assert fallen < 3.5
    lowest = next(now for now, state in played.up if (state.target or 1e9) < 4 * MBIT)
    assert lowest < 4
    back = next(now for now, state in played.up if now > 6 and (state.target or 0) > 19 * MBIT)
    assert back < 9


def test_what_is_stuck_is_overdue_before_it_has_told_its_times() -> None:
    def rate(now: float) -> float:
        return (0.4 if now >= 3 else 40) * MBIT

    played = Played([Peer(up=Way(rate=rate))], wanting(20), seconds=3.5)
    late = dict(played.overdue)
    assert max(late[now] for now in late if now < 3) < 0.04
    assert late[max(late)] > 0.3


def test_a_full_buffer_is_emptied() -> None:
    """A latecomer sees a queue of a second and nothing less, until it has drained."""
    way = Way(rate=constant(5))
    way.free_at = 1.0
    played = Played([Peer(up=way)], wanting(4), seconds=30, obeys=True)
    assert played.up[-1][1].rise < 0.02
    assert played.up[-1][1].least is not None
    assert played.up[-1][1].least < 0.1


def test_a_queue_that_stands_is_too_long_even_if_it_does_not_grow() -> None:
    """Bufferbloat: for as long as it is not known that it is others who fill it."""
    played = Played(
        [Peer(up=Way(rate=constant(10)))],
        lambda now: (16 if 2 <= now < 2.4 else 10) * MBIT,
        seconds=5,
    )
    assert {state.state for now, state in played.up if 3 < now < 4} == {"overuse"}
    assert played.up[-1][1].rise > 0.15
    assert played.targets()[-1] < 8.5 * MBIT


# -- others in the same line


def test_others_leave_less() -> None:
    way = Way(rate=constant(20), others=lambda now: (10 if now > 2 else 0) * MBIT)
    played = Played([Peer(up=way)], wanting(15), seconds=20, obeys=True)
    settled = [state for now, state in played.up if now > 10]
    rate = sum(state.goodput or 0.0 for state in settled) / len(settled)
    assert 7 * MBIT < rate < 10.5 * MBIT


class Greedy:
    """Another's flow that fills every buffer: it goes on until one of so many seconds is full."""

    def __init__(self, way: Way, buffer: float) -> None:
        self._way, self._buffer = way, buffer
        self._rate = MBIT

    def __call__(self, now: float) -> float:
        waits = self._way.free_at - now
        self._rate = self._rate / 2 if waits > self._buffer else self._rate + 0.02 * MBIT
        return self._rate


def test_who_shares_with_one_who_fills_every_buffer_is_not_starved() -> None:
    """The fault of a threshold that is fixed: the delay-based flow gives way for ever."""
    way = Way(rate=constant(20))
    way.others = Greedy(way, 0.1)
    played = Played([Peer(up=way)], wanting(12), seconds=60, obeys=True)
    settled = [state.goodput or 0.0 for now, state in played.up if now > 20]
    assert sum(settled) / len(settled) > 3 * MBIT


# -- little is sent


def test_a_still_picture_is_no_narrow_line() -> None:
    played = Played([Peer()], wanting(0.1), seconds=20)
    assert played.lines.up(ONE).target is None


def test_what_was_never_sent_is_not_promised() -> None:
    """Of a line that has a limit, no more is promised than half as much again as it carried."""
    wants = [(4.0, 20.0), (10.0, 1.0), (30.0, 2.0)]

    def want(now: float) -> float:
        return next(mbits for until, mbits in wants if now < until) * MBIT

    way = Way(rate=lambda now: (5 if now < 3 else 100) * MBIT)
    played = Played([Peer(up=way)], want, seconds=29, obeys=True)
    # What was known of it is kept while little is sent, and not raised.
    held = [state.target or 0.0 for now, state in played.up if 11 < now < 29]
    before = [state.target or 0.0 for now, state in played.up if now <= 11]
    assert max(held) <= max(BEYOND * 2 * MBIT * 1.1, max(before))


# -- whose line, or not the line at all


def test_a_peer_that_is_busy_has_no_full_line() -> None:
    played = Played([Peer(work=0.012)], wanting(10), seconds=5)
    assert played.lines.compute(ONE) > 0.95
    assert played.lines.up(ONE).target is None
    assert played.lines.down(ONE).target is None


def test_a_peer_with_a_full_line_is_not_busy() -> None:
    played = Played([Peer(up=Way(rate=constant(3)))], wanting(10), seconds=5)
    assert played.lines.compute(ONE) < 0.3
    assert played.lines.up(ONE).target is not None


def test_what_all_lines_have_in_common_is_the_gamers_own() -> None:
    shared = Way(rate=constant(10))
    played = Played([Peer(name, up=shared) for name in "abc"], wanting(15), seconds=20, obeys=True)
    settled = [state for now, state in played.own if now > 10]
    rate = sum(state.goodput or 0.0 for state in settled) / len(settled)
    assert 8 * MBIT < rate < 10.1 * MBIT
    assert played.own[15][1].state == "overuse"


def test_one_peer_with_a_narrow_line_is_not_the_gamers_own() -> None:
    narrow = Peer("a", up=Way(rate=constant(2)))
    played = Played([narrow, Peer("b"), Peer("c")], wanting(15), seconds=4)
    assert played.lines.up("a").target is not None
    assert played.lines.up("b").target is None
    assert played.lines.own_up.target is None


@pytest.mark.parametrize("is_own", [False, True])
def test_of_one_peer_the_gamers_pings_tell_whose_line_it_is(is_own: bool) -> None:
    lines = Lines()
    peer = Peer(up=Way(rate=constant(5)))
    for now in play(lines, [peer], seconds=3, up=lambda _: mbits(8), down=lambda _: 10_000):
        waits = max(0.0, peer.up.free_at - now) if is_own else 0.0
        lines.pinged(0.02 + waits, now)
    assert lines.up(ONE).state == "overuse"
    assert (lines.own_up.target is not None) is is_own
    assert (lines.own_up.rise > 0.1) is is_own


@pytest.mark.parametrize("fps", [10.0, 15.0, 30.0])
@pytest.mark.parametrize("recovers", [1.0, 0.75, 0.5])
def test_a_machine_that_stands_still_for_a_moment_is_no_full_line(
    fps: float, recovers: float
) -> None:
    """What it held up comes at once, or one after another, each less late than the one before."""
    way = Way(rate=constant(40))

    def want(now: float) -> float:
        since = min((now - at for at in (2.0, 4.0, 6.5) if now >= at), default=1.0)
        way.takes = 0.015 + max(0.0, 0.2 - recovers * since)
        return 3 * MBIT

    assert not Played([Peer(up=way)], want, seconds=8, fps=fps).targets()


def test_a_machine_that_stands_still_for_long_does_not_make_its_line_narrow() -> None:
    """A full line, and then nothing for 0.6 s: the queue is real, and the rate no other."""
    way = Way(rate=constant(20))

    def want(now: float) -> float:
        if 8 <= now < 8.03:
            way.free_at = max(way.free_at, now + 0.6)
        return 26 * MBIT

    played = Played([Peer(up=way)], want, seconds=14, obeys=True)
    assert min(played.targets(8)) < 10 * MBIT  # so that it drains
    assert min(played.targets(10)) > 15 * MBIT


# -- strangers


NUMBERS = st.floats() | st.sampled_from([0.0, -1.0, 1e308, 1e9, float("nan"), float("inf")])
SIZES = st.integers(-1, 2**40)


def check(state: LineState) -> None:
    for number in (state.goodput, state.target, state.least, state.rise, state.burst):
        assert number is None or (math.isfinite(number) and number >= 0)


@given(
    st.lists(
        st.tuples(SIZES, SIZES, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
        max_size=40,
    )
)
def test_no_lie_makes_a_figure_that_cannot_be(told: list[tuple[float, ...]]) -> None:
    lines = Lines()
    for up, down, sent, forward, waited, idle, work, back, now in told:
        lines.arrived(
            ONE, int(up), int(down), sent, forward, waited, idle, work, back, now
        )  # fmt: skip
        for state in (lines.up(ONE), lines.down(ONE), lines.own_up, lines.own_down):
            check(state)
        assert 0 <= lines.compute(ONE) <= 1


@given(
    rate=st.floats(0.2, 200), want=st.floats(0.1, 60), takes=st.floats(0, 0.2),
    jitter=st.floats(0, 0.02), fps=st.sampled_from([5.0, 30.0, 60.0]), chunks=st.integers(1, 15),
)  # fmt: skip
def test_no_line_makes_a_figure_that_cannot_be(
    rate: float, want: float, takes: float, jitter: float, fps: float, chunks: int
) -> None:
    way = Way(rate=constant(rate), takes=takes, jitter=jitter)
    played = Played([Peer(up=way)], wanting(want), seconds=2, fps=fps, chunks=chunks)
    for _, state in played.up + played.own + played.down:
        check(state)
        if state.target is not None:
            # Never above half as much again as can arrive; a second is the shortest look.
            assert state.target <= max(FLOOR, BEYOND * 1.2 * max(want, 0.1) * MBIT)


@given(st.floats(6, 15), st.floats(1.5, 2.5))
def test_who_sends_more_into_a_line_waits_no_less(rate: float, more: float) -> None:
    """But for what is not known yet: a frame that still waits has told nothing."""

    def rise(mbits: float) -> float:
        peer = Peer(up=Way(rate=constant(rate)))
        return Played([peer], wanting(mbits), seconds=2).lines.up(ONE).rise

    assert rise(10 * more) >= 0.9 * rise(10) - 0.002


@given(st.floats(4, 9), st.floats(0.5, 0.9))
def test_a_narrower_line_is_promised_no_more(rate: float, part: float) -> None:
    def target(mbits: float) -> float:
        peer = Peer(up=Way(rate=constant(mbits)))
        return min(Played([peer], wanting(20), seconds=3).targets())

    assert target(rate * part) <= target(rate) * 1.1


def test_a_liar_hurts_its_own_figures_alone() -> None:
    lines = Lines()
    random = Random(3)
    honest = [Peer("a"), Peer("b"), Peer("c")]
    for now in play(lines, honest, seconds=5, up=lambda _: 40_000, down=lambda _: 12_000):
        for _ in range(3):
            forward, waited, idle, work = (random.uniform(0, 5) for _ in range(4))
            back = 0.04 - forward
            lines.arrived("liar", 1000, 1000, now - 0.05, forward, waited, idle, work, back, now)
    for state in (lines.up("a"), lines.down("b"), lines.own_up, lines.own_down):
        assert state.target is None
        assert state.rise < 0.002


def test_one_who_hides_a_queue_does_not_hide_it_of_three() -> None:
    lines = Lines()
    shared = Way(rate=constant(10))
    peers = [Peer(name, up=shared) for name in "abc"]
    for now in play(lines, peers, seconds=3, up=lambda _: 60_000, down=lambda _: 12_000):
        lines.arrived("liar", 0, 0, now - 0.05, 0.0, 0.0, 0.05, 0.01, 0.0, now)
    assert lines.own_up.state == "overuse"


def test_what_is_known_is_bounded_by_peers() -> None:
    lines = Lines()
    for number in range(MAX_PEERS + 50):
        now = number * 0.001
        lines.arrived(f"peer{number}", 1000, 1000, now, 0.01, 0.0, 0.1, 0.01, 0.01, now + 0.03)
    assert len(lines) == MAX_PEERS
    assert lines.up("peer0") == UNKNOWN
    assert lines.up(f"peer{MAX_PEERS + 49}") != UNKNOWN


# -- what else is told


def test_silence_halves_a_target_that_there_is() -> None:
    narrow = Played([Peer(up=Way(rate=constant(5)))], wanting(8), seconds=3)
    before = narrow.targets()[-1]
    now = narrow.up[-1][0] + 2
    narrow.lines.lost(ONE, now)
    narrow.lines.lost(ONE, now + 0.1)
    after = narrow.lines.up(ONE).target
    assert after == pytest.approx(before / 2, rel=0.01)
    wide = Played([Peer()], seconds=2)
    wide.lines.lost(ONE, 4.0)
    wide.lines.lost("nobody@there", 4.0)
    assert wide.lines.up(ONE).target is None


def test_the_gamers_own_round_trip_is_told_apart_from_what_waits_on_top_of_it() -> None:
    lines = Lines()
    for number in range(20):
        lines.pinged(0.02 if number < 10 else 0.08, number * 0.5)
    own = lines.own_round_trip
    assert own is not None
    assert own.least == pytest.approx(0.02, abs=0.002)
    assert own.rise == pytest.approx(0.06, abs=0.01)


def test_who_has_left_is_forgotten() -> None:
    played = Played([Peer()], seconds=1)
    played.lines.forget(ONE)
    assert played.lines.up(ONE) == UNKNOWN
    assert played.lines.peers() == []


def test_a_rate_is_bytes_a_second() -> None:
    rate: Rate = constant(8)
    assert rate(0) == 1_000_000
