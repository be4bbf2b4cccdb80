"""The breakers: opened by errors and by lateness, closed by probes, shared by sessions."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p2c2g.peers.breaker import (
    COOLDOWN,
    COOLDOWN_MOST,
    ERRORS_ENOUGH,
    LATE_SPACING,
    MAX_PEERS,
    PROBE_TIMEOUT,
    PROBES,
    Board,
    Change,
    Outcome,
    State,
)

GOOD, BAD, LATE = Outcome.GOOD, Outcome.BAD, Outcome.LATE


def record(
    board: Board, peer: str, *outcomes: Outcome, now: float = 0.0, every: float = 0.0
) -> None:
    for number, outcome in enumerate(outcomes):
        board.record(peer, outcome, now + number * every)


def opened(now: float = 0.0) -> Board:
    board = Board()
    record(board, "liar", *[BAD] * ERRORS_ENOUGH, now=now)
    assert board.state("liar", now) is State.OPEN
    return board


def test_a_liar_is_out_within_ten_chunks() -> None:
    board = Board()
    chunks = 0
    while board.state("liar", 0.0) is State.CLOSED:
        board.record("liar", BAD, 0.0)
        chunks += 1
    assert chunks == ERRORS_ENOUGH < 10
    assert board.take_changes() == [Change("liar", COOLDOWN)]
    assert board.take_changes() == []


def test_few_errors_among_good_ones_open_nothing() -> None:
    board = Board()
    record(board, "ada", *[GOOD, GOOD, BAD] * 20)
    assert board.state("ada", 0.0) is State.CLOSED


def test_a_peer_that_is_late_alone_is_out() -> None:
    board = Board()
    record(board, "ada", *[GOOD] * 20)
    record(board, "slow", *[LATE] * 10, every=2 * LATE_SPACING)
    assert board.state("slow", 2.0) is State.OPEN
    assert board.state("ada", 0.0) is State.CLOSED


def test_a_burst_of_late_ones_is_one_event() -> None:
    board = Board()
    record(board, "ada", *[GOOD] * 20)
    record(board, "cut off", *[LATE] * 50, every=LATE_SPACING / 10)
    assert board.state("cut off", 1.0) is State.CLOSED


def test_where_all_are_late_none_is_to_blame() -> None:
    board = Board()
    for number in range(30):
        record(board, "ada", LATE, now=float(number))
        record(board, "zoe", LATE, now=float(number))
    assert {state for state, _ in board.states(0.0).values()} == {State.CLOSED}


def test_the_only_peer_is_never_out_for_being_late() -> None:
    board = Board()
    record(board, "ada", *[LATE] * 50, every=2 * LATE_SPACING)
    assert board.state("ada", 10.0) is State.CLOSED


def test_probes_close_it_one_at_a_time() -> None:
    board = opened()
    board.take_changes()
    assert board.probe(COOLDOWN - 0.001) is None
    now = COOLDOWN
    for number in range(PROBES):
        assert board.state("liar", now) is State.HALF_OPEN, number
        assert board.probe(now) == "liar"
        assert board.probe(now) is None  # one is out
        board.probed("liar", now, good=True)
    assert board.state("liar", now) is State.CLOSED
    assert board.take_changes() == [Change("liar", 0.0)]
    assert board.probe(now) is None


def test_a_bad_probe_opens_it_for_twice_as_long() -> None:
    board = opened()
    assert board.probe(COOLDOWN) == "liar"
    board.probed("liar", COOLDOWN, good=False)
    assert board.state("liar", 3 * COOLDOWN - 0.001) is State.OPEN
    assert board.state("liar", 3 * COOLDOWN) is State.HALF_OPEN


def test_a_probe_that_is_not_answered_has_failed() -> None:
    board = opened()
    assert board.probe(COOLDOWN) == "liar"
    assert board.probe(COOLDOWN + PROBE_TIMEOUT) is None
    assert board.state("liar", COOLDOWN + PROBE_TIMEOUT) is State.HALF_OPEN
    assert board.probe(COOLDOWN + PROBE_TIMEOUT + 0.1) is None
    assert board.state("liar", COOLDOWN + PROBE_TIMEOUT + 0.1) is State.OPEN


def test_a_probe_that_was_not_sent_may_be_sent_again() -> None:
    board = opened()
    assert board.probe(COOLDOWN) == "liar"
    board.unprobe("liar")
    assert board.probe(COOLDOWN) == "liar"


def test_the_cooldown_has_an_end() -> None:
    board, now = opened(), 0.0
    for _ in range(20):
        now += COOLDOWN_MOST
        assert board.probe(now) == "liar"
        board.probed("liar", now, good=False)
    assert board.state("liar", now + COOLDOWN_MOST) is State.HALF_OPEN


def test_what_came_before_the_breaker_opened_is_not_held_against_the_peer_twice() -> None:
    board = opened()
    record(board, "liar", *[BAD] * 50)  # still coming in
    assert board.states(0.0)["liar"] == (State.OPEN, 1)


def test_a_peer_that_another_session_opened_is_open_here_and_closes_with_it() -> None:
    board = Board()
    record(board, "liar", GOOD)
    board.share({"liar": 5.0}, now=100.0)
    assert board.state("liar", 104.9) is State.OPEN
    assert board.state("liar", 105.0) is State.HALF_OPEN
    assert board.take_changes() == []  # it is not ours to tell
    board.share({}, now=101.0)
    assert board.state("liar", 101.0) is State.CLOSED


def test_what_was_opened_here_and_not_yet_told_stays_open() -> None:
    board = opened()
    board.share({}, now=0.1)
    assert board.state("liar", 0.1) is State.OPEN
    changes = board.take_changes()
    board.put_back(changes)
    board.share({}, now=0.2)
    assert board.take_changes() == changes
    assert board.state("liar", 0.2) is State.OPEN


def test_what_the_broker_lost_is_told_anew() -> None:
    board = opened()
    board.take_changes()
    board.share({"liar": 2.0}, now=0.0)
    board.forget_shared(now=1.0)
    board.share({}, now=1.0)
    assert board.state("liar", 1.0) is State.OPEN
    [change] = board.take_changes()
    assert (change.peer, change.seconds > 0) == ("liar", True)


def test_strangers_do_not_fill_the_memory_and_open_ones_are_kept() -> None:
    board = opened()
    for number in range(2 * MAX_PEERS):
        record(board, f"peer {number}", GOOD)
    assert len(board) == MAX_PEERS
    assert board.state("liar", 0.0) is State.OPEN


PEERS = st.sampled_from(["ada", "bob", "zoe"])


class AnyConduct(RuleBasedStateMachine):
    """Peers that do anything, and sessions that tell anything."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board()
        self.now = 0.0
        self.probing: set[str] = set()

    @rule(peer=PEERS, outcome=st.sampled_from(list(Outcome)), count=st.integers(1, 12))
    def record(self, peer: str, outcome: Outcome, count: int) -> None:
        before = self.board.state(peer, self.now)
        record(self.board, peer, *[outcome] * count, now=self.now)
        if before is not State.CLOSED:
            assert self.board.state(peer, self.now) is before

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def probe(self) -> None:
        peer = self.board.probe(self.now)
        if peer is not None:
            assert self.board.state(peer, self.now) is State.HALF_OPEN
            self.probing.add(peer)

    @precondition(lambda self: self.probing)
    @rule(good=st.booleans(), data=st.data())
    def answer(self, good: bool, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from(sorted(self.probing)))
        self.probing.discard(peer)
        self.board.probed(peer, self.now, good=good)

    @rule(left=st.dictionaries(PEERS, st.floats(-5, 5)))
    def share(self, left: dict[str, float]) -> None:
        self.board.share(left, self.now)
        for peer in left:
            if peer not in {change.peer for change in self.board._changes}:
                assert self.board.state(peer, self.now) is not State.CLOSED

    @rule()
    def tell(self) -> None:
        for change in self.board.take_changes():
            assert 0 <= change.seconds <= COOLDOWN_MOST

    @invariant()
    def each_has_one_state(self) -> None:
        for state, opened_ in self.board.states(self.now).values():
            assert state in State
            assert opened_ >= 0


TestAnyConduct = AnyConduct.TestCase
