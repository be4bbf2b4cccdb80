"""Plans of frames: what is sent, what is left out, and by which recipe."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.routing.router import Facts
from p2c2g.session.actions import Result, Send, Verify
from p2c2g.session.config import SessionConfig
from p2c2g.session.core import Core
from p2c2g.session.frame_plan import Setting
from p2c2g.session.frames import Shown, Way

COUNT = 4
CONFIG = SessionConfig(
    Size(64, 64), Pipeline.parse("upscale:2:ml-small"), Grid(2, 2), deadline=0.1, steady=False
)
LESSER = replace(CONFIG.recipe, form=replace(CONFIG.form, quality=40), quality=50, rank=2)


class Stage:
    """A core with a peer, and frames that are planned and submitted."""

    def __init__(self, config: SessionConfig = CONFIG) -> None:
        self.core: Core[str, str] = Core("s", config, Random(3))
        self.core.registry_said([Facts("ada", ready=True)], frozenset(), 0.0)

    def set(self, chunks: Collection[int], **changes: Any) -> None:
        usual: dict[str, Any] = {"recipe": CONFIG.recipe, "chunks": frozenset(chunks)}
        self.core.tables.plans.setting = Setting(**(usual | changes))

    def submit(self, number: int, now: float) -> list[Send[str]]:
        plan = self.core.plan(number, (), now)
        payloads = dict.fromkeys(plan.sent, b"sent")
        return self.core.submit(number, "pixels", payloads, plan, now, now, now, connected=True)

    def answer(self, number: int, index: int, now: float, ran: str = "") -> list[Any]:
        result = Result(
            (number, index), (number, index), 1, "ada", ran, b"told", 4, now, now, 0.0, 0.0
        )
        actions = self.core.arrived(result, now)
        for action in actions:
            if isinstance(action, Verify):
                self.core.verified(action, "residual", now)
        return actions

    def shown(self, now: float) -> Shown[str, str]:
        shown = self.core.release(now)
        assert shown is not None
        return shown


def test_as_usual_all_chunks_are_sent_by_the_usual_recipe() -> None:
    plan = Stage().core.plan(0, (), 0.0)
    assert plan.recipe == CONFIG.recipe
    assert plan.ways == (Way.SENT,) * COUNT
    assert plan.sent == plan.awaited == (0, 1, 2, 3)
    assert plan.known == {}


def test_a_frame_does_not_wait_for_what_was_left_out_and_is_degraded() -> None:
    stage = Stage(replace(CONFIG, paced=False))
    stage.set({1, 2})
    [send] = stage.submit(0, 0.0)
    assert [request.chunk for request in send.requests] == [1, 2]
    stage.answer(0, 1, 0.010)
    assert stage.core.release(0.010) is None
    stage.answer(0, 2, 0.020)
    shown = stage.shown(0.020)
    assert sorted(shown.parts) == [1, 2]
    assert not shown.complete
    assert shown.stages is not None, "all that was planned came"
    assert stage.core.tables.steering.lateness.share(0.020) == 0.0


def test_a_frame_of_which_nothing_is_sent_is_shown_when_it_is_due() -> None:
    stage = Stage()
    stage.set(())
    assert stage.submit(0, 1.0) == []
    due = 1.0 + stage.core.delay
    assert stage.core.next_release() == due
    shown = stage.shown(due)
    assert (dict(shown.parts), shown.complete, shown.stages) == ({}, False, None)


def test_of_every_second_frame_chunks_are_sent() -> None:
    stage = Stage()
    stage.set(range(COUNT), every=2)
    sent = [bool(stage.submit(number, number / 30)) for number in range(6)]
    assert sent == [False, True] * 3


def test_each_frame_goes_by_the_recipe_of_its_time() -> None:
    stage = Stage()
    [first] = stage.submit(0, 0.0)
    stage.set(range(COUNT), recipe=LESSER)
    [second] = stage.submit(1, 0.01)
    assert (first.frame.plan.recipe, second.frame.plan.recipe) == (CONFIG.recipe, LESSER)
    verify = [stage.answer(number, 0, 0.02)[0].recipe for number in (0, 1)]
    assert verify == [CONFIG.recipe, LESSER]
    shown = stage.shown(CONFIG.deadline)
    assert shown.parts[0].recipe == CONFIG.recipe
    shown = stage.shown(CONFIG.deadline + 0.01)
    assert shown.parts[0].recipe == LESSER


def test_a_result_has_to_be_what_its_own_frame_asked_for() -> None:
    stage = Stage()
    tiny = Pipeline.parse("upscale:2:ml")
    stage.submit(0, 0.0)
    stage.set(range(COUNT), recipe=replace(CONFIG.recipe, operations=tiny))
    stage.submit(1, 0.01)
    [again] = stage.answer(0, 0, 0.02, ran="upscale:2:ml-tiny")
    assert isinstance(again, Send), "it is run once more"
    [verify] = stage.answer(1, 0, 0.02, ran="upscale:2:ml-tiny")
    assert isinstance(verify, Verify)
    assert stage.core.tables.attempts.failed == 1
    # When its frame is over it is still known what that had asked for.
    while stage.core.release(1.0):
        pass
    stage.answer(0, 1, 1.0, ran="upscale:2:ml-tiny")
    assert stage.core.tables.attempts.accepted.total() == 1


def test_who_watches_must_be_able_to_make_pictures_of_every_recipe() -> None:
    stage = Stage()
    for form in (replace(CONFIG.form, gain=2), replace(CONFIG.form, in_colour=True)):
        with pytest.raises(UsageError, match="do not fit a session"):
            stage.set(range(COUNT), recipe=replace(CONFIG.recipe, form=form))
    assert stage.core.tables.plans.setting.recipe == CONFIG.recipe


def test_of_a_recipe_its_rank_is_no_part() -> None:
    assert replace(LESSER, rank=0) == LESSER
    assert str(LESSER) == "jpeg 50 upscale:2:ml-small jpeg 40 x1"
