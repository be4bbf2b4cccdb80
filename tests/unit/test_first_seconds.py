"""The first seconds of a session over a narrow line, in the simulator.

720p at 30 frames a second from 640x360, one peer at 20 Mbit/s down and 5 up, 30 ms away, which may
be cold and chooses its nets by the time that is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import quantiles
from typing import Any, NamedTuple

import pytest

from p2c2g.session.frames import Shown
from p2c2g.simulator.distributions import Machines
from p2c2g.simulator.scenario import Scenario
from p2c2g.simulator.world import World
from tests.unit.choosing_peer import Choosing

FPS = 30.0


class Row(NamedTuple):
    """A frame: seconds since the first one, and what became of it."""

    at: float
    complete: bool
    parts: frozenset[int]
    ready: float
    shown: float


#: From so many seconds on the peer's line carries so many Mbit/s, both ways.
Change = tuple[float, float]


def played(
    seed: int, cold: float = 0.0, seconds: float = 6.0, changes: Sequence[Change] = (), **more: Any
) -> tuple[list[Row], Choosing, World]:
    asked: dict[str, Any] = {
        "peers": 1, "chunks": 2, "fps": FPS, "policy": "capability", "gamer_rtt": 0.001,
        "sent": 27_000, "returned": 9_000,
        "machines": Machines(rtt=0.03, seconds_per_megapixel=0.01, slots=1,
                             bandwidth=20e6, up=5e6),
    }  # fmt: skip
    world = World(Scenario(seed=seed, seconds=seconds, **(asked | more)))
    [gamer] = world.gamers
    [peer] = world.peers
    choosing = Choosing(peer, world.engine, cold)

    def carries(mbps: float) -> None:
        peer.machine = replace(peer.machine, up=mbps * 1e6, down=mbps * 1e6)

    for at, mbps in changes:
        world.engine.at(gamer._begins + at, carries, mbps)
    rows: list[Row] = []
    note = gamer.figures.frame_shown

    def shown(frame: Shown[Any, Any]) -> None:
        note(frame)
        captured = frame.frame.captured_at
        rows.append(
            Row(
                captured - gamer._begins, frame.complete, frozenset(frame.parts),
                frame.ready_at - captured, frame.shown_at - captured,
            )
        )  # fmt: skip

    gamer.figures.frame_shown = shown  # type: ignore[method-assign]
    world.play()
    return rows, choosing, world


@pytest.mark.parametrize("cold", [0.0, 0.05, 0.2, 0.5])
def test_from_second_three_on_frames_are_complete_whatever_the_peer_did_at_first(
    cold: float,
) -> None:
    for seed in range(5):
        rows, _, _ = played(seed, cold)
        late = [row for row in rows if row.at >= 3.0]
        assert sum(row.complete for row in late) >= 0.99 * len(late), f"seed {seed}"
        ready = [row.ready for row in late]
        assert quantiles(ready, n=100)[98] <= 0.080, f"seed {seed}"
        assert late[-1].shown <= 0.080, f"seed {seed}"


def test_a_peer_that_is_not_cold_is_used_whole_from_the_first_frames_on() -> None:
    rows, _, _ = played(7, 0.0)
    assert sum(row.complete for row in rows) >= len(rows) - 2
    begun = [row.shown for row in rows if row.at >= 1.0]
    assert max(begun) <= 0.080, "the playout delay begins with what frames took"


def test_a_net_is_back_within_two_seconds_of_a_cold_start() -> None:
    _, choosing, world = played(7, 0.5)
    [gamer] = world.gamers
    counted = choosing.counted(gamer._begins + 3.0)
    assert counted["base"] <= 0.1 * counted.total()


def test_a_chunk_that_is_late_is_not_sent_again_to_the_same_peer() -> None:
    for cold in (0.0, 0.5):
        _, _, world = played(7, cold)
        [gamer] = world.gamers
        runs = gamer.core.tables.attempts.accepted
        assert set(runs) == {1}


@pytest.fixture(scope="module", params=range(4))
def fallen(request: pytest.FixtureRequest) -> list[Row]:
    """A peer's line that falls from 40 to 4 Mbit/s after 6 s, and is back after 12."""
    changes = ((0.0, 40.0), (6.0, 4.0), (12.0, 40.0))
    return played(request.param, seconds=18.0, changes=changes)[0]


def test_where_a_peers_line_falls_no_frame_is_late(fallen: list[Row]) -> None:
    assert len(fallen) == 18 * FPS
    assert max(row.shown for row in fallen) <= 0.1 + 1e-6


def test_where_a_peers_line_has_fallen_it_is_used_again_within_a_second(fallen: list[Row]) -> None:
    enhanced = [row.at for row in fallen if 5.9 <= row.at < 12.0 and row.parts]
    assert max(after - before for before, after in pairwise(enhanced)) <= 1.0
    settled = [len(row.parts) for row in fallen if 9.0 <= row.at < 11.0]
    assert sum(settled) >= 0.95 * 2 * len(settled), "coarser, but all of it"


def test_where_a_peers_line_is_back_all_is_as_before_within_three_seconds(
    fallen: list[Row],
) -> None:
    before = max(row.shown for row in fallen if 3.0 <= row.at < 6.0)
    after = [row for row in fallen if row.at >= 15.0]
    assert all(row.complete for row in after)
    assert max(row.shown for row in after) <= before + 0.01
