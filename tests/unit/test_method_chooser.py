"""The choice of a net by the time that is left, on an injected clock."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.media.frame import Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline, Step
from p2c2g_workers.engine import Done, Kind, Work
from p2c2g_workers.ladder import PRODUCTS, Method, ladder, settle
from p2c2g_workers.method_chooser import FORGOTTEN, MAX_METHODS, SHARE, MethodChooser, Rung

LARGE, SMALL, TINY, FOOT = (
    Rung(name, PRODUCTS[name]) for name in ("ml-large", "ml-small", "ml-tiny", "base")
)
RUNGS = [LARGE, SMALL, TINY, FOOT]
OWN, OTHER = "a" * 32, "b" * 32
FRAME = Size(640, 360)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def learnt(rates: dict[Rung, float], clock: Clock | None = None) -> MethodChooser:
    """Return one that has seen each rung often, at so many seconds a megapixel."""
    clock = clock or Clock()
    chooser = MethodChooser(clock)
    for rung, rate in rates.items():
        for _ in range(41):
            run(chooser, clock, rung, rate)
    return chooser


def run(chooser: MethodChooser, clock: Clock, rung: Rung, seconds: float) -> None:
    """Let a run of one megapixel take its time, and be noted."""
    clock.now += seconds
    chooser.note(rung, 1.0, seconds)


def test_the_best_that_fits_is_taken() -> None:
    chooser = learnt({LARGE: 0.5, SMALL: 0.15, TINY: 0.04})
    left = {0.9: LARGE, 0.3: SMALL, 0.08: TINY, 0.05: FOOT, 0.0: FOOT, -1.0: FOOT}
    assert {left: chooser.choose(RUNGS, 1.0, left) for left in left} == left


def test_a_smaller_picture_and_fewer_turns_leave_more() -> None:
    chooser = learnt({LARGE: 0.5, SMALL: 0.15, TINY: 0.04})
    assert chooser.choose(RUNGS, 0.5, 0.45) is LARGE
    assert chooser.choose(RUNGS, 0.5, 0.45, turns=2) is SMALL
    assert chooser.choose(RUNGS, 0.5, 0.45, turns=6) is TINY
    assert chooser.choose(RUNGS, 0.5, 0.45, turns=60) is FOOT


def test_one_that_knows_nothing_begins_with_the_cheapest_net() -> None:
    chooser = MethodChooser(Clock())
    assert chooser.choose(RUNGS, 1.0, 0.1) is TINY
    assert chooser.choose(RUNGS, 1.0, 0.0) is FOOT
    assert chooser.choose([FOOT], 1.0, 0.1) is FOOT


def test_the_first_run_of_a_method_is_not_held_against_it() -> None:
    clock = Clock()
    chooser = MethodChooser(clock)
    run(chooser, clock, TINY, 30.0)
    assert chooser.choose(RUNGS, 1.0, 0.1) is TINY
    run(chooser, clock, TINY, 0.01)
    assert chooser.choose(RUNGS, 1.0, 0.1) is TINY


def test_nor_are_those_that_began_beside_it() -> None:
    clock = Clock()
    chooser = MethodChooser(clock)
    for late in range(8):  # slots that all waited for the same weights
        clock.now += 0.03
        chooser.note(TINY, 1.0, 30.0 + 0.02 * late)
    assert chooser.choose(RUNGS, 1.0, 0.1) is TINY
    run(chooser, clock, TINY, 0.01)
    assert chooser.choose(RUNGS, 1.0, 0.1) is TINY
    run(chooser, clock, TINY, 0.01 * SHARE)
    for _ in range(9):
        run(chooser, clock, TINY, 30.0)  # now it says something
    assert chooser.choose(RUNGS, 1.0, 0.1) is FOOT


def test_an_unknown_net_is_reckoned_from_a_known_one() -> None:
    chooser = learnt({TINY: 0.01})
    needed = 0.01 * SMALL.products / TINY.products / SHARE
    assert chooser.choose(RUNGS, 1.0, 1.2 * needed) is SMALL
    assert chooser.choose(RUNGS, 1.0, 0.8 * needed) is TINY


def test_what_the_base_takes_says_nothing_of_a_net() -> None:
    chooser = learnt({FOOT: 1.0})
    assert chooser.choose(RUNGS, 1.0, 0.1) is TINY


def test_a_spread_is_feared() -> None:
    clock = Clock()
    steady, restless = learnt({TINY: 0.05}), MethodChooser(clock)
    for index in range(80):
        run(restless, clock, TINY, 0.01 if index % 2 else 0.09)
    assert steady.choose(RUNGS, 1.0, 0.1) is TINY
    assert restless.choose(RUNGS, 1.0, 0.1) is FOOT


def test_one_that_was_too_slow_is_tried_again_after_a_while() -> None:
    clock = Clock()
    chooser = learnt({TINY: 0.1}, clock)
    assert chooser.choose(RUNGS, 1.0, 0.1) is FOOT
    clock.now += 2 * FORGOTTEN
    assert chooser.choose(RUNGS, 1.0, 0.1) is TINY


def test_a_peer_that_slows_down_steps_down_and_comes_back() -> None:
    clock = Clock()
    chooser = learnt({SMALL: 0.04, TINY: 0.01}, clock)
    assert chooser.choose(RUNGS[1:], 1.0, 0.1) is SMALL
    for _ in range(12):
        run(chooser, clock, SMALL, 0.2)
    assert chooser.choose(RUNGS[1:], 1.0, 0.1) is TINY
    for _ in range(60):
        run(chooser, clock, SMALL, 0.04)
    assert chooser.choose(RUNGS[1:], 1.0, 0.1) is SMALL


def test_after_a_cold_start_nets_are_back_within_two_seconds_of_its_end() -> None:
    """For three seconds chunks took ten times as long, as after heavy use of the disk."""
    clock = Clock()
    chooser = MethodChooser(clock)
    began, ran = clock.now, list[tuple[float, Rung]]()
    for _ in range(600):  # chunks of a tenth of a megapixel, sixty a second
        clock.now += 1 / 60
        cold = clock.now - began < 3.0
        rung = chooser.choose(RUNGS[1:], 0.115, 0.05)
        ran.append((clock.now - began, rung))
        seconds = {SMALL: 0.15, TINY: 0.04, FOOT: 0.001}[rung] * 0.115 * (10 if cold else 1)
        clock.now += seconds
        chooser.note(rung, 0.115, seconds)
    late = [rung for at, rung in ran if at > 5.0]
    assert late.count(FOOT) == 0
    cold_ones = [rung for at, rung in ran if 0.5 < at < 3.0]
    assert cold_ones.count(FOOT) >= 0.9 * len(cold_ones), "a try now and then, and no more"


def test_a_machine_that_is_slow_for_good_tries_ever_less_often() -> None:
    clock = Clock()
    chooser = MethodChooser(clock)
    tried = []
    for _ in range(120 * 60):
        clock.now += 1 / 60
        rung = chooser.choose(RUNGS[1:], 0.115, 0.05)
        if rung is not FOOT:
            tried.append(clock.now - 100.0)
            clock.now += 0.1
            chooser.note(rung, 0.115, 0.1)
    assert sum(at > 30.0 for at in tried) <= 8


def test_a_better_net_is_taken_only_where_a_slot_has_time_for_all_that_comes() -> None:
    chosen = {}
    for every in (1 / 60, 1 / 20):
        chooser = learnt({SMALL: 0.15, TINY: 0.04})
        for _ in range(64):
            chooser.begins(0.115, every)
        chosen[every] = chooser.choose(RUNGS[1:], 0.115, 0.06)
    # 17 ms each: it would fit by its own time, but not sixty times a second.
    assert chosen == {1 / 60: TINY, 1 / 20: SMALL}


def test_the_cheapest_net_is_taken_also_where_a_slot_has_no_time_for_all() -> None:
    """There are fewer chunks then: that is better than all of them without any net."""
    chooser = learnt({SMALL: 0.15, TINY: 0.04})
    for _ in range(64):
        chooser.begins(0.115, 0.003)
    assert chooser.choose(RUNGS[1:], 0.115, 0.06) is TINY


def test_strangers_names_do_not_pile_up() -> None:
    clock = Clock()
    chooser = MethodChooser(clock)
    for runs in (1, 2):
        for number in range(10 * MAX_METHODS):
            for _ in range(runs):
                run(chooser, clock, Rung(f"ml-tiny@{number}", 5.0), 0.01)
    assert len(chooser._paces) == MAX_METHODS
    assert len(chooser._warm) <= MAX_METHODS


@given(
    st.lists(st.tuples(st.sampled_from(RUNGS), st.floats(0, 2)), max_size=30),
    st.floats(0.001, 2),
    st.floats(-0.5, 2),
    st.integers(0, 9),
)
def test_less_time_never_chooses_a_dearer_net(
    seen: list[tuple[Rung, float]], megapixels: float, left: float, turns: int
) -> None:
    clock = Clock()
    chooser = MethodChooser(clock)
    for rung, seconds in seen:
        run(chooser, clock, rung, seconds)
    more = chooser.choose(RUNGS, megapixels, left, turns)
    less = chooser.choose(RUNGS, megapixels, left / 2 if left > 0 else 2 * left, turns)
    assert RUNGS.index(less) >= RUNGS.index(more)


# -- the ladder --------------------------------------------------------------------------------


@dataclass
class Bench:
    """An engine that has some nets and does nothing."""

    has: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)
    kind: Kind = "cpu"

    def can(self, step: Step) -> bool:
        return step.method not in NETWORKS or (step.method, step.weights) in self.has

    def enhance(self, work: Work) -> Done:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def settled(
    text: str, engine: Bench, chooser: MethodChooser | None = None, left: float = 10.0
) -> str:
    asked = Pipeline.parse(text)
    chooser = chooser or learnt({LARGE: 0.5, SMALL: 0.15, TINY: 0.04})
    found = settle(asked, FRAME, 0.1, engine, chooser, left)
    assert asked.allows(found.pipeline)
    assert found.plan == found.pipeline.resolve(FRAME)
    return found.pipeline.text


def test_a_games_own_net_comes_before_any_general_one() -> None:
    engine = Bench({("ml-tiny", (OWN,)), ("ml-large", ()), ("ml-small", ()), ("ml-tiny", ())})
    (step,) = Pipeline.parse(f"upscale:2:ml@{OTHER}+{OWN}").resolve(FRAME).steps
    assert ladder(step, engine) == [
        Method("ml-tiny", (OWN,)),
        Method("ml-small"),
        Method("ml-tiny"),
        Method("base"),
    ]


def test_the_choice_is_made_among_what_is_here() -> None:
    engine = Bench({("ml-small", ()), ("ml-tiny", ())})
    assert settled("upscale:2:ml,sharpen:0.5", engine) == "upscale:2:ml-small,sharpen:0.5"
    assert settled("upscale:2:ml", engine, left=0.01) == "upscale:2:ml-tiny"
    assert settled("upscale:2:ml", engine, left=0.0) == "upscale:2:base"
    assert settled("upscale:2:ml", Bench()) == "upscale:2:base"


def test_two_doublings_are_done_alike() -> None:
    engine = Bench({("ml-tiny", ())})
    assert settled("upscale:2:ml,upscale:2:ml", engine) == "upscale:2:ml-tiny,upscale:2:ml-tiny"


def test_a_named_net_waits_for_nothing() -> None:
    asked = f"upscale:2:ml-tiny@{OWN}"
    assert settled(asked, Bench({("ml-tiny", ())})) == "upscale:2:ml-tiny"
    assert settled(asked, Bench({("ml-tiny", (OWN,))})) == asked


@pytest.mark.parametrize("text", ["upscale:2:ml-large", "upscale:2", "sharpen:0.5", "pass"])
def test_what_leaves_no_choice_stays(text: str) -> None:
    assert settled(text, Bench()) == Pipeline.parse(text).text


# -- what a session lets pass ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "ran", "is_allowed"),
    [
        ("upscale:2:ml", "upscale:2:ml-large", True),
        ("upscale:2:ml", "upscale:2:base", True),
        ("upscale:2:ml", "upscale:2:bilinear", False),
        ("upscale:2:ml", "upscale:1:base", False),
        ("upscale:2:ml", f"upscale:2:ml-tiny@{OWN}", False),
        ("upscale:2:ml", "pass", False),
        ("upscale:2:ml", "upscale:2:ml-tiny,pass", False),
        ("upscale:2:ml,sharpen:1", "upscale:2:ml-tiny,sharpen:1", True),
        ("upscale:2:ml,sharpen:1", "upscale:2:ml-tiny,sharpen:0", False),
        (f"upscale:2:ml@{OWN}+{OTHER}", f"upscale:2:ml-tiny@{OTHER}", True),
        (f"upscale:2:ml@{OWN}", f"upscale:2:ml-tiny@{OTHER}", False),
        (f"upscale:2:ml-tiny@{OWN}", "upscale:2:ml-tiny", True),
        (f"upscale:2:ml-tiny@{OWN}", "upscale:2:ml-small", False),
        (f"upscale:2:ml-tiny@{OWN}", "upscale:2:base", False),
        ("upscale:2:ml-small", "upscale:2:ml-tiny", False),
        ("upscale:2", "upscale:2:base", True),
        ("upscale:2", "upscale:2:nearest", False),
    ],
)
def test_what_a_peer_may_have_run(asked: str, ran: str, is_allowed: bool) -> None:
    assert Pipeline.parse(asked).allows(Pipeline.parse(ran)) is is_allowed
