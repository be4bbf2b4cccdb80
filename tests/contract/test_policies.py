"""What every policy owes, however it chooses."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.errors import UsageError
from p2c2g.peers.candidate import Candidate
from p2c2g.routing.policies import POLICIES, make
from p2c2g.routing.policy import Job, Policy
from tests.effort import examples

CHOOSING = sorted(set(POLICIES) - {"capability"})
SPEED = settings(deadline=None, derandomize=True, max_examples=examples(80))
JOB = Job("session", 0, 0.25, deadline=0.1)


@st.composite
def candidates(draw: st.DrawFn, most: int = 100) -> tuple[Candidate, ...]:
    count = draw(st.integers(1, most))
    random = Random(draw(st.integers(0, 1000)))
    return tuple(
        Candidate(
            f"peer{number}",
            slots=random.randint(1, 4),
            seconds_per_megapixel=(seconds_per_megapixel := random.uniform(0.001, 0.4)),
            seconds_per_megapixel_p95=seconds_per_megapixel * random.uniform(1, 3),
            rtt=random.uniform(0, 0.1),
            own=random.choice((0, 0, 1, 9)),
            others=random.choice((0, 0, 2)),
        )
        for number in range(count)
    )


def equals(count: int, **told: float) -> tuple[Candidate, ...]:
    return tuple(replace(Candidate(f"peer{n}"), **told) for n in range(count))  # type: ignore[arg-type]


@pytest.fixture(params=sorted(POLICIES))
def policy(request: pytest.FixtureRequest) -> Policy:
    return make(request.param, Random(5))


@pytest.mark.parametrize("name", sorted(POLICIES))
@SPEED
@given(pool=candidates(), data=st.data())
def test_nobody_is_chosen_who_is_outside_or_had_the_chunk(
    name: str, pool: tuple[Candidate, ...], data: st.DataObject
) -> None:
    policy = make(name, Random(5))
    names = [each.id for each in pool]
    for region in range(8):
        used = tuple(data.draw(st.lists(st.sampled_from([*names, "gone"]), max_size=3)))
        chosen = policy.choose(replace(JOB, chunk=region % 3, used=used), pool, 0.0)
        assert chosen is None or any(chosen is each for each in pool)
        assert chosen is None or chosen.id not in used


@pytest.mark.parametrize("name", sorted(POLICIES))
@SPEED
@given(pool=candidates(), seed=st.integers(0, 99))
def test_the_same_seed_chooses_the_same(name: str, pool: tuple[Candidate, ...], seed: int) -> None:
    one, other = make(name, Random(seed)), make(name, Random(seed))
    for region in range(10):
        job = replace(JOB, chunk=region)
        assert one.choose(job, pool, 0.0) is other.choose(job, pool, 0.0)


def test_of_nobody_nobody_is_chosen(policy: Policy) -> None:
    assert policy.choose(JOB, (), 0.0) is None


def test_what_is_chosen_is_not_changed(policy: Policy) -> None:
    pool = equals(80)
    before = [replace(each) for each in pool]
    policy.choose(JOB, pool, 0.0)
    assert list(pool) == before


@pytest.mark.parametrize("name", CHOOSING)
@pytest.mark.parametrize("count", [1, 3, 100])
def test_who_is_alone_with_a_free_slot_gets_it(name: str, count: int) -> None:
    pool = equals(count)
    used = tuple(each.id for each in pool[1:])
    assert make(name, Random(5)).choose(replace(JOB, used=used), pool, 0.0) is pool[0]


@pytest.mark.parametrize("count", [1, 3, 100])
def test_where_everybody_had_it_nobody_gets_it(policy: Policy, count: int) -> None:
    pool = equals(count)
    used = tuple(each.id for each in pool)
    assert policy.choose(replace(JOB, used=used), pool, 0.0) is None


@pytest.mark.parametrize("count", [1, 3, 100])
def test_where_all_are_full_beyond_the_deadline_the_queue_of_all_gets_it(
    policy: Policy, count: int
) -> None:
    pool = equals(count, own=40)
    assert policy.choose(JOB, pool, 0.0) is None


@pytest.mark.parametrize("name", CHOOSING)
@pytest.mark.parametrize("count", [1, 3, 100])
def test_where_all_are_full_and_yet_in_time_a_peer_gets_it(name: str, count: int) -> None:
    assert make(name, Random(5)).choose(JOB, equals(count, own=2), 0.0) is not None


@pytest.mark.parametrize("name", CHOOSING)
@pytest.mark.parametrize("count", [1, 3, 100])
def test_who_is_too_far_and_has_a_free_slot_still_is_the_best_hope(name: str, count: int) -> None:
    chosen = make(name, Random(5)).choose(JOB, equals(count, rtt=0.5), 0.0)
    assert chosen is not None


@pytest.mark.parametrize("name", CHOOSING)
@pytest.mark.parametrize("count", [10, 100])
def test_equals_get_about_equally_many(name: str, count: int) -> None:
    policy, pool = make(name, Random(5)), equals(count)
    # A region of its own each, since affinity would rightly keep one where it was.
    chosen = [policy.choose(replace(JOB, chunk=n), pool, 0.0) for n in range(200 * count)]
    counts = Counter(each.id for each in chosen if each is not None)
    assert len(counts) == count
    assert min(counts.values()) > 130
    assert max(counts.values()) < 280


@pytest.mark.parametrize("name", CHOOSING)
def test_work_that_is_noted_spreads_by_speed(name: str) -> None:
    policy = make(name, Random(5))
    slow, fast = (
        Candidate("slow", seconds_per_megapixel=0.1),
        Candidate("fast", seconds_per_megapixel=0.02),
    )
    pool = (slow, fast)
    for region in range(12):
        chosen = policy.choose(replace(JOB, chunk=region, deadline=0.5), pool, 0.0)
        assert chosen is not None
        chosen.own += 1
    assert fast.own > slow.own > 0


@pytest.mark.parametrize("name", CHOOSING)
def test_another_pool_is_another_choice(name: str) -> None:
    policy = make(name, Random(5))
    for count in (100, 3, 70, 1):
        pool = equals(count)
        for _ in range(5):
            chosen = policy.choose(JOB, pool, 0.0)
            assert any(chosen is each for each in pool)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'fastest' is no policy: there are capability, "):
        make("fastest", Random(5))
