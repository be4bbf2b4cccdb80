"""The book of peers: who is kept, who is forgotten, and that all tables speak of the same peers."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2c2g.peers.book import MAX_TOLD, MAX_UNREGISTERED, QUORUM, PeerBook
from p2c2g.peers.breaker import COOLDOWN, ERRORS_ENOUGH, Breakers, Outcome, State
from p2c2g.peers.health import Health
from p2c2g.peers.trust import Trust
from p2c2g.routing.policies import make
from p2c2g.routing.router import Facts, Router
from tests.effort import examples

OPERATION = "upscale:2:bicubic"
#: Peers known that are not registered, where a test fills the book.
ROOM = 6


class Session:
    """A book with all tables that write in it, and what a session does with them."""

    def __init__(self, max_unregistered: int = ROOM) -> None:
        self.book = PeerBook(max_unregistered)
        self.breakers = Breakers(self.book)
        self.health = Health(self.book)
        self.trust = Trust(Random(1), self.book)
        self.router = Router(
            make("predictive", Random(1)), session="s", operation=OPERATION, megapixels=(0.5,),
            need=1.0, deadline=0.1, book=self.book, health=self.health, trust=self.trust,
            breakers=self.breakers,
        )  # fmt: skip

    def learn(self, *peers: str, now: float = 0.0) -> frozenset[str]:
        return self.router.learn([Facts(peer, ready=True) for peer in peers], now)

    def result(self, peer: str, now: float) -> None:
        self.breakers.record(peer, Outcome.GOOD, now)
        rtt = self.router.answered(peer, 0.01, now)
        self.health.result(peer, OPERATION, 0.5, 0.01, rtt, on_time=True, now=now)

    def failure(self, peer: str, now: float) -> None:
        self.breakers.record(peer, Outcome.BAD, now)
        self.health.failed(peer, OPERATION, now)

    def shut_out(self, peer: str, now: float = 0.0) -> None:
        for _ in range(ERRORS_ENOUGH):
            self.failure(peer, now)

    @property
    def names(self) -> list[str]:
        return [peer.name for peer in self.book]


def test_who_is_heard_of_least_lately_comes_first() -> None:
    book = PeerBook()
    for now, peer in enumerate(["ada", "bob", "ada"]):
        book.heard(peer, float(now))
    book.known("zoe")  # was never heard of
    assert [peer.name for peer in book] == ["zoe", "bob", "ada"]
    assert [peer.name for peer in reversed(book)] == ["ada", "bob", "zoe"]
    assert [peer.name for peer in book.heard_since(1.0)] == ["ada", "bob"]
    assert [peer.name for peer in book.heard_since(1.5)] == ["ada"]
    assert book.get("nobody") is None
    assert len(book) == 3


def test_the_registry_s_order_is_kept_and_who_left_is_told_once() -> None:
    book = PeerBook()
    assert book.register(["zoe", "ada"]) == frozenset()
    assert [peer.name for peer in book.registered] == ["zoe", "ada"]
    assert book.register(["ada", "bob"]) == {"zoe"}
    assert book.register(["ada", "bob"]) == frozenset()
    assert [peer.name for peer in book.registered] == ["ada", "bob"]


def test_one_more_name_drops_the_one_heard_of_least_lately() -> None:
    session = Session()
    for number in range(ROOM):
        session.result(f"peer{number}", float(number))
    session.result("peer0", 10.0)
    session.result("one more", 11.0)
    assert set(session.names) == {"peer0", "peer2", "peer3", "peer4", "peer5", "one more"}


def test_who_is_shut_out_is_dropped_only_where_all_are() -> None:
    session = Session()
    for number in range(ROOM):
        session.shut_out(f"liar{number}", float(number) / 10)
    session.result("stranger", 1.0)
    assert session.book.get("liar0") is None
    session.result("another", 1.1)
    assert session.book.get("stranger") is None
    assert session.breakers.state("liar1", 1.1) is State.OPEN


def test_who_was_forgotten_is_new_to_every_table() -> None:
    session = Session()
    for _ in range(5):
        session.trust.valid("ada")
    session.result("ada", 0.0)
    clock = session.book.known("ada").clock
    clock.spans(0.0, 5.0, 5.0, 1.0)
    for number in range(ROOM):
        session.result(f"stranger{number}", 1.0)
    assert "ada" not in session.names
    assert session.trust.in_a_row("ada") == 0
    assert session.health.of("ada", OPERATION) is None
    assert session.router.candidate("ada") is None
    assert "ada" not in session.breakers.states(1.0)
    assert session.book.known("ada").clock is not clock


def test_many_that_leave_at_once_are_kept_as_far_as_there_is_room() -> None:
    session = Session()
    session.learn(*(f"peer{number}" for number in range(50)))
    session.shut_out("peer7", 0.0)
    for number in range(20, 30):
        session.result(f"peer{number}", float(number))
    assert len(session.learn(now=40.0)) == 50
    assert session.names == ["peer7", "peer25", "peer26", "peer27", "peer28", "peer29"]


def test_there_is_room_for_every_breaker_that_sessions_share() -> None:
    session = Session(MAX_UNREGISTERED)
    shared = {
        f"liar{number}": {f"s{each}": 60.0 for each in range(QUORUM)} for number in range(MAX_TOLD)
    }
    session.breakers.share(shared, 0.0)
    for number in range(10 * MAX_UNREGISTERED):
        session.result(f"stranger{number}", 1.0)
    assert all(session.breakers.state(peer, 1.0) is State.OPEN for peer in shared)


NAMES = st.sampled_from([f"peer{number}" for number in range(2 * ROOM)])


class AnyPeers(RuleBasedStateMachine):
    """Peers that come, go, lie and make up names."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session()
        self.now = 0.0
        self.made_up = 0
        self.registered: list[str] = []

    @rule(peer=NAMES)
    def answer(self, peer: str) -> None:
        self.session.result(peer, self.now)

    @rule(peer=NAMES)
    def fail(self, peer: str) -> None:
        self.session.failure(peer, self.now)

    @rule(peer=NAMES)
    def lie(self, peer: str) -> None:
        self.session.shut_out(peer, self.now)

    @rule(peer=NAMES, good=st.booleans())
    def compare(self, peer: str, good: bool) -> None:
        if good:
            self.session.trust.valid(peer)
        else:
            self.session.trust.invalid(peer)

    @rule(peer=NAMES)
    def send(self, peer: str) -> None:
        self.session.router.sent(peer, self.now)

    @rule(seconds=st.floats(0, 1.5 * COOLDOWN))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(good=st.booleans())
    def try_one(self, good: bool) -> None:
        peer = self.session.breakers.trial(self.now)
        if peer is not None:
            self.session.breakers.tried(peer, self.now, good=good)

    @rule(
        left=st.dictionaries(NAMES, st.floats(-5, 5), max_size=4),
        sessions=st.integers(1, QUORUM),
    )
    def share(self, left: dict[str, float], sessions: int) -> None:
        words = {
            peer: {f"s{each}": seconds for each in range(sessions)}
            for peer, seconds in left.items()
        }
        self.session.breakers.share(words, self.now)

    @rule(peers=st.lists(NAMES, unique=True))
    def register(self, peers: list[str]) -> None:
        gone = self.session.learn(*peers, now=self.now)
        assert gone == set(self.registered) - set(peers)
        assert all(self.session.router.candidate(peer) is None for peer in gone)
        self.registered = peers

    @rule(count=st.integers(1, 3 * ROOM), data=st.data())
    def flood(self, count: int, data: st.DataObject) -> None:
        """Let a stranger make up names: it washes away nobody who is registered or shut out."""
        book = self.session.book
        kept = {peer.name: peer for peer in book if peer.is_registered or peer.is_shut_out}
        shut = [peer for peer in kept.values() if not peer.is_registered]
        for _ in range(count):
            self.made_up += 1
            name = f"made up {self.made_up}"
            (self.session.failure if data.draw(st.booleans()) else self.session.result)(
                name, self.now
            )
        lost = [name for name, peer in kept.items() if book.get(name) is not peer]
        # One at most makes room, where every other place is taken by who is shut out.
        assert lost == ([] if len(shut) < ROOM else [shut[0].name])

    @invariant()
    def the_bound_holds(self) -> None:
        book = self.session.book
        assert [peer.name for peer in book.registered] == self.registered
        assert sum(not peer.is_registered for peer in book) <= ROOM
        assert all(peer.is_registered for peer in book.registered)

    @invariant()
    def they_are_in_the_order_of_hearing(self) -> None:
        heard = [peer.heard_at for peer in self.session.book]
        assert heard == sorted(heard)
        assert [*reversed(self.session.book)] == [*self.session.book][::-1]

    @invariant()
    def all_tables_speak_of_the_same_peers(self) -> None:
        session, names = self.session, set(self.session.names)
        assert len(names) == len(session.book)
        assert set(session.breakers.states(self.now)) <= names
        assert set(session.health.peers()) <= names
        assert set(session.trust.snapshot().peers) <= names
        assert set(session.router.pool) <= set(self.registered) <= names
        for name in {*self.registered, *(f"peer{number}" for number in range(2 * ROOM))} - names:
            assert session.breakers.state(name, self.now) is State.CLOSED
            assert session.health.of(name, OPERATION) is None
            assert (session.trust.in_a_row(name), session.trust.caught(name)) == (0, 0)
            assert session.router.candidate(name) is None


TestAnyPeers = AnyPeers.TestCase
TestAnyPeers.settings = settings(deadline=None, max_examples=examples(60))
