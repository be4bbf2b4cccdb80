"""In which codecs residuals are written: where there is time, steadily, and where that helps."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.peers.candidate import Candidate
from p2c2g.session.able_codecs import LOOK_EVERY, REST, AbleCodecs
from p2c2g.session.config import SessionConfig
from p2c2g.session.frames import FramePlan
from p2c2g.session.levels import Levels
from p2c2g.session.recipes import ALWAYS, RESIDUALS, Rungs, nearest, rung
from p2c2g.session.steady import Steady
from p2c2g.simulator.distributions import Machines
from p2c2g.simulator.scenario import Scenario
from p2c2g.simulator.world import World

CONFIG = SessionConfig(Size(640, 360), Pipeline.parse("upscale:2"), Grid(2, 1), fps=30.0)
FAST = {"webp": 200.0}
BOTH = ALWAYS | {"webp"}


def peers(webp: float, count: int = 2) -> list[Candidate]:
    return [Candidate(f"p{index}", slots=2, codecs={"webp": webp}) for index in range(count)]


def test_a_codec_is_used_where_both_ends_have_the_time() -> None:
    for reads, writes, found in (
        (FAST, 200.0, BOTH), ({}, 200.0, ALWAYS), ({"webp": 20.0}, 200.0, ALWAYS),
        (FAST, 10.0, ALWAYS),
    ):  # fmt: skip
        able = AbleCodecs(CONFIG, reads)
        assert able.look(30.0, peers(writes), 0.0, busy=0.5) == found
    assert AbleCodecs(CONFIG, FAST).look(30.0, [], 0.0, busy=0.5) == ALWAYS, "no peers"


def test_what_is_in_use_stays_while_there_is_nearly_the_time() -> None:
    able = AbleCodecs(CONFIG, FAST)
    asked = [30.0, 60.0, 80.0, 60.0, 30.0]
    found = [
        able.look(fps, peers(1e3), index * LOOK_EVERY, busy=0.5) == BOTH
        for index, fps in enumerate(asked)
    ]
    # 66 megapixels a second are the most of this machine, and 88 too many.
    assert found == [True, True, True, True, True]
    assert able.look(120.0, peers(1e3), 10.0, busy=0.5) == ALWAYS
    assert able.look(80.0, peers(1e3), 11.0, busy=0.5) == ALWAYS, "it is not begun with"
    assert able.look(60.0, peers(1e3), 12.0, busy=0.5) == BOTH


def test_where_the_peers_time_is_short_it_is_left_alone_for_a_while() -> None:
    able = AbleCodecs(CONFIG, FAST)
    assert able.look(30.0, peers(200.0), 0.0, busy=0.5) == BOTH
    assert able.look(30.0, peers(200.0), 0.1, busy=0.95) == ALWAYS
    assert able.look(30.0, peers(200.0), REST, busy=0.5) == ALWAYS
    assert able.look(30.0, peers(200.0), REST + 0.2, busy=0.5) == BOTH
    cold = AbleCodecs(CONFIG, FAST)
    assert cold.look(30.0, peers(200.0), 0.0, busy=1.0) == ALWAYS
    assert cold.look(30.0, peers(200.0), 1.0, busy=0.5) == BOTH, "peers are busy when they are cold"


codecs = st.sampled_from([ALWAYS, BOTH])
usual = st.integers(20, 95)


@given(codecs, codecs, usual, st.booleans(), st.integers(0, 20))
def test_on_another_ladder_no_more_bytes_are_asked_for(
    one: frozenset[str], other: frozenset[str], quality: int, in_colour: bool, at: int
) -> None:
    rungs = Rungs(RESIDUALS, rung(RESIDUALS, "jpeg", quality, in_colour=in_colour), prior=1e3)
    before, after = rungs.ladder(one), rungs.ladder(other)
    at %= len(before)
    found = nearest(after, before[at])
    assert after[found].size <= before[at].size or found == len(after) - 1
    assert found == 0 or after[found - 1].size > before[at].size


def test_levels_keep_their_place_on_another_ladder() -> None:
    steady = Steady(4)
    steady.levels = Levels(3, residual=2)
    steady.renumber([0, 1, 1])
    assert steady.levels == Levels(3, residual=1)


# -- whole sessions

#: Two peers with time to spare, and a line back that falls to a sixth of the usual.
NARROW: dict[str, Any] = {
    "peers": 2, "chunks": 8, "fps": 30.0, "seconds": 9.0, "gamer_rtt": 0.01,
    "sent": 30 * 1024, "returned": 24 * 1024, "gamer_line": ((0.0, 40e6, 40e6), (3.0, 40e6, 1.2e6)),
    "reads_webp": 200.0,
    "machines": Machines(rtt=0.02, seconds_per_megapixel=0.01, slots=4, bandwidth=1e9, webp=150.0),
}  # fmt: skip


def written(**asked: Any) -> Counter[str]:
    """Return how many frames of a session had residuals asked for so."""
    world, found = World(Scenario(**asked)), Counter[str]()
    [gamer] = world.gamers
    note = gamer.figures.frame_planned

    def planned(number: int, plan: FramePlan) -> None:
        note(number, plan)
        found[f"{plan.recipe.form.codec} {plan.recipe.form.quality}"] += 1

    gamer.figures.frame_planned = planned  # type: ignore[method-assign]
    world.play()
    found["webp"] = sum(count for how, count in found.items() if how.startswith("webp"))
    found["all"] = round(asked["fps"] * asked["seconds"])
    return found


def test_a_narrow_line_gets_webp_where_there_is_the_time_and_a_wide_one_does_not() -> None:
    found = written(**NARROW)
    assert found["webp"] >= 0.2 * found["all"]
    slow = replace(NARROW["machines"], webp=10.0)
    found = written(**NARROW | {"machines": slow})
    assert not found["webp"], "peers that are slow at it"
    assert found["jpeg 75"] < 0.8 * found["all"]
    assert not written(**NARROW | {"reads_webp": 10.0})["webp"], "this machine is slow at it"
    found = written(**NARROW | {"gamer_line": ((0.0, 40e6, 40e6),)})
    assert found["jpeg 75"] >= 0.9 * found["all"]


def test_peers_without_time_for_anything_are_not_asked_for_it() -> None:
    busy = Machines(rtt=0.02, seconds_per_megapixel=0.2, slots=1, bandwidth=1e9, webp=400.0)
    found = written(**NARROW | {"machines": busy})
    assert found["webp"] <= 0.1 * found["all"]
