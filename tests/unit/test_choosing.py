"""Each policy's own promises; what all of them owe is in ``tests/contract/test_policies.py``."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.affinity import Affinity
from p2c2g.routing.drawing import REBUILD_AFTER, Wheel
from p2c2g.routing.policies import POLICIES, make
from p2c2g.routing.policy import Job
from p2c2g.routing.predictive import EXACT, Predictive
from p2c2g.routing.weighted import Weighted
from p2c2g.settings import SessionSettings
from p2c2g.simulator.distributions import Machines
from p2c2g.simulator.report import build_report
from p2c2g.simulator.scenario import Scenario
from p2c2g.simulator.world import World
from tests.effort import examples

SPEED = settings(deadline=None, derandomize=True, max_examples=examples(80))


def peer(name: str, seconds_per_megapixel: float = 0.04, **told: float) -> Candidate:
    """Return a peer next door, as slow at worst as on the average."""
    worst = told.pop("seconds_per_megapixel_p95", seconds_per_megapixel)
    return Candidate(
        name,
        seconds_per_megapixel=seconds_per_megapixel,
        seconds_per_megapixel_p95=worst,
        rtt=told.pop("rtt", 0.0),
        **told,
    )  # type: ignore[arg-type]


def job(region: int = 0, deadline: float = 1.0, used: tuple[str, ...] = ()) -> Job:
    """Return a chunk of one megapixel."""
    return Job("session", region, 1.0, deadline, used)


def test_the_names_are_those_of_the_settings() -> None:
    assert tuple(POLICIES) == get_args(SessionSettings.model_fields["policy"].annotation)


# -- the wheel and the weighted ----------------------------------------------------------------


def test_the_wheel_draws_by_slots_over_seconds() -> None:
    pool = (peer("one", 0.1), peer("twice", 0.05), peer("six times", 0.1, slots=6))
    wheel = Wheel(Random(3))
    wheel.turn_to(pool)
    counts = Counter(wheel.draw().id for _ in range(9000))
    assert 850 < counts["one"] < 1150
    assert 1800 < counts["twice"] < 2200
    assert 5700 < counts["six times"] < 6300


def test_the_wheel_learns_of_speeds_that_drift() -> None:
    one, other = peer("one", 1e-3), peer("other", 1e3)
    wheel, pool = Wheel(Random(3)), (one, other)
    wheel.turn_to(pool)
    assert {wheel.draw().id for _ in range(100)} == {"one"}
    one.seconds_per_megapixel, other.seconds_per_megapixel = (
        other.seconds_per_megapixel,
        one.seconds_per_megapixel,
    )
    for _ in range(REBUILD_AFTER + 1):
        wheel.turn_to(pool)
    assert {wheel.draw().id for _ in range(100)} == {"other"}


def test_the_wheel_turns_at_once_to_another_pool_and_to_one_that_has_grown() -> None:
    wheel = Wheel(Random(3))
    wheel.turn_to([peer("before")])
    pool = [peer("slow", 1e3)]
    wheel.turn_to(pool)
    assert wheel.draw().id == "slow"
    pool.append(peer("fast", 1e-3))
    wheel.turn_to(pool)
    assert {wheel.draw().id for _ in range(50)} == {"fast"}


def test_a_peer_of_no_measured_time_breaks_nothing() -> None:
    for name in POLICIES:
        make(name, Random(3)).choose(job(), (peer("none", 0.0),), 0.0)


def test_weighted_draws_again_for_one_that_would_be_late() -> None:
    # Ten times as fast and full: it is drawn first as a rule, and would be late.
    pool = (peer("full", 0.04, own=100), peer("free", 0.4))
    policy = Weighted(Random(3), draws=200)
    chosen = [policy.choose(job(), pool, 0.0) for _ in range(20)]
    assert {each.id for each in chosen if each is not None} == {"free"}


# -- predictive --------------------------------------------------------------------------------


@SPEED
@given(
    st.lists(
        st.tuples(st.floats(0.001, 0.2), st.floats(0, 0.1), st.integers(0, 5), st.integers(1, 4)),
        min_size=1,
        max_size=EXACT,
    )
)
def test_predictive_takes_the_earliest_where_no_deadline_presses(
    told: list[tuple[float, float, int, int]],
) -> None:
    pool = [
        peer(f"peer{n}", seconds_per_megapixel, rtt=rtt, own=own, slots=slots)
        for n, (seconds_per_megapixel, rtt, own, slots) in enumerate(told)
    ]
    chosen = Predictive(Random(3)).choose(job(deadline=1e9), pool, 0.0)
    assert chosen is not None
    assert chosen.finish(1.0) == min(each.finish(1.0) for each in pool)


def test_predictive_shuns_one_whose_worst_misses_the_deadline() -> None:
    steady, moody = peer("steady", 0.045), peer("moody", 0.040, seconds_per_megapixel_p95=0.200)
    policy = Predictive(Random(3))
    assert policy.choose(job(deadline=10.0), (steady, moody), 0.0) is moody
    assert policy.choose(job(deadline=10.0), (steady, moody), 9.9) is steady


def test_predictive_waits_at_a_fast_peer_rather_than_begin_at_a_slow_one() -> None:
    fast, slow = peer("fast", 0.01, own=3), peer("slow", 0.1)
    policy = Predictive(Random(3))
    assert policy.choose(job(), (slow, fast), 0.0) is fast
    fast.own = 12
    assert policy.choose(job(), (slow, fast), 0.0) is slow


def test_predictive_finds_the_good_ones_of_many() -> None:
    busy = [peer(f"busy{n}", 0.04, own=50) for n in range(600)]
    free = [peer(f"free{n}", 0.04) for n in range(400)]
    policy, pool = Predictive(Random(3)), (*busy, *free)
    chosen = [policy.choose(job(deadline=0.1), pool, 0.0) for _ in range(1000)]
    # Twelve draws find none of two in five in 0.2 % of the cases: those go to the queue of all.
    good = sum(each is not None and each.own == 0 for each in chosen)
    assert good > 985
    assert all(each is None or each.own == 0 for each in chosen)


def test_predictive_looks_at_all_where_chance_drew_used_ones_only() -> None:
    dragons = [peer(f"dragon{n}", 1e-9) for n in range(2)]
    snails = [peer(f"snail{n}", 0.1 + n / 1000) for n in range(EXACT)]
    used = tuple(each.id for each in dragons)
    chosen = Predictive(Random(3)).choose(job(used=used), (*dragons, *snails), 0.0)
    assert chosen is snails[0]


# -- affinity ----------------------------------------------------------------------------------


def test_a_region_stays_while_another_is_hardly_better() -> None:
    one, other = peer("one", 0.040), peer("other", 0.050)
    policy = Affinity(Predictive(Random(3)), gain=0.005)
    assert policy.choose(job(), (one, other), 0.0) is one
    other.seconds_per_megapixel = 0.036
    assert policy.choose(job(), pool := (one, other), 0.0) is one
    assert policy.choose(job(region=1), pool, 0.0) is other
    other.seconds_per_megapixel = 0.034
    assert policy.choose(job(), pool, 0.0) is other
    one.seconds_per_megapixel = 0.030
    assert policy.choose(job(), pool, 0.0) is other


def test_a_region_leaves_a_peer_that_would_be_late_or_is_gone() -> None:
    one, other = peer("one", 0.040), peer("other", 0.041)
    policy = Affinity(Predictive(Random(3)), gain=1.0)
    assert policy.choose(job(), (one, other), 0.0) is one
    one.own = 2
    assert policy.choose(job(deadline=0.1), (one, other), 0.0) is other
    assert policy.choose(job(), (one,), 0.0) is one


def test_a_second_run_goes_elsewhere_and_moves_no_region() -> None:
    pool = (peer("one", 0.040), peer("other", 0.041))
    policy = Affinity(Predictive(Random(3)))
    assert policy.choose(job(), pool, 0.0) is pool[0]
    assert policy.choose(job(used=("one",)), pool, 0.0) is pool[1]
    pool[1].seconds_per_megapixel = 0.039
    assert policy.choose(job(), pool, 0.0) is pool[0]


def test_a_region_is_not_forgotten_while_all_are_full() -> None:
    pool = (peer("one", 0.040), peer("other", 0.050))
    policy = Affinity(Predictive(Random(3)))
    assert policy.choose(job(), pool, 0.0) is pool[0]
    for each in pool:
        each.own = 99
    assert policy.choose(job(), pool, 0.0) is None
    for each in pool:
        each.own = 0
    pool[1].seconds_per_megapixel = 0.038
    assert policy.choose(job(), pool, 0.0) is pool[0]


def test_regions_that_were_placed_least_lately_are_forgotten() -> None:
    pool = (peer("one", 0.040), peer("other", 0.050))
    policy = Affinity(Predictive(Random(3)), most=2)
    for region in (0, 1, 0, 2):
        policy.choose(job(region), pool, 0.0)
    assert len(policy) == 2
    pool[1].seconds_per_megapixel = 0.038
    assert policy.choose(job(0), pool, 0.0) is pool[0]
    assert policy.choose(job(1), pool, 0.0) is pool[1]


# -- all of them at work -----------------------------------------------------------------------


def played(policy: str, **asked: Any) -> float:
    """Return the share of complete frames: peers of 3 to 32 megapixels a second, no second runs."""
    machines = Machines(seconds_per_megapixel=0.1, spread=10, slots=1, rtt=0.02, bandwidth=1e9)
    world = World(
        Scenario(
            peers=20, seconds=6.0, policy=policy, machines=machines, second_runs=False,
            stealing=False, **asked,
        )
    )  # fmt: skip
    world.play()
    return float(build_report(world)["complete"])


@pytest.mark.parametrize("name", ["weighted", "predictive", "affinity"])
def test_who_knows_speeds_loses_nothing_among_uneven_peers(name: str) -> None:
    # Without the controller, which begins with little until it knows what there is.
    assert played(name, steady=False) == 1.0
    assert played("capability", steady=False) < 0.8


def test_who_predicts_loses_less_than_chance_where_sessions_share_the_peers() -> None:
    # Without the controller, which would leave out what there is too little time for.
    shared: dict[str, Any] = {"sessions": 4, "fps": 30.0, "steady": False}
    assert played("weighted", **shared) < 0.7
    assert min(played(name, **shared) for name in ("predictive", "affinity")) > 0.9
