"""Decides what is done with the chunks of each frame: sent, known, or left out.

Pure.  What there is too little of, and what is given up for that, others decide: they put it
into :attr:`Plans.setting`, and every frame that is planned from then on goes by it.  What is known
already (:mod:`p2c2g.session.known`) is shown in any case, and costs nothing.

Hardly anything is sent of a still picture, and yet peers have to be examined.  So of the chunks
that are known a few are sent all the same: the *trickle*.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from p2c2g.errors import UsageError
from p2c2g.media.recipe import Recipe
from p2c2g.session.changes import Seen
from p2c2g.session.frames import Basis, FrameInFlight, FramePlan, P, Part, S, Way
from p2c2g.session.known import Content, Known, worth
from p2c2g.timing.bucket import TokenBucket

#: Frames that are remembered after they were planned: longer than any is in flight.
_REMEMBERED = 256
#: Of known chunks so many are sent all the same, and while somebody is to be examined.
TRICKLE, TRICKLE_EXAMINING = 1 / 250, 1 / 20
#: Seconds, as a part of the deadline, within which a chunk may still be on its way for another
#: frame: were it lost, that frame would have too little time for another run.
SHARED_FOR = 0.5


@dataclass(frozen=True, slots=True)
class Setting:
    """How frames are enhanced for now.

    Args:
        recipe: by which chunks are sent; its gain is the session's, and it is in colour only where
            the session's is.
        chunks: the indices of those that are enhanced; the others are the base layer alone.
        every: of so many frames one has chunks sent, 1 or more.
        state: a word for it, for those who watch.
        sentence: why it is not the usual one; empty where it is.
    """

    recipe: Recipe
    chunks: frozenset[int]
    every: int = 1
    state: str = ""
    sentence: str = ""


@dataclass(slots=True)
class _OnTheWay(Generic[S]):
    """A chunk that is with the peers: with which frame it was sent, and when.

    ``waiting`` are the later frames that wait for it, and ``is_over`` tells whether its own does no
    more.
    """

    number: int
    sent_at: float
    waiting: list[FrameInFlight[S]]
    is_over: bool = False


class Plans(Generic[S, P]):
    """The plans of one session's frames.

    Args:
        usual: the session's recipe.
        count: of its chunks.
        deadline: seconds that a frame has.
    """

    def __init__(self, usual: Recipe, count: int, deadline: float) -> None:
        self._usual = usual
        self._count = count
        self._shared_for = SHARED_FOR * deadline
        self._setting = Setting(usual, frozenset(range(count)))
        self._asked: OrderedDict[int, tuple[Recipe, tuple[bytes, ...]]] = OrderedDict()
        self._on_the_way: dict[Content, _OnTheWay[S]] = {}
        self._latest: FrameInFlight[S] | None = None
        self._since_sent = 0
        self._trickle = TokenBucket(TRICKLE, 1)
        self._examining = TokenBucket(TRICKLE_EXAMINING, 1)
        self._trickled = 0
        #: What is known.
        self.known: Known[P] = Known(count)

    @property
    def setting(self) -> Setting:
        """Return how frames are enhanced for now: as usual, until somebody says otherwise."""
        return self._setting

    @setting.setter
    def setting(self, setting: Setting) -> None:
        """Have frames enhanced otherwise from now on.

        Raises:
            UsageError: those who watch could not make pictures of what came back.
        """
        form, usual = setting.recipe.form, self._usual.form
        if form.gain != usual.gain or form.in_colour > usual.in_colour:
            raise UsageError(f"Residuals as {form} do not fit a session of {usual}.")
        self._setting = setting

    def plan(
        self, number: int, seen: Sequence[Seen], now: float, *, is_examining: bool = False
    ) -> FramePlan:
        """Return what is done with the chunks of a frame.

        Args:
            number: the frame's.
            seen: by chunk, what it shows; empty where nobody has looked.
            now: seconds of the session's clock.
            is_examining: whether somebody waits to be examined.
        """
        setting = self._setting
        self._since_sent += 1
        is_turn = self._since_sent >= setting.every
        if is_turn:
            self._since_sent = 0
        chosen = setting.chunks if is_turn else frozenset()
        ways = [Way.SENT if index in chosen else Way.LEFT_OUT for index in range(self._count)]
        known: dict[int, Part[P]] = {}
        bases: dict[int, Basis] = {}
        for index, each in enumerate(seen):
            on_the_way = self._on_the_way.get((index, each.key))
            may_ask = index in chosen and on_the_way is None
            found = self.known.find(index, each, number, now, setting.recipe if may_ask else None)
            if found is not None:
                ways[index] = Way.BOTH if found.again else Way.KNOWN
                known[index], bases[index] = found.part, found.basis
            elif on_the_way is not None and now - on_the_way.sent_at <= self._shared_for:
                ways[index] = Way.SHARED
        trickled = self._trickles(ways, chosen, is_examining=is_examining)
        keys = tuple(each.key for each in seen)
        self._asked[number] = (setting.recipe, keys)
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        return FramePlan(setting.recipe, tuple(ways), known, bases, keys, trickled)

    # -- what becomes of a frame -------------------------------------------------------------------

    def opened(self, frame: FrameInFlight[S], now: float) -> None:
        """Note a frame: what it was sent with is on its way, and it waits for what is."""
        self._latest = frame
        for index in frame.plan.shared:
            on_the_way = self._on_the_way.get((index, frame.plan.keys[index]))
            if on_the_way is not None:
                on_the_way.waiting.append(frame)
        for index, key in enumerate(frame.plan.keys):
            if frame.was_sent and index in frame.payloads:
                before = self._on_the_way.get((index, key))
                waiting = [] if before is None else before.waiting
                self._on_the_way[index, key] = _OnTheWay(frame.number, now, waiting)

    def closed(self, frame: FrameInFlight[S]) -> None:
        """Note that a frame is over, or never left.

        Later ones that wait for what it was sent with still get that, should it come late.
        """
        for index, key in enumerate(frame.plan.keys):
            on_the_way = self._on_the_way.get((index, key))
            if on_the_way is None:
                continue
            on_the_way.is_over |= on_the_way.number == frame.number
            on_the_way.waiting = [each for each in on_the_way.waiting if each is not frame]
            if on_the_way.is_over and not on_the_way.waiting:
                del self._on_the_way[index, key]

    def recipe_of(self, number: int) -> Recipe | None:
        """Return by which recipe a frame was sent of late; None where nobody remembers."""
        asked = self._asked.get(number)
        return None if asked is None else asked[0]

    def wanted_by(self, number: int, index: int, ran: str) -> FrameInFlight[S] | None:
        """Return a frame of now that shows in a chunk what an earlier one showed there.

        None, too, where a residual of that which was made by ``ran`` is no better than what there
        is.
        """
        asked, latest = self._asked.get(number), self._latest
        if asked is None or latest is None or not asked[1]:
            return None
        recipe, keys = asked
        if not self.known.is_wanted(index, keys[index], recipe, ran):
            return None
        if latest.plan.keys and latest.plan.keys[index] == keys[index]:
            return latest
        on_the_way = self._on_the_way.get((index, keys[index]))
        return next(iter(on_the_way.waiting), None) if on_the_way is not None else None

    def came(
        self, number: int, index: int, part: Part[P], now: float
    ) -> Sequence[FrameInFlight[S]]:
        """Keep a residual that came for a chunk of a frame.

        Returns:
            The frames that wait for it besides.
        """
        asked = self._asked.get(number)
        if asked is None or not asked[1]:
            return ()
        key = asked[1][index]
        self.known.learn(index, key, part, number, now)
        on_the_way = self._on_the_way.pop((index, key), None)
        return () if on_the_way is None else on_the_way.waiting

    # -- inside ------------------------------------------------------------------------------------

    def _trickles(
        self, ways: list[Way], chosen: frozenset[int], *, is_examining: bool
    ) -> tuple[int, ...]:
        """Have one known chunk sent all the same now and then, each in its turn."""
        known = [index for index in chosen if ways[index] is Way.KNOWN]
        bucket = self._examining if is_examining else self._trickle
        bucket.earn(len(known))
        if not known or bucket.is_empty:
            return ()
        bucket.take()
        self._trickled += 1
        index = sorted(known)[self._trickled % len(known)]
        ways[index] = Way.BOTH
        return (index,)


def is_better(part: Part[P], plan: FramePlan, index: int) -> bool:
    """Tell whether what came for a chunk is to be shown in place of what is known of it."""
    known = plan.known.get(index)
    return (
        known is None
        or plan.bases[index] is Basis.NEAR
        or (worth(part.recipe, part.ran) < worth(known.recipe, known.ran))
    )
