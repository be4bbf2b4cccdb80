"""The rungs of quality: in which codec, at which quality, for how many bytes.

Pure.  There are two ladders: how a chunk is written on its way up to the peers (*sources*), and how
its residual is on its way down.  The first rung of each is the session's *usual* one, what it was
asked for; each further one takes fewer bytes, for some dB or for more time of those who encode and
decode.  Who decides when to step is the controller; here is what a step gives.

The tables were measured on games (``python -m benchmarks.codecs``; docs/performance.md).  A scene
takes more or fewer bytes than those did, so :class:`Rungs` is told what chunks really took, and
expects of the other rungs what follows from that.  For which codecs there is the time,
:func:`in_time` says (and :mod:`p2c2g.session.able_codecs` keeps that steady).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from p2c2g.media.codecs import CODECS
from p2c2g.media.residual import Form

#: Codecs that every peer and every session has time for.
ALWAYS = frozenset({"jpeg"})


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to write a chunk, or its residual.

    Args:
        codec: its name.
        quality: 1 to 100.
        size: bytes, in parts of what JPEG at its usual quality takes.
        loss: dB of the picture shown, below the same.
        in_colour: of a residual: three colours rather than luma.
    """

    codec: str
    quality: int
    size: float
    loss: float
    in_colour: bool = False

    def __str__(self) -> str:
        return f"{self.codec} {self.quality}{' in colour' if self.in_colour else ''}"

    def form(self, gain: int) -> Form:
        """Return how a residual is written; the gain is the session's, and never changes."""
        return Form(self.codec, self.quality, gain, self.in_colour)


#: Ways up: JPEG 80 takes 1 and costs nothing.  WebP and AVIF take more for the same dB.
SOURCES = (
    Rung("jpeg", 92, 2.06, -0.04),
    Rung("jpeg", 85, 1.27, -0.02),
    Rung("jpeg", 80, 1.00, 0.00),
    Rung("jpeg", 70, 0.69, 0.05),
    Rung("jpeg", 60, 0.51, 0.11),
    Rung("jpeg", 50, 0.40, 0.14),
    Rung("jpeg", 40, 0.32, 0.21),
    Rung("jpeg", 30, 0.24, 0.30),
)
#: Ways down: JPEG 75 takes 1 and costs nothing.
RESIDUALS = (
    Rung("jpeg", 85, 1.74, -0.02),
    Rung("jpeg", 75, 1.00, 0.00),
    Rung("jpeg", 60, 0.63, 0.04),
    Rung("webp", 60, 0.61, 0.03),
    Rung("jpeg", 50, 0.52, 0.07),
    Rung("webp", 40, 0.47, 0.05),
    Rung("jpeg", 40, 0.44, 0.11),
    Rung("jpeg", 30, 0.37, 0.17),
    Rung("webp", 20, 0.32, 0.12),
    Rung("jpeg", 20, 0.31, 0.24),
    Rung("webp", 10, 0.26, 0.18),
)
#: A residual in colour takes so many times the bytes of luma alone; without loss, anything takes
#: so many times the largest with.
COLOUR, LOSSLESS = 2.5, 5.0
#: Bytes a pixel where a rung's size is 1, while nothing has been seen.
SOURCE_BYTES, RESIDUAL_BYTES = 0.1, 0.013

#: Of the time in which a peer decodes and encodes with a codec, this part is encoding.
ENCODING = {"jpeg": 0.6, "webp": 0.8, "avif": 0.8, "png": 0.6, "raw": 0.7}
#: Most of one core that a codec may take here, and of the peers' slots there.
HERE, THERE = 0.33, 0.3
#: The part of the peers' slots that have to be fast enough for a codec.
MOST = 0.75

#: Weight of the newest chunk in what is expected, and of a step in what is learnt of a rung.
NEWEST, LEARNT = 0.05, 0.3
#: A rung may turn out to take so many times what the table says, or one in so many.
ODD = 2.0


def rung(table: Sequence[Rung], codec: str, quality: int, *, in_colour: bool = False) -> Rung:
    """Return a rung of any codec and quality: a table's, or what lies between its neighbours.

    One without loss is larger than all others, and as good as the best of them.
    """
    own = sorted((one for one in table if one.codec == codec), key=lambda one: one.quality)
    if CODECS[codec].lossless or not own:
        size, loss = max(one.size for one in table) * LOSSLESS, min(one.loss for one in table)
    else:
        size = max(_between([(one.quality, one.size) for one in own], quality), 0.01)
        loss = _between([(one.quality, one.loss) for one in own], quality)
    return Rung(codec, quality, size * (COLOUR if in_colour else 1), loss, in_colour)


def _between(points: Sequence[tuple[int, float]], at: int) -> float:
    """Return the value on a line through points; beyond them it goes on as between the last two."""
    if len(points) == 1:
        return points[0][1]
    pairs = list(pairwise(points))
    (low, first), (high, last) = next((pair for pair in pairs if at <= pair[1][0]), pairs[-1])
    return first + (last - first) * (at - low) / (high - low)


def nearest(ladder: Sequence[Rung], one: Rung) -> int:
    """Return where on a ladder a rung of another is: the best that takes no more; else the last."""
    fits = (index for index, each in enumerate(ladder) if each.size <= one.size)
    return next(fits, len(ladder) - 1)


class Rungs:
    """One ladder of a session: its usual rung and those below, and what they take here.

    Args:
        table: the rungs there are.
        usual: what the session was asked for (:func:`rung`).
        prior: bytes of a chunk where a rung's size is 1, while nothing has been seen.
    """

    def __init__(self, table: Sequence[Rung], usual: Rung, prior: float) -> None:
        self.usual = usual
        found = {str(one): one for one in table if one.size < usual.size}
        if usual.in_colour:
            # Luma alone at the same quality: what colours cost is little missed.
            luma = rung(table, usual.codec, usual.quality)
            found[str(luma)] = luma
        found[str(usual)] = usual
        self._all = tuple(sorted(found.values(), key=lambda one: (one.size, one.loss)))
        self._scale = prior
        self._odd = dict.fromkeys(found, 1.0)
        self._last: str | None = None

    def ladder(self, able: Collection[str] = ALWAYS) -> tuple[Rung, ...]:
        """Return the rungs of some codecs, best first; the usual one is always the first.

        Each takes fewer bytes than the one before it, and none of those that are left out would be
        as good for as few.
        """
        found: list[Rung] = []
        for one in self._all:  # fewest bytes first
            if one.codec in able and one != self.usual and (
                not found or one.loss < found[-1].loss
            ):  # fmt: skip
                found.append(one)
        return (self.usual, *reversed(found))

    def find(self, codec: str, quality: int, *, in_colour: bool = False) -> Rung | None:
        """Return the rung that writes so, of whatever ladder; None where there is none."""
        wanted = str(Rung(codec, quality, 0.0, 0.0, in_colour))
        return next((one for one in self._all if str(one) == wanted), None)

    def lower(self, than: Rung, able: Collection[str] = ALWAYS) -> Rung | None:
        """Return the next rung with fewer bytes; None where there is none."""
        return next((one for one in self.ladder(able) if one.size < than.size), None)

    def higher(self, than: Rung, able: Collection[str] = ALWAYS) -> Rung | None:
        """Return the next rung with more bytes; None where there is none."""
        found = [one for one in self.ladder(able) if one.size > than.size]
        return found[-1] if found else None

    def fits(self, most: float, able: Collection[str] = ALWAYS) -> Rung | None:
        """Return the best rung whose chunks are expected to have at most so many bytes.

        None where even the last takes more.
        """
        return next((one for one in self.ladder(able) if self.expects(one) <= most), None)

    def expects(self, one: Rung) -> float:
        """Return the bytes of a chunk that are to be expected of a rung.

        At least those of every rung below it: rather too many than too few.
        """
        below = (each.size * self._odd[str(each)] for each in self._all if each.size < one.size)
        return self._scale * max(one.size * self._odd[str(one)], *below, 0.0)

    def seen(self, one: Rung, chunks: int, size: int) -> None:
        """Note what chunks really took, ``size`` bytes together, at a rung."""
        name = str(one)
        if chunks < 1 or size < 1 or name not in self._odd:
            return
        found = size / chunks / (one.size * self._odd[name])
        if self._last is None:
            self._scale = found
        elif self._last != name:
            # Of a difference at a step, some is the rung's; the rest is the picture's.
            odd = self._odd[name] * (found / self._scale) ** LEARNT
            self._odd[name] = min(max(odd, 1 / ODD), ODD)
            found = size / chunks / (one.size * self._odd[name])
        self._last = name
        self._scale += (1 - (1 - NEWEST) ** chunks) * (found - self._scale)


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be encoded at one end and decoded at the other.

    Args:
        chunks: of them, a second.
        megapixels: of one: of sources with their halo, of residuals as they are shown.
        seconds: most that a peer may take for one.
    """

    chunks: float
    megapixels: float
    seconds: float


def in_time(
    load: Load,
    here: Mapping[str, float],
    peers: Iterable[tuple[int, Mapping[str, float]]],
) -> frozenset[str]:
    """Return the codecs for which this machine and most of the peers have the time.

    JPEG is always among them.

    Args:
        load: what there is to do.
        here: megapixels a second of this machine's part, by codec.
        peers: slots of each, and megapixels a second of its part (:func:`peer_part`).
    """
    told = [(slots, speeds) for slots, speeds in peers if slots > 0]
    slots = sum(count for count, _ in told)
    found = set(ALWAYS)
    for name, speed in here.items():
        if not slots or load.chunks * load.megapixels > HERE * speed:
            continue
        fast = [
            (count, load.megapixels / speeds[name])
            for count, speeds in told
            if speeds.get(name, 0) * load.seconds >= load.megapixels
        ]
        able = sum(count for count, _ in fast)
        if able < MOST * slots:
            continue
        taken = sum(count * seconds for count, seconds in fast) / able
        if load.chunks * taken <= THERE * slots:
            found.add(name)
    return frozenset(found)


def peer_part(codecs: Mapping[str, float], *, encoding: bool) -> dict[str, float]:
    """Return a peer's megapixels a second of encoding residuals, or of decoding sources.

    Args:
        codecs: of both together, as a peer tells it (``Capabilities.codecs``).
        encoding: which of them.
    """
    parts = {name: part if encoding else 1 - part for name, part in ENCODING.items()}
    return {name: speed / parts[name] for name, speed in codecs.items() if name in parts}
