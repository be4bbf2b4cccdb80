"""The newest residuals, carried along the motion to frames that are shown before their own come.

A frame is shown at once, with what was made for an earlier one (:mod:`p2c2g.media.motion`).  When
its own residuals come, those that were shown are held against them, chunk by chunk: how much of
what was carried is in what came, by least squares, is its *share*, and so much of it is shown from
then on.  It begins at 0 and is never above 1.  So, over the frames that were looked back on, what
is carried is never further from what came than nothing is; where little of it is right, a chunk is
left to the base.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from threading import Lock

import cv2
import numpy as np

from p2c2g.media.cells import cell_of
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.motion import carried, motion
from p2c2g.media.residual import Residual, luma

#: Share below which a chunk is left to the base.
_LEAST = 0.25
#: How much of what was learnt of a chunk is kept at each frame.
_KEPT = 0.9
#: Seconds after which nothing is carried any more.
_OLDEST = 0.5
#: Frames whose carried residuals wait for their own; the oldest goes first.
_WAITING = 16
#: Of so many frames for which nobody asked in time, one is looked back on nevertheless.
_SAMPLED = 8


class Carried:
    """What is added to a frame that is shown at once; made where somebody asks for it.

    Args:
        age: seconds from the capture of the frame whose residuals are carried to that of this one,
            of the oldest where chunks differ, or None where there are none.
        shares: which part of what is carried is shown, by chunk index; the others are left to the
            base.
        make: carries them.
    """

    def __init__(
        self,
        age: float | None,
        shares: Mapping[int, float],
        make: Callable[[], Mapping[int, Residual]],
    ) -> None:
        self.age = age
        self.shares = shares
        self._make = make
        self._lock = Lock()
        self._whole: Mapping[int, Residual] | None = None
        self._residuals: Mapping[int, Residual] | None = None

    @property
    def is_made(self) -> bool:
        """Tell whether somebody has asked for it."""
        return self._whole is not None

    @property
    def whole(self) -> Mapping[int, Residual]:
        """Return all that is carried by chunk index; any thread may ask, and one makes it."""
        with self._lock:
            if self._whole is None:
                self._whole = self._make()
            return self._whole

    @property
    def residuals(self) -> Mapping[int, Residual]:
        """Return what is shown of it, likewise."""
        whole = self.whole
        with self._lock:
            if self._residuals is None:
                shown = {at: _part(whole[at], share) for at, share in self.shares.items()}
                self._residuals = shown
            return self._residuals


@dataclass(frozen=True, eq=False)
class _Known:
    """A frame, and its residuals that came."""

    captured_at: float
    frame: Pixels
    output: Size
    targets: Sequence[Chunk]
    residuals: Mapping[int, Residual]

    @cached_property
    def luma(self) -> Pixels:
        return _luma_of(self.frame)

    @cached_property
    def whole(self) -> Residual:
        """Return the residual of the whole frame: 0 where none came."""
        colours = max(each.shape[2] for each in self.residuals.values())
        whole = np.zeros((self.output.height, self.output.width, colours), np.int16)
        for at, residual in self.residuals.items():
            self.targets[at].target.of(whole)[:] = residual
        return whole


@dataclass(slots=True)
class _Looks:
    """What was learnt of a chunk: sums over the products of what was carried and what came."""

    agreed: float = 0.0
    energy: float = 0.0

    @property
    def share(self) -> float:
        return min(1.0, max(0.0, self.agreed / self.energy)) if self.energy else 0.0

    def look(self, made: Residual, came: Residual) -> None:
        one, other = made.astype(np.float32), came.astype(np.float32)
        self.agreed = _KEPT * self.agreed + float((one * other).sum())
        self.energy = _KEPT * self.energy + float((one * one).sum())


@dataclass
class Carrier:
    """Carries the residuals of one session; may be used by several threads at a time.

    Args:
        chunks: of every frame.
        output: size of the frames that are shown.
        scale: the pipeline's, across and down.
    """

    chunks: Sequence[Chunk]
    output: Size
    scale: tuple[Fraction, Fraction]
    _known: dict[int, _Known] = field(default_factory=dict)
    _waiting: OrderedDict[int, Carried] = field(default_factory=OrderedDict)
    _looks: dict[int, _Looks] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _unasked: int = 0

    def learn(
        self, number: int, captured_at: float, frame: Pixels, residuals: Mapping[int, Residual]
    ) -> None:
        """Take the residuals of a frame, by chunk index; frames come in order."""
        if not residuals:
            return
        known = _Known(captured_at, frame, self.output, self.chunks, dict(residuals))
        with self._lock:
            before = dict(self._known)
            self._known |= dict.fromkeys(residuals, known)
            carried_ = self._waiting.pop(number, None)
            while self._waiting and next(iter(self._waiting)) < number:
                self._waiting.popitem(last=False)
        if carried_ is None or not self._is_due(carried_):
            return
        for at, made in carried_.whole.items():
            came = residuals.get(at)
            # What is known of an unchanged chunk says nothing of what moves.
            if came is not None and came is not before[at].residuals.get(at):
                self._looks.setdefault(at, _Looks()).look(made, came)

    def _is_due(self, carried_: Carried) -> bool:
        """Tell whether what was carried is looked back on, though nobody may have seen it."""
        self._unasked = 0 if carried_.is_made or not self._looks else self._unasked + 1
        return self._unasked % _SAMPLED == 0

    def carry(self, number: int, captured_at: float, frame: Pixels) -> Carried:
        """Return what is added to a frame whose own residuals are still to come."""
        with self._lock:
            newest = sorted(self._known.items())
        known = {at: one for at, one in newest if captured_at - one.captured_at <= _OLDEST}
        if not known:
            return Carried(None, {}, dict)
        shares = {at: self.share(at) for at in known}
        found = Carried(
            max(captured_at - one.captured_at for one in known.values()),
            {at: share for at, share in shares.items() if share >= _LEAST},
            partial(self._make, known, frame),
        )
        with self._lock:
            self._waiting[number] = found
            while len(self._waiting) > _WAITING:
                self._waiting.popitem(last=False)
        return found

    def _make(self, known: Mapping[int, _Known], frame: Pixels) -> Mapping[int, Residual]:
        step = (float(1 / self.scale[0]), float(1 / self.scale[1]))
        now = _luma_of(frame)
        made: dict[int, Residual] = {}
        # Whole frames: what comes into a chunk was in another before.
        for one in {id(one): one for one in known.values()}.values():
            whole = carried(one.whole, motion(one.luma, now, step), cell_of(*self.scale))
            made |= {at: self.chunks[at].target.of(whole) for at in known if known[at] is one}
        return made

    def share(self, chunk: int) -> float:
        """Return which part of what is carried to a chunk is shown, 0 to 1."""
        looks = self._looks.get(chunk)
        return looks.share if looks else 0.0


def _part(residual: Residual, share: float) -> Residual:
    if share == 1:
        return residual
    found: Residual = np.rint(residual * np.float32(share)).astype(np.int16)
    return found


def _luma_of(frame: Pixels) -> Pixels:
    return luma(cv2.split(frame[:, :, :3]))
