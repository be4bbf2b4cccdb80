"""PyTorch's operations as processors, in the registry's form: one step, pixels to pixels.

An engine does not go this way, since a picture would go down and up again between two steps.  It
is how a card is held to what every processor owes, by the same tests as the others.
"""

from __future__ import annotations

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Plan, Step
from p2c2g_workers import nets
from p2c2g_workers.gpu import ops
from p2c2g_workers.gpu.chain import Chain
from p2c2g_workers.gpu.device import Part, as_host, open_device
from p2c2g_workers.gpu.network import TorchNet
from p2c2g_workers.processors.registry import Registry


def registry(device: str = "cpu") -> Registry:
    """Return the processors of a device of PyTorch: ``cuda:0``, ``mps`` or ``cpu``.

    Raises:
        UsageError: PyTorch knows no such device.
        UnavailableError: it is not here.
    """
    carrier = open_device(device)
    made = Registry()

    def work(pixels: Pixels, step: Step) -> Pixels:
        size = Size.of(pixels)
        plan = Plan((step,), size, step.output(size), step.scale_x, step.scale_y, (0, 0), (1, 1))
        given = carrier.host(size, 3)
        as_host(given)[:] = pixels
        with carrier.stage("steps"):
            own = [nets.find(step)] if step.method in NETWORKS else []
            chain = Chain(plan, carrier.device, [TorchNet(one, carrier.device) for one in own])
            (found,) = carrier.down(list(chain(carrier.together([Part(given)]))))
        found.wait()
        return as_host(found.pixels)

    def by_net(pixels: Pixels, step: Step) -> Pixels:
        return work(pixels, step)

    by_net.check = nets.find  # type: ignore[attr-defined]

    for processor in ops.FUNCTIONS.known():
        name, *method = processor.split(":")
        made.register(name, *method)(work)
    if not nets.MISSING:
        made.register("upscale", *NETWORKS)(by_net)
    return made
