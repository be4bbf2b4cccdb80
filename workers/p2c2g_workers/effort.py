"""What a chunk would take here, in seconds and bytes: known before any work begins.

A stranger may ask for a net over 4096x4096 pixels, or for fifty operations in a row: 104 s and 2 GB
on one machine.  So a chunk's effort is estimated from its pixels, its steps and what this machine
was measured to do, and one that is far beyond its budget, or beyond this peer's memory, is refused
while that costs nothing.  The bounds are wide: no session comes near them with work that could be
of use to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic

from p2c2g.errors import ProcessorError
from p2c2g.media.frame import Size
from p2c2g.media.methods import ANY_NETWORK, NETWORKS
from p2c2g.media.operations import Plan
from p2c2g.media.residual import Form
from p2c2g.peers.messages import Capabilities, Gpu
from p2c2g.settings import WorkerSettings, load
from p2c2g_workers.engine import Engine, Kind
from p2c2g_workers.netfile import SHAPES, products

#: A chunk may take so many times its budget, and in any case as many seconds as ``LEAST``, since a
#: busy machine is slower than it was measured; and never more than ``MOST``.
TIMES, LEAST, MOST = 4.0, 2.0, 10.0
#: The share of the machine's memory that one chunk may take, and bytes that it always may.
SHARE, ROOM = 1 / 16, 256 << 20
#: The share of a graphics card's memory that one chunk may take.
CARD_SHARE = 1 / 4
#: A machine may be so many times slower than is assumed where nothing was measured.
SLOWER = 8
#: Assumed where nothing was measured: megapixels a second of an operation, products of a net.
ASSUMED, ASSUMED_PRODUCTS = 40.0, 20e9
#: The same of decoding and encoding, and how often base and difference take as long as JPEG does.
ASSUMED_CODEC, _AROUND = 133.0, 3
#: Colours take so many times what luma takes, which is what was measured.
_COLOURS = 4
#: Bytes of the largest picture's pixels, of luma and of colours; of one that a card works on.
_BYTES, _BYTES_COLOURS, _BYTES_CARD = 12, 40, 80
#: Bytes of each pixel that goes into a net, beside one a channel; floats on a card.
_NET, _CARD_CHANNELS = 64, 3
_CARDS = ("cuda", "metal")
#: Seconds for which what was measured is not looked up again.
_FRESH = 30.0


#: Of an engine of which nothing was measured.
UNKNOWN = Capabilities()


@dataclass(frozen=True, slots=True)
class Effort:
    """Seconds of one slot, and bytes: of the machine's memory, and of a card that does the work."""

    seconds: float
    memory: int
    card: int


def effort(plan: Plan, size: Size, form: Form, here: Capabilities = UNKNOWN) -> Effort:
    """Return what a chunk takes, rather too much than too little.

    Args:
        plan: its steps; one that leaves its net open counts as nothing.
        size: of its picture.
        form: of its residual.
        here: what was measured of the engine, if anything.
    """
    before, largest, luma, nets, memory, card = size, _pixels(size), 0.0, 0.0, 0, 0
    for step in plan.steps:
        after = step.output(before)
        pixels = max(_pixels(before), _pixels(after))
        largest = max(largest, pixels)
        if step.method in NETWORKS:
            # Of luma alone in any case, and run once.
            width, _depth = SHAPES[step.method]
            nets += _net_seconds(step.method, step.processor, _pixels(before), here)
            memory = max(memory, _pixels(before) * (_NET + width))
            card = max(card, _pixels(before) * _CARD_CHANNELS * width)
        elif step.method != ANY_NETWORK:
            luma += pixels / 1e6 / here.speeds.get(step.processor, ASSUMED)
        before = after
    coded = here.codecs.get(form.codec, ASSUMED_CODEC)
    luma += largest / 1e6 * (1 / coded + _AROUND / here.codecs.get("jpeg", ASSUMED_CODEC))
    seconds = nets + luma * (_COLOURS if form.in_colour else 1)
    memory += largest * (_BYTES_COLOURS if form.in_colour else _BYTES)
    return Effort(seconds, memory, card + largest * _BYTES_CARD)


def _net_seconds(method: str, processor: str, pixels: int, here: Capabilities) -> float:
    speed = here.speeds.get(processor)
    if speed is None:
        return pixels * products(method) / ASSUMED_PRODUCTS
    return pixels * NETWORKS[method].factor ** 2 / 1e6 / speed


def _pixels(size: Size) -> int:
    return size.width * size.height


class Allowance:
    """What this peer gives for one chunk.

    Args:
        engine: does the work.
        size: of the chunk's picture.
        form: of its residual.
        budget: seconds for which its result is of use, as its message says.
        known: returns what was measured of an engine; asked only about chunks that are no trifle.
    """

    def __init__(
        self,
        engine: Engine,
        size: Size,
        form: Form,
        budget: float,
        known: Callable[[Engine], Capabilities] | None = None,
    ) -> None:
        self._engine, self._size, self._form = engine, size, form
        self._seconds = min(MOST, max(LEAST, TIMES * budget))
        self._known = known or measured

    def fits(self, plan: Plan) -> bool:
        """Tell whether a plan may be carried out on the chunk."""
        return self._refusal(plan) is None

    def check(self, plan: Plan) -> None:
        """Refuse a plan that may not.

        Raises:
            ProcessorError: this peer does not have the time or the memory; another may.
        """
        refusal = self._refusal(plan)
        if refusal is not None:
            raise ProcessorError(refusal)

    def _refusal(self, plan: Plan) -> str | None:
        due = effort(plan, self._size, self._form)
        on_card = self._engine.kind in _CARDS
        if due.seconds <= LEAST / SLOWER and max(due.memory, due.card * on_card) <= ROOM:
            return None
        here = self._known(self._engine)
        due = effort(plan, self._size, self._form, here)
        room = max(ROOM, int(here.memory * SHARE))
        if due.seconds > self._seconds:
            wrong = f"{due.seconds:.1f} s here, where this peer gives {self._seconds:.1f} s"
        elif due.memory > room:
            wrong = f"{due.memory >> 20} MiB here, where this peer gives {room >> 20} MiB"
        elif on_card and due.card > (card := _card_room(here, self._engine)):
            wrong = f"{due.card >> 20} MiB of a card, where this peer gives {card >> 20} MiB"
        else:
            return None
        return f"it would take about {wrong} for one chunk: send smaller chunks, or ask for less."


def _card_room(here: Capabilities, engine: Engine) -> int:
    """Return the bytes that a chunk may take of each card of an engine's kind."""
    cards = [gpu.memory for gpu in here.gpus if gpu.kind == engine.kind and gpu.memory]
    return max(ROOM, int(min(cards, default=0) * CARD_SHARE))


def measured(engine: Engine) -> Capabilities:
    """Return what was measured of an engine, looked up once in a while."""
    return _look(engine.kind, int(monotonic() / _FRESH))


@lru_cache(maxsize=4)  # a card's and its spare's
def _look(kind: Kind, _turn: int) -> Capabilities:
    from p2c2g_workers import probe  # imports engines, which ask this module
    from p2c2g_workers.probe import cache

    found = cache.latest(kind)
    # Cards only where one is in use already: a forked process must not wake a driver.
    gpus = _gpus() if kind in _CARDS else ()
    here = Capabilities(memory=probe.memory(), gpus=gpus, speeds=found.speeds, codecs=found.codecs)
    return limited(here, load().worker)


@lru_cache(maxsize=1)
def _gpus() -> tuple[Gpu, ...]:
    from p2c2g_workers import probe  # as above

    return probe.gpus()


def limited(here: Capabilities, worker: WorkerSettings) -> Capabilities:
    """Return what was measured, the cards with no more memory than this process may take."""
    if worker.gpu_memory_mb is None:
        return here
    most = worker.gpu_memory_mb << 20
    cards = [gpu.model_copy(update={"memory": min(gpu.memory or most, most)}) for gpu in here.gpus]
    return here.model_copy(update={"gpus": tuple(cards)})
