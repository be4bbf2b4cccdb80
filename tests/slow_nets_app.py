"""The pool's application on a peer whose nets are far too slow for any deadline."""

from __future__ import annotations

from time import sleep

from p2c2g.celery import create_app
from p2c2g.media.frame import Pixels
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Step
from p2c2g.settings import load
from p2c2g_workers.probe import cache
from p2c2g_workers.processors import processor, register

app = create_app(load())


def _slow(pixels: Pixels, step: Step) -> Pixels:
    sleep(0.5)
    return _net(pixels, step)


_net = processor(Step("upscale", "ml-tiny", 2, 2, 0.0, 7))  # type: ignore[arg-type]
register("upscale", *NETWORKS)(_slow)
# How slow it is must not be remembered for the other workers of this machine.
cache.save = lambda *_: None
