"""What a guest promises, and that it keeps it whatever happens to be measured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from datetime import time
from time import thread_time
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.commands.guest import Hours, Limits, parse_mbps, parse_share
from p2c2g.errors import UsageError
from p2c2g.timing.held import BURST, SPAN
from p2c2g_workers.guest import Guest
from p2c2g_workers.guest_policy import BURST as CPU_BURST
from p2c2g_workers.guest_policy import (
    OTHERS_MOST,
    REACH,
    TOLD_AFTER,
    Policy,
    Rate,
    Readings,
    Verdict,
)
from p2c2g_workers.owner import OthersCpu, idle_time, own_cpu
from tests.unit.test_held_rate import worst

NOON = time(12)


@pytest.mark.parametrize(
    ("text", "share"), [("50%", 0.5), ("0.5", 0.5), ("100 %", 1), (".25", 0.25)]
)
def test_a_share_is_read(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "1.5", "50", "-5%", "half", "nan", "5%%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="50%"):
        parse_share(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "inf", "1e3", "1000000", "20 Mbit"])
def test_what_is_no_bandwidth_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="megabits"):
        parse_mbps(text)


@pytest.mark.parametrize(
    "text", ["", "7", "7-7", "0-24", "24-7", "22-25", "8:60-9", "a-b", "1-2-3"]
)
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="22-7"):
        Hours.parse(text)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22-7", [time(22), time(23, 59), time(0), time(6, 59)], [time(7), time(21, 59)]),
        ("8:30-17", [time(8, 30), time(16, 59)], [time(8, 29), time(17), time(0)]),
        ("8-24", [time(8), time(23, 59)], [time(0), time(7, 59)]),
    ],
)
def test_hours_have_their_start_and_not_their_end(
    text: str, inside: list[time], outside: list[time]
) -> None:
    hours = Hours.parse(text)
    assert all(moment in hours for moment in inside)
    assert not any(moment in hours for moment in outside)


@given(st.times(), st.times(), st.times())
def test_a_moment_is_in_a_span_or_in_the_rest_of_the_day(
    start: time, end: time, moment: time
) -> None:
    first, second = (60 * each.hour + each.minute for each in (start, end))
    if first == second:
        return
    span, rest = Hours(first, second), Hours(second, first)
    assert (moment in span) != (moment in rest)
    assert Hours.parse(str(span)) == span


def test_no_limits_are_none() -> None:
    assert not Limits.parse()
    assert not Limits.parse(max_cpu="", hours="", max_mbps="")
    assert Limits.parse(only_idle=True)
    assert Limits.parse(max_cpu="25%", hours="22-7", max_mbps="20") == Limits(
        0.25, False, Hours(22 * 60, 7 * 60), 20.0
    )


def test_a_pool_whose_results_nobody_counts_cannot_have_a_line() -> None:
    consumer = SimpleNamespace(pool=SimpleNamespace(uses_semaphore=True))
    with pytest.raises(UsageError, match="-P threads"):
        Guest(consumer, max_mbps="5")


def test_a_worker_without_limits_has_no_guest() -> None:
    consumer = SimpleNamespace(pool=SimpleNamespace(uses_semaphore=False))
    assert not Guest(consumer).enabled


#: Sums of hundredths of a second, which are no binary fractions, differ by less than that.
ROUNDING = 1e-6


def test_the_cpu_of_the_pools_processes_counts_and_of_those_that_ended() -> None:
    burn = "x = sum(range(3_000_000)); print(flush=True); input()"
    command = [sys.executable, "-c", burn]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        alone, both = sum(own_cpu()), sum(own_cpu([child.pid]))
        assert both >= alone + 0.01 - ROUNDING
        child.communicate(b"\n")
    # It is among this process's own children now.
    assert sum(own_cpu([child.pid])) >= both - ROUNDING


def test_others_cpu_is_not_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"user": 100.0, "system": 50.0, "irq": 3.0, "softirq": 2.0, "idle": 900.0, "iowait": 9.0}
    own = [40.0, 5.0]

    def passes(**seconds: float) -> None:
        for name, each in seconds.items():
            now[name] += each

    monkeypatch.setattr(psutil, "cpu_times", lambda: SimpleNamespace(nice=7.0, **now))
    monkeypatch.setattr(os, "nice", lambda _: 0)
    watch = OthersCpu(lambda: (own[0], own[1]))
    # What the machine is seen to do, all of it by this process.
    passes(user=1.0, system=0.5, idle=0.5)
    own[:] = [41.0, 5.5]
    assert watch.share() == 0
    # The same again, and as much by others; an interrupt is nobody's own.
    passes(user=2.0, system=0.75, irq=0.25, idle=0.5, iowait=0.5)
    own[:] = [42.0, 6.0]
    assert watch.share() == pytest.approx(0.375)
    # Too short to be told from the counters' own steps.
    passes(user=0.05)
    assert watch.share() == pytest.approx(0.375)
    # At a low priority this process's time is not in what the machine tells as "user".
    monkeypatch.setattr(os, "nice", lambda _: 10)
    watch = OthersCpu(lambda: (own[0], own[1]))
    passes(user=1.0, idle=1.0)
    own[0] += 1.0
    assert watch.share() == (0.5 if sys.platform == "linux" else 0)


def test_others_cpu_is_read_from_this_machine() -> None:
    watch = OthersCpu(own_cpu)
    end = thread_time() + 0.2
    while thread_time() < end:
        sum(range(1000))
    assert 0 <= watch.share() <= 1


def test_a_terminal_tells_the_last_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if sys.platform == "linux":
        idle = idle_time()()
        assert idle is None or idle >= 0


# -- the rates


@given(
    rate=st.floats(0.01, 100),
    # How long each turn is, and what it would use if it may.
    turns=st.lists(st.tuples(st.floats(0.001, 1), st.floats(0, 10)), max_size=200),
)
def test_a_rate_holds_its_average_but_for_one_burst_and_one_overdraft(
    rate: float, turns: list[tuple[float, float]]
) -> None:
    held = Rate(rate)
    now = used = largest = 0.0
    paused = held.paused(now, used)
    for seconds, wish in turns:
        now += seconds
        if not paused:
            used += wish
            largest = max(largest, wish)
        paused = held.paused(now, used)
    assert used <= rate * (now + CPU_BURST) + largest + 1e-6


@given(rate=st.floats(0.01, 100), debt=st.floats(0, 1000))
def test_a_rate_is_open_again_once_its_debt_is_paid(rate: float, debt: float) -> None:
    held = Rate(rate)
    assert not held.paused(0.0, 0.0)
    # What it held is used up too.
    spent = debt + rate * CPU_BURST
    assert held.paused(0.0, spent)
    due = debt / rate + CPU_BURST / 2
    assert held.paused(0.99 * due, spent)
    assert not held.paused(1.01 * due + 1e-6, spent)


def test_a_count_that_goes_back_and_a_clock_that_stands_still_do_no_harm() -> None:
    held = Rate(1.0)
    held.paused(0.0, 100.0)
    before = held.tokens
    held.paused(0.0, 50.0)
    held.paused(-1.0, 50.0)
    assert held.tokens == before


# -- the verdicts


def test_outside_its_hours_it_pauses_and_says_so() -> None:
    policy = Policy(Limits.parse(hours="22-7"), cores=4)
    verdict = policy.judge(Readings(0.0, NOON))
    assert verdict.paused
    assert "22 to 7" in verdict.reason
    assert policy.judge(Readings(1.0, time(23))) == Verdict(False)


def test_it_pauses_for_its_owner_until_all_has_been_quiet() -> None:
    policy = Policy(Limits(only_idle=True), cores=4, quiet=60)
    assert policy.judge(Readings(0, NOON, idle=3600)) == Verdict(False)
    at_work = policy.judge(Readings(100, NOON, idle=0.5))
    assert at_work.paused
    assert "owner" in at_work.reason
    assert policy.judge(Readings(159, NOON, idle=59.5)).paused
    assert policy.judge(Readings(160, NOON, idle=60.5)) == Verdict(False)


def test_it_pauses_for_other_programs_and_where_nobody_tells_of_input() -> None:
    policy = Policy(Limits(only_idle=True), cores=4, quiet=60)
    assert policy.judge(Readings(0, NOON, others=OTHERS_MOST)) == Verdict(False)
    busy = policy.judge(Readings(1, NOON, others=OTHERS_MOST + 0.01))
    assert busy.paused
    assert "CPU" in busy.reason
    assert policy.judge(Readings(60.9, NOON)).paused
    assert policy.judge(Readings(61, NOON)) == Verdict(False)


def test_the_owner_is_nothing_to_a_guest_that_did_not_promise_it() -> None:
    policy = Policy(Limits(max_cpu=1.0), cores=4)
    assert policy.judge(Readings(0, NOON, idle=0.0, others=1.0)) == Verdict(False)


@pytest.mark.parametrize(
    ("limits", "word", "used"),
    [
        (Limits(max_cpu=0.25), "25 %", {"cpu": 1000.0}),
        (Limits(max_mbps=8e-6 * 1000), "Mbit/s", {"received": 1_000_000}),
        (Limits(max_mbps=8e-6 * 1000), "Mbit/s", {"sent": 1_000_000}),
    ],
)
def test_a_pause_for_a_rate_is_told_once_it_lasts(
    limits: Limits, word: str, used: dict[str, Any]
) -> None:
    policy = Policy(limits, cores=4)  # A CPU second, or 1000 bytes, a second.
    assert not policy.judge(Readings(0, NOON)).paused
    assert policy.judge(Readings(1, NOON, **used)) == Verdict(True)
    for later in (1.5, 1 + TOLD_AFTER - 0.01):
        assert policy.judge(Readings(later, NOON, **used)) == Verdict(True)
    told = policy.judge(Readings(1 + TOLD_AFTER, NOON, **used))
    assert told.paused
    assert word in told.reason
    assert not policy.judge(Readings(1100, NOON, **used)).paused


def test_so_many_chunks_may_come_as_the_line_has_room_for_and_for_their_results() -> None:
    full = 0.99 * 1e6 * BURST  # Of a megabyte a second, and a little is left.

    def more(chunk: float, result: float, **readings: Any) -> int | None:
        policy = Policy(Limits(max_mbps=8.0), cores=4)
        policy.judge(Readings(0, NOON))
        policy.judge(Readings(0, NOON, **readings))
        return policy.more(chunk, result, 0.0, 0)

    # Nobody knows yet how large they are.
    assert more(0, 0) == 1
    assert more(0, 0, asked=1) == 0
    assert more(full / 8, full / 16) == 8
    assert more(full / 8, full / 2) == 2
    # Those that are on their way will come, and all will have results, as those that are here.
    assert more(full / 8, full / 16, asked=full / 2) == 4
    assert more(full / 8, full / 8, owed=3 * full / 8) == 5
    assert more(full / 8, full / 16, received=int(full / 2), sent=1000) == 4
    assert more(full / 8, full / 16, received=1000, sent=int(full)) == 0
    assert Policy(Limits(max_cpu=0.5), cores=4).more(1, 1, 0.0, 0) is None


def test_far_from_the_broker_more_is_on_its_way() -> None:
    policy, now, asked = Policy(Limits(max_mbps=8.0), cores=4), 0.0, 0
    for _ in range(20):
        policy.judge(Readings(now, NOON, asked=1e4 * asked))
        asked += policy.more(1e4, 1e3, 0.2, now) or 0
        now += 0.05
    # As much as the rate gives in a round trip, and until the next decision.
    assert asked == pytest.approx(1e6 * (0.2 + REACH) / 1e4, abs=1)


def test_one_at_a_time_comes_of_chunks_that_are_too_large_for_the_limit() -> None:
    policy = Policy(Limits(max_mbps=0.1), cores=4)  # 12,500 bytes a second.
    policy.judge(Readings(0, NOON))
    assert policy.more(60_000, 1000, 0, 0) == 1
    policy.judge(Readings(0.1, NOON, asked=60_000, owed=1000))
    assert policy.more(60_000, 1000, 0, 0.1) == 0
    assert policy.judge(Readings(1, NOON, received=60_000, sent=1000)).paused
    policy.judge(Readings(4.9, NOON, received=60_000, sent=1000))
    assert policy.more(60_000, 1000, 0, 4.9) == 0
    policy.judge(Readings(5.4, NOON, received=60_000, sent=1000))
    assert policy.more(60_000, 1000, 0, 5.4) == 1


class Peer:
    """A guest with its line, as its broker sees it: what it asks for comes a round trip later.

    A chunk comes for each read while there are any, and each is worked on for a while.
    """

    def __init__(self, mbps: float, rtt: float, work: float, chunk: int, result: int) -> None:
        self.policy = Policy(Limits(max_mbps=mbps), cores=4)
        self.rtt, self.work, self.chunk, self.result = rtt, work, chunk, result
        self.received: list[tuple[float, float]] = []
        self.sent: list[tuple[float, float]] = []

    def run(self, seconds: float, has_work: Callable[[float], bool]) -> None:
        reads: deque[float] = deque()
        working: deque[float] = deque()
        known = False
        received = sent = 0
        for tick in range(int(seconds / STEP)):
            now = tick * STEP
            while reads and reads[0] <= now and has_work(now):
                reads.popleft()
                known = True
                self.received.append((now, self.chunk + NOISE))
                received += self.chunk + NOISE
                working.append(now + self.work)
            while working and working[0] <= now:
                working.popleft()
                self.sent.append((now, self.result))
                sent += self.result
            if tick % 5:
                continue
            chunk, result = (self.chunk, self.result) if known else (0, 0)
            self.policy.judge(
                Readings(
                    now,
                    NOON,
                    received=received,
                    sent=sent,
                    asked=len(reads) * max(chunk, 1),
                    owed=(len(reads) + len(working)) * result,
                )
            )
            more = self.policy.more(chunk, result, self.rtt, now)
            assert more is not None
            reads.extend([now + self.rtt] * more)


#: Seconds between two moments of such a peer, and bytes of a reply around a chunk.
STEP, NOISE = 0.01, 100


@settings(deadline=None, max_examples=20)
@given(
    mbps=st.sampled_from([1.0, 4.0]),
    rtt=st.floats(0, 0.5),
    work=st.floats(0.005, 0.06),
    chunk=st.integers(2_000, 15_000),
    result=st.integers(1_000, 30_000),
    idle=st.floats(0, 3),
)
def test_a_guests_line_holds_in_both_directions_and_is_used(
    mbps: float, rtt: float, work: float, chunk: int, result: int, idle: float
) -> None:
    peer = Peer(mbps, rtt, work, chunk, result)
    # It has had nothing to do before, and has asked for all that it may.
    peer.run(idle + rtt + 8, lambda now: now >= idle)
    limit = mbps * 125_000
    for went in (peer.received, peer.sent):
        assert worst(went) <= 1.05 * limit * SPAN
    fuller = max(peer.received, peer.sent, key=lambda went: went[0][1])
    settled = sum(size for at, size in fuller if at >= idle + rtt + SPAN)
    # A span holds a whole number of large ones.
    assert settled >= 0.9 * 6 * (limit - max(chunk, result) / SPAN)


@pytest.mark.parametrize("rtt", [0.0, 0.05, 0.15])
def test_a_guest_at_its_limit_goes_on_evenly(rtt: float) -> None:
    peer = Peer(4.0, rtt, 0.02, 12_000, 6_000)
    # Idle at first, so that it begins with all that it may ask for at once.
    peer.run(8, lambda now: now >= 1)
    for begin in range(3, 14):
        half = [size for at, size in peer.received if begin <= 2 * at < begin + 1]
        assert 0.6 <= sum(half) / (0.5 * 4 * 125_000) <= 1.4, begin / 2


def test_what_was_used_before_the_first_look_costs_nothing() -> None:
    policy = Policy(Limits(max_cpu=0.01), cores=1)
    assert policy.judge(Readings(0, NOON, cpu=50.0)) == Verdict(False)


def test_a_rate_goes_on_while_something_else_is_the_reason() -> None:
    policy = Policy(Limits.parse(hours="8-17", max_cpu="25%"), cores=4)
    policy.judge(Readings(0, NOON))
    policy.judge(Readings(1, NOON, cpu=10.0))
    assert "o'clock" in policy.judge(Readings(2, time(20), cpu=10.0)).reason
    # The debt of nine CPU seconds was paid meanwhile.
    assert policy.judge(Readings(12, NOON, cpu=10.0)) == Verdict(False)
