"""What those who watch are told where the gamer allows too little of the line."""

from __future__ import annotations

import pytest

from p2c2g.lines.line import Lines
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.session.admission import Admission
from p2c2g.session.config import SessionConfig
from p2c2g.session.frame_plan import Plans
from p2c2g.session.levels import Resource
from p2c2g.session.line_facts import LineFacts, line_facts
from p2c2g.session.steering import Steering

NONE = float("inf")


@pytest.mark.parametrize(
    ("limits", "limited"),
    [
        ((NONE, NONE), set()),
        ((1e6, NONE), {Resource.UP}),
        ((1e6, 2e6), {Resource.UP, Resource.DOWN}),
    ],
)
def test_a_limit_is_known_from_a_narrow_line(
    limits: tuple[float, float], limited: set[Resource]
) -> None:
    facts = line_facts(Lines(), ("ada",), limits)
    assert (facts.up, facts.down) == limits
    assert facts.limited == limited


@pytest.mark.parametrize(
    ("limited", "said"),
    [
        (frozenset({Resource.UP}), "You allow too little of your line for all of it: "),
        (frozenset({Resource.DOWN}), "The line to the pool is "),
        (frozenset(), "The line to the pool is "),
    ],
)
def test_who_has_set_a_limit_is_not_told_of_a_narrow_line(
    limited: frozenset[Resource], said: str
) -> None:
    config = SessionConfig(Size(640, 360), Pipeline.parse("upscale:2"), Grid(3, 3))
    plans: Plans[None, None] = Plans(config.recipe, 9, config.deadline)
    steering = Steering(
        config,
        plans,
        Admission(config.fps, config.deadline),
        lambda: LineFacts(2e4, limited=limited),
    )
    for tick in range(30):
        steering.look(1, tick / 10)
    assert plans.setting.sentence.startswith(said)
