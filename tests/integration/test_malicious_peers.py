"""Malicious peers in a real open pool: no frame is late or wrong, and each is out in seconds.

Each has a true login and speaks the protocol by a client of its own (:mod:`tests.hostile`), beside
two honest workers.  A session of ours plays all the while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any

import cv2
import numpy as np
import pytest
import redis

from p2c2g.media.picture import Picture
from p2c2g.media.residual import Form
from p2c2g.messaging import names, open_names
from p2c2g.settings.principal import Principal, Role
from tests.busy import Stopwatch, lost
from tests.forged_pictures import scan_bomb, slow_png
from tests.gamer import FPS, SIZE, Gamer
from tests.hostile import Conduct, Entry, Hostile, Taken
from tests.open_pool import OpenPool, working

ATTIC, CELLAR, ALICE, EVE, MALLORY = "pattic", "pcellar", "galice", "pevehos", "pmallory"
HONEST = {ATTIC, CELLAR}
#: What is asked for: enough that a lie about it shows.
OPS = "upscale:2,sharpen:1"
#: Seconds that a chunk has.
DEADLINE = 0.5
#: Seconds in which who lies is out, beside those in which others had the processors.
SOON = 5.0
#: Levels by which a picture may be another than the own frame where it is scaled down to that.
ROUNDING = 1
#: Seconds by which a frame may be late, beside those in which a busy machine gave this process no
#: processor.
GRACE = 0.15

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenPool]:
    folder = tmp_path_factory.mktemp("malicious")
    with OpenPool("redis-server", folder) as opened:
        opened.join(Role.GAMER, ALICE)
        yield opened


@pytest.fixture(scope="module")
def honest(pool: OpenPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Have the honest peers at work; give their processes."""
    with working(pool, tmp_path_factory.mktemp("honest"), *sorted(HONEST)) as workers:
        yield {peer: each.process.pid for peer, each in workers.items() if each.process}


class Watched(Gamer):
    """A gamer's session whose every picture is held against its own frame."""

    def __init__(self, pool: OpenPool, workers: Iterable[int] = (), **plan: Any) -> None:
        self.off: list[tuple[int, int]] = []
        self.late: list[tuple[int, float]] = []
        #: When it was looked how long others had had the processors, and that.
        self._lost = deque([(monotonic(), lost())], maxlen=4 * int(FPS))
        self._server = int(pool.operator.info("server")["process_id"])
        self._before = {each: lost(self._server, each) for each in workers}
        membership = pool.memberships[Principal(Role.GAMER, ALICE)]
        wanted = {"policy": "predictive", "deadline": DEADLINE, "ops": OPS, **plan}
        super().__init__(pool.settings(membership), **wanted)

    def _show(self, picture: Picture) -> None:
        small = cv2.resize(picture.pixels, (SIZE.width, SIZE.height), interpolation=cv2.INTER_AREA)
        worst = int(cv2.absdiff(small, picture.frame[..., :3]).max())
        if worst > ROUNDING:
            self.off.append((picture.number, worst))
        now, gone = monotonic(), lost()
        # The last look before it was captured: what came to pass since then made it late.
        looks = (was for at, was in reversed(self._lost) if at <= picture.captured_at)
        before = next(looks, self._lost[0][1])
        self._lost.append((now, gone))
        overdue = now - picture.captured_at - self.session.config.deadline
        # Threads that have ended take theirs along.
        if overdue > GRACE + max(0.0, gone - before):
            self.late.append((picture.number, overdue))
        super()._show(picture)
        if picture.form.codec == "jpeg":
            self.wrong.clear()  # It has losses.

    def shown_of(self, peer: str) -> int:
        """Return how many chunks of a peer were believed."""
        told = self.session.tally.peers.get(peer)
        return 0 if told is None else told.chunks

    def is_out(self, peer: str) -> bool:
        """Tell whether this session gives a peer no more work that counts."""
        return self.was_shut_out(peer) or (
            self.is_doubted(peer) and peer not in self.session.routing()["pool"]
        )

    def was_shut_out(self, peer: str) -> bool:
        """Tell whether a peer was late or wrong too often."""
        return bool(self.session.breakers().get(peer, {}).get("opened"))

    def is_doubted(self, peer: str) -> bool:
        """Tell whether a peer was caught."""
        return bool(self.session.tables.trust.is_doubted(peer))

    def waited(self, worker: int) -> float:
        """Return the seconds for which a worker or the broker had no processor since the start."""
        return lost(self._server, worker) - self._before[worker]

    def until_out(self, *peers: Hostile) -> None:
        """Play until all are out, and see that it was soon after each was sent its first chunk."""
        for each in peers:
            self.until(each.began.is_set, f"{each.id} is sent nothing")
        watch = Stopwatch(self._server)
        self.until(lambda: all(self.is_out(each.id) for each in peers), "they are not shut out")
        assert watch.seconds <= SOON

    def until_tried(self, peer: Hostile) -> None:
        """Play until it is given a try now and then, and no more, for thirty frames.

        What waits for it counts: who is slow takes little.  While a busy machine has nobody in
        time, everybody is tried, and it is looked at the next thirty.
        """
        first, given = self.submitted, peer.given

        def tried() -> bool:
            nonlocal first, given
            frames = self.submitted - first
            if frames < 30:
                return False
            before, given = given, peer.given
            first += frames
            return given - before <= frames // 3

        self.until(tried, f"{peer.id} gets much")

    def until_honest_alone(self) -> None:
        """Play until the honest are known, complete."""
        self.until(lambda: set(self.session.routing()["pool"]) >= HONEST, "not both work")
        self.play_complete()


@pytest.fixture
def watch(pool: OpenPool, honest: dict[str, int]) -> Iterator[Callable[..., Watched]]:
    with ExitStack() as stack:
        sessions: list[Watched] = []

        def begin(**plan: Any) -> Watched:
            sessions.append(stack.enter_context(Watched(pool, honest.values(), **plan)))
            return sessions[-1]

        yield begin
        for each in sessions:
            each.play_complete(5)
            assert each.off == [], "more was shown than the own frame, changed within bounds"
            assert each.late == [], "frames were late"
            # No honest peer paid for it, but with what others' processors had it wait for.
            assert not any(each.is_doubted(peer) for peer in HONEST)
            for peer, process in honest.items():
                assert not each.was_shut_out(peer) or each.waited(process) > DEADLINE


# -- liars: what is wrong by itself ---------------------------------------------------------------


def dark(taken: Taken) -> bytes:
    """Return a residual that is as dark as can be."""
    form, size = taken.header.form, taken.header.crop.size
    return form.encode(np.full((size.height, size.width, 1), -128, np.int16))


def lies(me: Hostile, taken: Taken) -> Iterable[Entry]:
    yield me.answer(taken, dark(taken))


def lies_in_anothers_name(me: Hostile, taken: Taken) -> Iterable[Entry]:
    yield me.answer(taken, dark(taken), peer=ATTIC)


def answers_with_noise(me: Hostile, taken: Taken) -> Iterable[Entry]:
    yield me.answer(taken, np.random.default_rng(1).bytes(5000))


def answers_unsealed(me: Hostile, taken: Taken) -> Iterable[Entry]:
    header = me.header(taken).pack()
    yield me.entry(taken, header=header, payload=taken.residual())


def answers_with_other_numbers(me: Hostile, taken: Taken) -> Iterable[Entry]:
    yield me.answer(taken, taken.residual(), chunk=taken.header.chunk ^ 1)


def fails(me: Hostile, taken: Taken) -> Iterable[Entry]:
    stream, fields = me.entry(taken, error=b"[/red]\x1b[2Jno", peer=CELLAR.encode())
    yield stream, fields | {"state": b"FAILURE"}


def bombs(make: Callable[..., bytes]) -> Conduct:
    def answer(me: Hostile, taken: Taken) -> Iterable[Entry]:
        yield me.answer(taken, make(taken.header.crop.size))

    return answer


LIARS: dict[str, Conduct] = {
    "lies": lies,
    "in another's name": lies_in_anothers_name,
    "noise": answers_with_noise,
    "unsealed": answers_unsealed,
    "other numbers": answers_with_other_numbers,
    "failures": fails,
}


@pytest.mark.parametrize("how", LIARS)
def test_a_liar_shows_nothing_and_is_out(
    pool: OpenPool, watch: Callable[..., Watched], how: str
) -> None:
    with Hostile(pool, EVE, LIARS[how]) as eve:
        session = watch()
        session.until_out(eve)
        session.play_complete()
        assert session.shown_of(EVE) == 0


#: The forms in which residuals are asked for, and what a peer sends in their place.
BOMBS: dict[str, tuple[Form, Conduct]] = {
    "scans": (Form("jpeg", 85), bombs(lambda size: scan_bomb(size, components=1))),
    "scans in colour": (Form("jpeg", 85, in_colour=True), bombs(scan_bomb)),
    "deflate": (Form("png", 100), bombs(slow_png)),
    "eight megabytes": (Form("raw", 100), bombs(lambda _: bytes(8 << 20))),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_holds_nothing_up_and_its_sender_is_out(
    pool: OpenPool, watch: Callable[..., Watched], what: str
) -> None:
    form, conduct = BOMBS[what]
    with Hostile(pool, EVE, conduct) as eve:
        session = watch(form=form)
        session.until_out(eve)
        session.play_complete()
        assert session.shown_of(EVE) == 0


# -- who says what was said before ----------------------------------------------------------------


def test_what_was_said_before_is_nothing(pool: OpenPool, watch: Callable[..., Watched]) -> None:
    """Its own answers once more, to this session and to the next, and to other chunks."""
    kept: deque[Entry] = deque(maxlen=8)

    def repeats(me: Hostile, taken: Taken) -> Iterable[Entry]:
        stream, _ = fresh = me.answer(taken, taken.residual())
        yield fresh
        yield from ((stream, fields) for _, fields in kept)
        kept.append(fresh)

    def only_repeats(me: Hostile, taken: Taken) -> Iterable[Entry]:
        """Under the number of what it was asked."""
        _, fields = kept[-1]
        header = me.header(taken).pack()
        yield me.entry(taken, header=header, payload=fields["payload"])

    with Hostile(pool, EVE, repeats):
        session = watch()
        session.until(lambda: session.session.figures()["sealing"]["unasked"] > 16, "all repeated")
        session.play_complete()
    with Hostile(pool, EVE, only_repeats) as eve:
        session = watch()
        session.until_out(eve)
        session.play_complete()
        assert session.shown_of(EVE) == 0


# -- who lies in a way that no check finds --------------------------------------------------------


def turned_around(me: Hostile, taken: Taken) -> Iterable[Entry]:
    """Lie about signs, which no check can tell."""
    form, size = taken.header.form, taken.header.crop.size
    yield me.answer(taken, form.encode(-form.decode(taken.residual(), size)))


def test_colluders_are_told_from_those_who_are_trusted(
    pool: OpenPool, watch: Callable[..., Watched]
) -> None:
    """Two of one account agree with each other, and with nobody else."""
    with ExitStack() as stack:
        session = watch()
        session.until_honest_alone()
        two = [
            stack.enter_context(Hostile(pool, each, turned_around, account="crowd"))
            for each in (EVE, MALLORY)
        ]
        session.until_out(*two)
        trust = session.session.tables.trust
        session.until(lambda: all(trust.caught(each.id) for each in two), "they are not caught")
        session.play_complete()
        assert not any(trust.is_trusted(each.id) for each in two)
        # Where the trusted are too few some of it was shown: changed within bounds, as ever.
        session.wrong.clear()


# -- who takes work and does not do it ------------------------------------------------------------


def withholds(me: Hostile, taken: Taken) -> Iterable[Entry]:
    return ()


#: What a peer may claim at most.
BOASTS: dict[str, Any] = {
    "slots": 1024,
    "capabilities": {
        "cores": 4096,
        "up": 1e12,
        "down": 1e12,
        "speeds": {"upscale:bicubic": 1e12, "upscale": 1e12},
        "codecs": {"raw": 1e12, "jpeg": 1e12},
    },
}


def test_who_boasts_and_withholds_gets_little_and_costs_no_picture(
    pool: OpenPool, watch: Callable[..., Watched]
) -> None:
    with Hostile(pool, EVE, withholds, **BOASTS) as eve:
        session = watch()
        session.until(eve.began.is_set, "it is sent nothing")
        session.play_complete(30)
        session.until_tried(eve)


def answers_at_the_last_moment(me: Hostile, taken: Taken) -> Iterable[Entry]:
    me.pause(0.9 * taken.header.budget_us / 1e6)
    yield me.answer(taken, taken.residual())


def test_who_answers_at_the_last_moment_costs_no_picture(
    pool: OpenPool, watch: Callable[..., Watched]
) -> None:
    """It works on one chunk at a time, so all others that it is given come too late."""
    with Hostile(pool, EVE, answers_at_the_last_moment) as eve:
        session = watch()
        session.until(eve.began.is_set, "it is sent nothing")
        session.play_complete(30)
        session.until_tried(eve)


# -- who fills what it may write to ---------------------------------------------------------------


def floods(many: int, size: int) -> Conduct:
    def pour(me: Hostile, taken: Taken) -> Iterable[Entry]:
        for _ in range(many):
            yield me.entry(taken, header=b"x", payload=bytes(size))

    return pour


@pytest.mark.parametrize("how", [(2_000, 10), (20, 4 << 20)], ids=["small", "large"])
def test_who_floods_a_session_is_heard_no_more(
    pool: OpenPool, watch: Callable[..., Watched], how: tuple[int, int]
) -> None:
    with Hostile(pool, EVE, floods(*how)) as eve:
        session = watch()
        session.until_out(eve)
        session.play_complete()
        stream = open_names.results(EVE, ALICE, session.session.id)
        session.until(lambda: stream not in session.session._inbox.keys, "it is still read")
        assert session.shown_of(EVE) == 0


# -- who looks around -----------------------------------------------------------------------------


def test_a_peer_at_work_reads_nothing_of_anybody_else(
    pool: OpenPool, watch: Callable[..., Watched]
) -> None:
    def honest(me: Hostile, taken: Taken) -> Iterable[Entry]:
        yield me.answer(taken, taken.residual())

    with Hostile(pool, EVE, honest) as eve:
        session = watch()
        session.until(eve.began.is_set, "it is sent nothing")
        session.play_complete()
        base = names.celerys()
        own = (f"{base}p:{EVE}:", f"{base}g:{ALICE}:blob:")
        others = [key for key in sorted(pool.keys()) if not key.startswith(own)]
        assert any(f"p:{ATTIC}:" in key for key in others)
        for key in others:
            for command in ("GET", "LLEN", "BRPOP", "XRANGE", "DUMP", "DEL"):
                more = {"BRPOP": ("0.01",), "XRANGE": ("-", "+")}.get(command, ())
                if (command, key) == ("GET", open_names.standing(EVE)):
                    continue
                with pytest.raises(redis.exceptions.NoPermissionError):
                    eve.client.execute_command(command, key, *more)
