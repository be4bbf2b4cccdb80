"""The breakers: opened by errors and by lateness, closed by trials, shared by sessions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p2c2g.peers.book import MAX_UNREGISTERED, QUORUM, PeerBook
from p2c2g.peers.breaker import (
    COOLDOWN,
    COOLDOWN_MOST,
    ERRORS_ENOUGH,
    LATE_SPACING,
    PROVEN,
    TRIAL_TIMEOUT,
    TRIALS,
    Breakers,
    Change,
    Outcome,
    State,
    Words,
)

GOOD, BAD, LATE = Outcome.GOOD, Outcome.BAD, Outcome.LATE


def new_breakers() -> Breakers:
    return Breakers(PeerBook())


def record(
    breakers: Breakers, peer: str, *outcomes: Outcome, now: float = 0.0, every: float = 0.0
) -> None:
    for number, outcome in enumerate(outcomes):
        breakers.record(peer, outcome, now + number * every)


def opened(now: float = 0.0) -> Breakers:
    breakers = new_breakers()
    record(breakers, "liar", *[BAD] * ERRORS_ENOUGH, now=now)
    assert breakers.state("liar", now) is State.OPEN
    return breakers


def test_a_liar_is_out_within_ten_chunks() -> None:
    breakers = new_breakers()
    chunks = 0
    while breakers.state("liar", 0.0) is State.CLOSED:
        breakers.record("liar", BAD, 0.0)
        chunks += 1
    assert chunks == ERRORS_ENOUGH < 10
    assert breakers.take_changes() == [Change("liar", COOLDOWN)]
    assert breakers.take_changes() == []


def test_who_has_left_is_not_tried_until_it_is_back() -> None:
    book = PeerBook()
    breakers = Breakers(book)
    book.register(["liar", "ada"])
    record(breakers, "liar", *[BAD] * ERRORS_ENOUGH)
    breakers.take_changes()
    assert breakers.trial(COOLDOWN) == "liar"
    book.register(["ada"])
    for hour in range(1, 100):
        assert breakers.trial(hour * 3600.0) is None
    assert breakers.take_changes() == [], "it is told again and again"
    book.register(["ada", "liar"])
    assert breakers.trial(1e6) == "liar"


def test_few_errors_among_good_ones_open_nothing() -> None:
    breakers = new_breakers()
    record(breakers, "ada", *[GOOD, GOOD, BAD] * 20)
    assert breakers.state("ada", 0.0) is State.CLOSED


def test_a_peer_that_is_late_alone_is_out() -> None:
    breakers = new_breakers()
    record(breakers, "ada", *[GOOD] * 20)
    record(breakers, "slow", *[LATE] * 10, every=2 * LATE_SPACING)
    assert breakers.state("slow", 2.0) is State.OPEN
    assert breakers.state("ada", 0.0) is State.CLOSED


def test_a_burst_of_late_ones_is_one_event() -> None:
    breakers = new_breakers()
    record(breakers, "ada", *[GOOD] * 20)
    record(breakers, "cut off", *[LATE] * 50, every=LATE_SPACING / 10)
    assert breakers.state("cut off", 1.0) is State.CLOSED


def test_where_all_are_late_none_is_to_blame() -> None:
    breakers = new_breakers()
    for number in range(30):
        record(breakers, "ada", LATE, now=float(number))
        record(breakers, "zoe", LATE, now=float(number))
    assert {state for state, _ in breakers.states(0.0).values()} == {State.CLOSED}


def test_the_only_peer_is_never_out_for_being_late() -> None:
    breakers = new_breakers()
    record(breakers, "ada", *[LATE] * 50, every=2 * LATE_SPACING)
    assert breakers.state("ada", 10.0) is State.CLOSED


def test_trials_close_it_one_at_a_time() -> None:
    breakers = opened()
    breakers.take_changes()
    assert breakers.trial(COOLDOWN - 0.001) is None
    now = COOLDOWN
    for number in range(TRIALS):
        assert breakers.state("liar", now) is State.HALF_OPEN, number
        assert breakers.trial(now) == "liar"
        assert breakers.trial(now) is None  # one is out
        breakers.tried("liar", now, good=True)
    assert breakers.state("liar", now) is State.CLOSED
    assert breakers.take_changes() == [Change("liar", 0.0)]
    assert breakers.trial(now) is None


def test_a_bad_trial_opens_it_for_twice_as_long() -> None:
    breakers = opened()
    assert breakers.trial(COOLDOWN) == "liar"
    breakers.tried("liar", COOLDOWN, good=False)
    assert breakers.state("liar", 3 * COOLDOWN - 0.001) is State.OPEN
    assert breakers.state("liar", 3 * COOLDOWN) is State.HALF_OPEN


def test_a_trial_that_is_not_answered_has_failed() -> None:
    breakers = opened()
    assert breakers.trial(COOLDOWN) == "liar"
    assert breakers.trial(COOLDOWN + TRIAL_TIMEOUT) is None
    assert breakers.state("liar", COOLDOWN + TRIAL_TIMEOUT) is State.HALF_OPEN
    assert breakers.trial(COOLDOWN + TRIAL_TIMEOUT + 0.1) is None
    assert breakers.state("liar", COOLDOWN + TRIAL_TIMEOUT + 0.1) is State.OPEN


def test_a_trial_that_was_not_sent_may_be_sent_again() -> None:
    breakers = opened()
    assert breakers.trial(COOLDOWN) == "liar"
    breakers.withdraw_trial("liar")
    assert breakers.trial(COOLDOWN) == "liar"


def test_the_cooldown_has_an_end() -> None:
    breakers, now = opened(), 0.0
    for _ in range(20):
        now += COOLDOWN_MOST
        assert breakers.trial(now) == "liar"
        breakers.tried("liar", now, good=False)
    assert breakers.state("liar", now + COOLDOWN_MOST) is State.HALF_OPEN


def test_what_came_before_the_breaker_opened_is_not_held_against_the_peer_twice() -> None:
    breakers = opened()
    record(breakers, "liar", *[BAD] * 50)  # still coming in
    assert breakers.states(0.0)["liar"] == (State.OPEN, 1)


def said(peer: str, seconds: float, sessions: int = QUORUM) -> Words:
    """Return what so many sessions say of a peer."""
    return {peer: {f"s{number}": seconds for number in range(sessions)}}


def closes(breakers: Breakers, peer: str, now: float) -> None:
    """Let the trials of a peer that is on trial end well."""
    for _ in range(TRIALS):
        assert breakers.trial(now) == peer
        breakers.tried(peer, now, good=True)
    assert breakers.state(peer, now) is State.CLOSED


def test_a_peer_that_a_quorum_opened_is_open_here_and_closes_with_it() -> None:
    breakers = new_breakers()
    record(breakers, "liar", GOOD)
    breakers.share(said("liar", 5.0), now=100.0)
    assert breakers.state("liar", 104.9) is State.OPEN
    assert breakers.state("liar", 105.0) is State.HALF_OPEN
    assert breakers.take_changes() == []  # it is not ours to tell
    breakers.share({}, now=101.0)
    assert breakers.state("liar", 101.0) is State.CLOSED


def test_a_peer_that_one_other_session_opened_is_tried_here() -> None:
    breakers = new_breakers()
    breakers.share(said("liar", 1e9, 1), now=100.0)
    assert breakers.state("liar", 100.0) is State.HALF_OPEN
    breakers.share(said("liar", 1e9, 1), now=100.2)
    closes(breakers, "liar", 100.3)
    # From now on it is known here.
    breakers.share(said("liar", 1e9, 1), now=101.0)
    assert breakers.state("liar", 101.0) is State.CLOSED
    breakers.share({}, now=102.0)
    breakers.share(said("bad", 30.0, 1), now=103.0)
    assert breakers.trial(103.0) == "bad"
    breakers.tried("bad", 103.0, good=False)
    breakers.share({}, now=103.1)
    assert breakers.state("bad", 103.1) is State.OPEN, "what was found here is forgotten"


def test_years_are_a_minute_and_come_once() -> None:
    breakers = new_breakers()
    for second in range(int(COOLDOWN_MOST)):
        breakers.share(said("ada", 1e9, 100), now=float(second))
        assert breakers.state("ada", float(second)) is State.OPEN
    closes(breakers, "ada", COOLDOWN_MOST)
    breakers.share(said("ada", 1e9, 100), now=COOLDOWN_MOST + 1)
    assert breakers.state("ada", COOLDOWN_MOST + 1) is State.CLOSED


def test_who_does_good_work_here_stays_whatever_others_say() -> None:
    breakers = new_breakers()
    record(breakers, "ada", *[GOOD] * PROVEN)
    record(breakers, "eve", *[GOOD] * PROVEN, *[BAD] * PROVEN)
    breakers.share(said("ada", 60.0, 100) | said("eve", 60.0), now=1.0)
    assert breakers.state("ada", 1.0) is State.CLOSED
    assert breakers.state("eve", 1.0) is State.OPEN
    record(breakers, "ada", *[BAD] * ERRORS_ENOUGH, now=1.1)
    assert breakers.state("ada", 1.1) is State.OPEN, "its good name makes it immune"


@given(
    st.lists(st.sampled_from([*Outcome]), max_size=12),
    st.dictionaries(
        st.sampled_from(["s1", "s2", "s3"]), st.floats(-1e3, 1e12), max_size=QUORUM - 1
    ),
)
def test_too_few_liars_for_a_quorum_put_a_peer_on_trial_and_do_no_more(
    conduct: list[Outcome], words: dict[str, float]
) -> None:
    breakers, alone = new_breakers(), new_breakers()
    for each in (breakers, alone):
        record(each, "ada", *conduct, every=1.0)
    breakers.share({"ada": words} if words else {}, now=50.0)
    before, after = alone.state("ada", 50.0), breakers.state("ada", 50.0)
    if before is not State.CLOSED or not words:
        assert after is before
        return
    assert after in (State.CLOSED, State.HALF_OPEN)
    if after is State.HALF_OPEN:
        closes(breakers, "ada", 50.0)
        breakers.share({"ada": words}, now=50.1)
        assert breakers.state("ada", 50.1) is State.CLOSED


def test_what_was_opened_here_and_not_yet_told_stays_open() -> None:
    breakers = opened()
    breakers.share({}, now=0.1)
    assert breakers.state("liar", 0.1) is State.OPEN
    changes = breakers.take_changes()
    breakers.put_back(changes)
    breakers.share({}, now=0.2)
    assert breakers.take_changes() == changes
    assert breakers.state("liar", 0.2) is State.OPEN


def test_what_the_broker_lost_is_told_again() -> None:
    breakers = opened()
    breakers.take_changes()
    breakers.share(said("liar", 2.0) | said("another's", 2.0), now=0.0)
    breakers.forget_shared(now=1.0)
    breakers.share({}, now=1.0)
    assert breakers.state("liar", 1.0) is State.OPEN
    [change] = breakers.take_changes()
    assert (change.peer, change.seconds > 0) == ("liar", True)


def test_strangers_do_not_fill_the_memory_and_open_ones_are_kept() -> None:
    breakers = opened()
    for number in range(2 * MAX_UNREGISTERED):
        record(breakers, f"peer {number}", GOOD)
    assert len(breakers.states(0.0)) == MAX_UNREGISTERED
    assert breakers.state("liar", 0.0) is State.OPEN


PEERS = st.sampled_from(["ada", "bob", "zoe"])


class AnyConduct(RuleBasedStateMachine):
    """Peers that do anything, and sessions that tell anything."""

    def __init__(self) -> None:
        super().__init__()
        self.breakers = new_breakers()
        self.now = 0.0
        self.on_trial: set[str] = set()

    @rule(peer=PEERS, outcome=st.sampled_from(list(Outcome)), count=st.integers(1, 12))
    def record(self, peer: str, outcome: Outcome, count: int) -> None:
        before = self.breakers.state(peer, self.now)
        record(self.breakers, peer, *[outcome] * count, now=self.now)
        if before is not State.CLOSED:
            assert self.breakers.state(peer, self.now) is before

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def try_one(self) -> None:
        peer = self.breakers.trial(self.now)
        if peer is not None:
            assert self.breakers.state(peer, self.now) is State.HALF_OPEN
            self.on_trial.add(peer)

    @precondition(lambda self: self.on_trial)
    @rule(good=st.booleans(), data=st.data())
    def answer(self, good: bool, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from(sorted(self.on_trial)))
        self.on_trial.discard(peer)
        self.breakers.tried(peer, self.now, good=good)

    @rule(
        words=st.dictionaries(
            PEERS,
            st.dictionaries(
                st.sampled_from(["s1", "s2", "s3", "s4"]), st.floats(-5, 1e9), min_size=1
            ),
        )
    )
    def share(self, words: Words) -> None:
        before = {peer: self.breakers.state(peer, self.now) for peer in words}
        self.breakers.share(words, self.now)
        for peer in words:
            breaker = self.breakers._book.known(peer).breaker
            assert breaker is not None
            if not breaker.is_proven:
                assert self.breakers.state(peer, self.now) is not State.CLOSED
            if before[peer] is State.CLOSED and self.breakers.state(peer, self.now) is State.OPEN:
                assert breaker.until - self.now <= COOLDOWN_MOST + 1e-6

    @rule()
    def tell(self) -> None:
        for change in self.breakers.take_changes():
            assert 0 <= change.seconds <= COOLDOWN_MOST

    @invariant()
    def each_has_one_state(self) -> None:
        for state, opened_ in self.breakers.states(self.now).values():
            assert state in State
            assert opened_ >= 0


TestAnyConduct = AnyConduct.TestCase
