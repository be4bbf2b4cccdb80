"""Recipes, and plans of frames, for tests that need just any."""

from __future__ import annotations

from p2c2g.media.operations import Pipeline
from p2c2g.media.recipe import Recipe
from p2c2g.media.residual import USUAL_FORM
from p2c2g.session.frames import FramePlan, Way

USUAL = Recipe("jpeg", 80, USUAL_FORM, Pipeline.parse("upscale:2"))


def all_sent(count: int = 1) -> FramePlan:
    """Return the plan of a frame of which each chunk is sent."""
    return FramePlan(USUAL, (Way.SENT,) * count)
