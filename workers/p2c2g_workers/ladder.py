"""Turns a pipeline that leaves the net to the peer into one that names each method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from p2c2g.media.frame import Size
from p2c2g.media.methods import ANY_NETWORK, DEFAULT_METHOD, NETWORKS
from p2c2g.media.operations import Pipeline, Plan, Step
from p2c2g_workers import nets
from p2c2g_workers.engine import Engine
from p2c2g_workers.method_chooser import MethodChooser, Rung
from p2c2g_workers.netfile import products

#: Products for each input pixel.  The base layer's say nothing about a net's time.
PRODUCTS = {**{net: products(net) for net in NETWORKS}, DEFAULT_METHOD: 0.0}
#: The general nets that are worth their time, best first.  Not ml-large: it equals ml-small, for
#: three times the work.  It can be asked for by name; a game's own net comes first.
WORTH = ("ml-small", "ml-tiny")


@dataclass(frozen=True, slots=True)
class Method:
    """A method and, for a net, the gamer's own weights that it runs with, if any."""

    name: str
    weights: tuple[str, ...] = ()

    @property
    def rung(self) -> Rung:
        """Return its rung, by which times are compared."""
        return Rung("@".join([self.name, *self.weights]), PRODUCTS[self.name])


@dataclass(frozen=True, slots=True)
class Settled:
    """The pipeline that a chunk gets, and the rung that was chosen, if any step was open."""

    pipeline: Pipeline
    plan: Plan
    rung: Rung | None


def ladder(step: Step, engine: Engine) -> list[Method]:
    """Return the methods that an open step may take here, best first; the last is the base layer.

    A game's own net comes before any general one: it is better, whatever its size.
    """
    learnt = [Method(size, (own,)) for size in reversed(NETWORKS) for own in step.weights]
    learnt += map(Method, WORTH)
    return [*(net for net in learnt if _can(engine, step, net)), Method(DEFAULT_METHOD)]


def settle(
    asked: Pipeline,
    frame: Size,
    megapixels: float,
    engine: Engine,
    chooser: MethodChooser,
    left: float,
    turns: int = 1,
    fits: Callable[[Plan], bool] = lambda _plan: True,
) -> Settled:
    """Choose what was left to the peer; one choice for all open steps of a pipeline.

    Args:
        asked: the pipeline of the message.
        frame: the whole frame's size.
        megapixels: of the part that came.
        engine: does the work.
        chooser: knows what methods take here.
        left: seconds that are left for the result.
        turns: how often such work has to fit into that.
        fits: tells whether this peer would carry a plan out at all.
    """
    plan = asked.resolve(frame)
    pipeline, chosen = asked, None
    for index, step in enumerate(plan.steps):
        nets.want(step.weights)
        if step.method == ANY_NETWORK:
            if chosen is None:
                *above, foot = ladder(step, engine)
                methods = [each for each in above if fits(_with(pipeline, index, each, frame))]
                methods.append(foot)
                rung = chooser.choose([each.rung for each in methods], megapixels, left, turns)
                chosen = next(each for each in methods if each.rung == rung)
            pipeline = pipeline.with_method(index, chosen.name, chosen.weights)
        elif step.weights and step.method is not None:
            here = tuple(
                own for own in step.weights if _can(engine, step, Method(step.method, (own,)))
            )
            # While they are on their way, the pool's net of that size does it.
            pipeline = pipeline.with_method(index, step.method, here[:1])
    if pipeline == asked:
        return Settled(asked, plan, None)
    return Settled(pipeline, pipeline.resolve(frame), chosen.rung if chosen else None)


def _with(pipeline: Pipeline, index: int, method: Method, frame: Size) -> Plan:
    return pipeline.with_method(index, method.name, method.weights).resolve(frame)


def _can(engine: Engine, step: Step, method: Method) -> bool:
    return engine.can(replace(step, method=method.name, weights=method.weights))
