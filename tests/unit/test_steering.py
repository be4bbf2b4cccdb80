"""The steering of a session: which recipe, which chunks, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from p2c2g.lines.line import Lines
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.session.admission import Admission
from p2c2g.session.asked_methods import methods, work_of
from p2c2g.session.config import SessionConfig
from p2c2g.session.frame_plan import Plans
from p2c2g.session.lateness import Lateness
from p2c2g.session.levels import Levels, Resource
from p2c2g.session.line_facts import LineFacts, line_facts
from p2c2g.session.shortage import WORDS, word_of
from p2c2g.session.steering import Steering

CONFIG = SessionConfig(
    Size(320, 180), Pipeline.parse("upscale:2:ml,sharpen:0.5"), Grid(3, 3), fps=30.0
)


class Desk:
    """A steering whose lines are as the test says."""

    def __init__(self, config: SessionConfig = CONFIG) -> None:
        self.lines = LineFacts()
        self.plans: Plans[Any, Any] = Plans(config.recipe, len(config.megapixels), config.deadline)
        self.admission = Admission(config.fps, config.deadline)
        self.steering = Steering(config, self.plans, self.admission, lambda: self.lines)

    def look(self, *moments: float) -> None:
        for now in moments:
            self.steering.look(1, now)


def test_as_long_as_there_is_enough_nothing_changes() -> None:
    desk = Desk()
    usual = desk.plans.setting
    desk.look(*(now / 10 for now in range(100)))
    setting = desk.plans.setting
    assert (setting.recipe, setting.chunks) == (usual.recipe, usual.chunks)
    assert (setting.state, setting.sentence) == ("all", "")
    assert desk.steering.changes == 0


def test_a_narrow_line_takes_quality_first_and_then_the_edges() -> None:
    desk = Desk()
    desk.lines = LineFacts(down=20_000.0)
    desk.look(0.0)
    setting = desk.plans.setting
    assert setting.recipe.form.quality < CONFIG.form.quality
    assert setting.recipe.form.gain == CONFIG.form.gain
    assert setting.recipe.quality == CONFIG.quality, "the way up is free"
    desk.lines = LineFacts(down=4_000.0)
    desk.look(1.0, 2.5)
    setting = desk.plans.setting
    assert 4 in setting.chunks, "the middle of nine"
    assert len(setting.chunks) < 9
    assert setting.state == "part"
    assert setting.sentence.startswith("The line from the pool is too narrow")


def test_it_is_said_only_where_it_lasts() -> None:
    desk = Desk()
    desk.lines = LineFacts(down=4_000.0)
    desk.look(0.0, 0.5)
    assert desk.plans.setting.sentence == ""
    desk.look(1.1)
    assert desk.plans.setting.sentence


@pytest.mark.parametrize(
    ("levels", "word"),
    [
        (Levels(9), "all"),
        (Levels(9, method=1), "plainer"),
        (Levels(9, method=1, residual=2), "coarser"),
        (Levels(5, source=1), "part"),
        (Levels(1, every=2), "seldom"),
    ],
)
def test_the_word_is_the_last_thing_that_was_given_up(levels: Levels, word: str) -> None:
    assert word_of(levels, 9) == word
    assert word in WORDS


def test_of_an_open_pipeline_cheaper_methods_may_be_asked_for_and_a_named_net_stays() -> None:
    found = methods(CONFIG.operations)
    assert [pipeline.text for pipeline, _ in found] == [
        "upscale:2:ml,sharpen:0.5", "upscale:2:ml-tiny,sharpen:0.5", "upscale:2:base,sharpen:0.5"
    ]  # fmt: skip
    works = [work for _, work in found]
    assert works[1] > works[2]
    assert [each.text for each, _ in methods(Pipeline.parse("upscale:2:ml"))] == [
        "upscale:2:ml", "upscale:2:ml-tiny"
    ]  # fmt: skip
    named = Pipeline.parse("upscale:2:ml-large")
    assert methods(named) == [(named, work_of(named))]


def test_a_method_that_peers_take_by_themselves_relieves_nothing() -> None:
    desk = Desk(replace(CONFIG, operations=Pipeline.parse("upscale:2:ml")))
    for index in range(40):
        desk.steering.chunk_accepted((index, 0), "p", 0.01, "upscale:2:ml-tiny")
    first, second = desk.steering._works()
    assert first == pytest.approx(second)


def test_nothing_is_known_of_lines_that_carried_nothing() -> None:
    assert line_facts(Lines(), ["one"], (float("inf"), float("inf"))) == LineFacts()


def test_what_was_short_has_a_sentence_for_each() -> None:
    for resource in Resource:
        desk = Desk()
        desk.steering.steady.levels = Levels(3)
        desk.steering.steady.short = resource
        desk.look(0.0, 0.2)
        desk.look(1.5)
        assert desk.plans.setting.sentence.endswith("the middle is enhanced")


# -- late again and again ----------------------------------------------------------------------


def test_frames_that_lack_something_once_are_no_habit() -> None:
    lateness = Lateness()
    for frame in range(90):
        lateness.shown(4, 4 if 40 <= frame < 50 else 0, frame / 30)
    assert lateness.share(3.0) == 0.0


def test_half_of_a_seconds_frames_are_a_habit_and_so_are_some_of_each_second() -> None:
    lateness = Lateness()
    for frame in range(30):
        lateness.shown(4, 2 if frame % 2 else 0, frame / 30)
    assert lateness.share(1.0) == pytest.approx(0.25, abs=0.02)
    lateness = Lateness()
    for frame in range(90):
        lateness.shown(4, 1 if frame % 5 == 0 else 0, frame / 30)
    assert lateness.share(3.0) == pytest.approx(0.05, abs=0.01)


def test_what_residuals_take_is_learnt_of_every_rung() -> None:
    desk = Desk()
    for number, rung in enumerate(desk.steering._residuals.ladder()):
        before = desk.steering._residuals.expects(rung)
        desk.plans.setting = replace(
            desk.plans.setting, recipe=replace(CONFIG.recipe, form=rung.form(CONFIG.form.gain))
        )
        desk.plans.plan(number, (), 0.0)
        for _ in range(50):
            desk.steering.result_arrived((number, 0), "p", round(3 * before))
        assert desk.steering._residuals.expects(rung) > 1.5 * before, rung
