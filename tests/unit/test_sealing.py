"""What is sealed opens once, at the one end that it is for, and only as it was sealed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.errors import OwnFaultError, UsageError, WireError
from p2c2g.sealing import box as box_module
from p2c2g.sealing import gamer_end, peer_end
from p2c2g.sealing.agreement import Ends, Exchange, check_vouched, vouch
from p2c2g.sealing.box import Box, Counter
from p2c2g.sealing.gamer_end import GamerEnd, OpenedResult, Vouched
from p2c2g.sealing.identity import Identity, is_signed, key_of, text_of
from p2c2g.sealing.parts import joined
from p2c2g.sealing.peer_end import PeerEnd
from p2c2g.sealing.signing import Answer, Asked
from p2c2g.sealing.window import WINDOW, ReplayWindow

POOL = "pool1"
GAMER, OTHER_GAMER = "gamer01", "gamer02"
PEER, OTHER_PEER = "peer001", "peer002"
RUN = (7, 0, 1)
IDENTITY = Identity.generate()
OTHER_IDENTITY = Identity.generate()


def a_peer(peer: str = PEER, identity: Identity = IDENTITY, pool: str = POOL) -> PeerEnd:
    return PeerEnd(pool, peer, "instance", identity)


def vouched(end: PeerEnd, identity: Identity = IDENTITY) -> Vouched:
    return Vouched(identity.public, "instance", end.public, end.signature)


def ends(gamer: str = GAMER) -> tuple[GamerEnd, PeerEnd]:
    gamer_side, peer_side = GamerEnd(POOL, gamer), a_peer()
    gamer_side.admit(PEER, vouched(peer_side))
    return gamer_side, peer_side


def result_of(gamer: GamerEnd, run: gamer_end.Run, header: bytes, sealed: bytes) -> OpenedResult:
    found = gamer.open(PEER, run, header, sealed)
    assert found is not None
    return found


def answered(gamer: GamerEnd, peer: PeerEnd, run: gamer_end.Run = RUN) -> bytes:
    sealed = gamer.seal(PEER, run, b"header", b"picture")
    return peer.open(GAMER, b"header", sealed).answer(b"answer's header", b"residual")


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(WireError):
        call()


# -- there and back -------------------------------------------------------------------------------


@given(header=st.binary(max_size=300), picture=st.binary(max_size=2000),
       answer=st.binary(max_size=300), residual=st.binary(max_size=2000))  # fmt: skip
@settings(deadline=None)
def test_what_is_sealed_opens_at_the_other_end(
    header: bytes, picture: bytes, answer: bytes, residual: bytes
) -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, header, picture)
    opened = peer.open(GAMER, header, sealed)
    assert opened.picture == picture
    back = result_of(gamer, RUN, answer, opened.answer(answer, residual))
    assert back.residual == residual
    back.answer.check(back.key)


def test_it_adds_the_bytes_that_are_documented() -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"p" * 100)
    answer = peer.open(GAMER, b"header", sealed).answer(b"header", b"r" * 100)
    assert (len(sealed), len(answer)) == (100 + 57, 100 + 89)
    assert b"p" * 4 not in sealed
    assert b"r" * 4 not in answer


# -- whatever was changed, swapped or repeated ----------------------------------------------------


@given(data=st.data())
@settings(deadline=None)
def test_one_bit_more_or_less_is_refused(data: st.DataObject) -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    refused(lambda: peer.open(GAMER, b"header", _flipped(data, sealed)))
    answer = peer.open(GAMER, b"header", sealed).answer(b"answer", b"residual")
    refused(lambda: gamer.open(PEER, RUN, b"answer", _flipped(data, answer)))
    # What was forged took nothing away from what is real.
    assert result_of(gamer, RUN, b"answer", answer).residual == b"residual"


@given(cut=st.integers(min_value=0, max_value=120))
@settings(deadline=None)
def test_what_was_cut_off_is_refused(cut: int) -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    refused(lambda: peer.open(GAMER, b"header", sealed[: min(cut, len(sealed) - 1)]))
    answer = peer.open(GAMER, b"header", sealed).answer(b"answer", b"residual")
    refused(lambda: gamer.open(PEER, RUN, b"answer", answer[: min(cut, len(answer) - 1)]))


@given(junk=st.binary(max_size=200))
@settings(deadline=None)
def test_junk_is_refused(junk: bytes) -> None:
    gamer, peer = ends()
    gamer.seal(PEER, RUN, b"header", b"picture")
    refused(lambda: peer.open(GAMER, b"header", junk))
    refused(lambda: peer.open(GAMER, b"header", peer_end.MARK + junk))
    refused(lambda: gamer.open(PEER, RUN, b"header", junk))
    refused(lambda: gamer.open(PEER, RUN, b"header", peer_end.MARK + junk))


def test_a_header_that_was_swapped_is_refused() -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    refused(lambda: peer.open(GAMER, b"another header", sealed))
    answer = peer.open(GAMER, b"header", sealed).answer(b"answer", b"residual")
    refused(lambda: gamer.open(PEER, RUN, b"another answer", answer))


def test_what_is_for_one_peer_no_other_opens() -> None:
    gamer, peer = ends()
    other = a_peer(OTHER_PEER, OTHER_IDENTITY)
    gamer.admit(OTHER_PEER, vouched(other, OTHER_IDENTITY))
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    refused(lambda: other.open(GAMER, b"header", sealed))
    # Nor does it come for another's answer.
    gamer.seal(OTHER_PEER, RUN, b"header", b"picture")
    answer = peer.open(GAMER, b"header", sealed).answer(b"answer", b"residual")
    refused(lambda: gamer.open(OTHER_PEER, RUN, b"answer", answer))


def test_who_restarts_opens_nothing_of_earlier() -> None:
    gamer, _ = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    refused(lambda: a_peer().open(GAMER, b"header", sealed))


def test_what_one_gamer_sealed_is_no_other_gamers() -> None:
    gamer, peer = ends()
    refused(lambda: peer.open(OTHER_GAMER, b"header", gamer.seal(PEER, RUN, b"header", b"x")))


def test_another_pools_is_refused() -> None:
    gamer = GamerEnd("pool2", GAMER)
    peer = a_peer(pool=POOL)
    refused(lambda: gamer.admit(PEER, vouched(peer)))


def test_what_answers_one_session_is_refused_by_another() -> None:
    gamer, peer = ends()
    other = GamerEnd(POOL, GAMER)
    other.admit(PEER, vouched(peer))
    other.seal(PEER, RUN, b"header", b"picture")
    answer = answered(gamer, peer)
    refused(lambda: other.open(PEER, RUN, b"answer's header", answer))


def test_an_answer_to_one_run_is_none_to_another() -> None:
    gamer, peer = ends()
    gamer.seal(PEER, (7, 1, 1), b"header of another", b"picture")
    answer = answered(gamer, peer)
    refused(lambda: gamer.open(PEER, (7, 1, 1), b"answer's header", answer))
    assert gamer.open(PEER, (9, 9, 9), b"answer's header", answer) is None


def test_what_came_before_is_refused() -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    answer = peer.open(GAMER, b"header", sealed).answer(b"answer", b"residual")
    refused(lambda: peer.open(GAMER, b"header", sealed))
    assert gamer.open(PEER, RUN, b"answer", answer) is not None
    assert gamer.open(PEER, RUN, b"answer", answer) is None
    # Also where the same run is out again.
    gamer.seal(PEER, RUN, b"header", b"picture")
    refused(lambda: gamer.open(PEER, RUN, b"answer", answer))


def test_what_is_thrown_back_is_refused() -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    refused(lambda: gamer.open(PEER, RUN, b"header", sealed))
    refused(lambda: gamer.open(PEER, RUN, b"header", peer_end.MARK + sealed[33:]))
    answer = peer.open(GAMER, b"header", sealed).answer(b"answer", b"residual")
    refused(lambda: peer.open(GAMER, b"answer", answer))
    refused(lambda: peer.open(GAMER, b"answer", sealed[:33] + answer[1:]))


@given(order=st.permutations(range(20)), lost=st.sets(st.integers(0, 19)))
@settings(deadline=None, max_examples=25)
def test_order_and_loss_do_no_harm(order: list[int], lost: set[int]) -> None:
    gamer, peer = ends()
    sent = [gamer.seal(PEER, (each, 0, 1), b"h%d" % each, b"p%d" % each) for each in range(20)]
    answers = []
    for each in order:
        if each not in lost:
            opened = peer.open(GAMER, b"h%d" % each, sent[each])
            assert opened.picture == b"p%d" % each
            answers.append((each, opened.answer(b"a%d" % each, b"r%d" % each)))
    for each, answer in reversed(answers):
        back = result_of(gamer, (each, 0, 1), b"a%d" % each, answer)
        assert back.residual == b"r%d" % each


# -- who vouches ----------------------------------------------------------------------------------


def test_a_key_that_nobody_vouches_for_is_refused() -> None:
    gamer, peer = GamerEnd(POOL, GAMER), a_peer()
    good = vouched(peer)
    for wrong in (
        Vouched(OTHER_IDENTITY.public, good.instance, good.exchange, good.signature),
        Vouched(good.key, "another", good.exchange, good.signature),
        Vouched(good.key, good.instance, Exchange().public, good.signature),
        Vouched(good.key, good.instance, good.exchange, bytes(64)),
        Vouched(b"short", good.instance, good.exchange, b"short"),
    ):
        refused(lambda wrong=wrong: gamer.admit(PEER, wrong))  # type: ignore[misc]
    refused(lambda: gamer.admit(OTHER_PEER, good))
    refused(lambda: gamer.seal(PEER, RUN, b"header", b"picture"))


def test_a_peer_that_restarts_is_sealed_for_anew_and_its_earlier_answers_still_open() -> None:
    gamer, peer = ends()
    before = answered(gamer, peer)
    again = a_peer()
    gamer.admit(PEER, vouched(again))
    sealed = gamer.seal(PEER, (8, 0, 1), b"header", b"picture")
    assert again.open(GAMER, b"header", sealed).picture == b"picture"
    assert result_of(gamer, RUN, b"answer's header", before).residual == b"residual"


def test_to_admit_again_what_is_known_keeps_the_keys() -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    gamer.admit(PEER, vouched(peer))
    again = gamer.seal(PEER, (8, 0, 1), b"header", b"picture")
    assert peer.open(GAMER, b"header", sealed).picture == b"picture"
    assert peer.open(GAMER, b"header", again).picture == b"picture"


def test_a_signature_is_over_the_answer_and_the_question() -> None:
    gamer, peer = ends()
    good = result_of(gamer, RUN, b"answer's header", answered(gamer, peer)).answer
    good.check(IDENTITY.public)
    asked = good.asked
    for wrong in (
        replace(good, residual=bytes(32)),
        replace(good, header=b"other"),
        replace(good, signature=bytes(64)),
        replace(good, asked=replace(asked, picture=bytes(32))),
        replace(good, asked=replace(asked, header=b"other")),
        replace(good, asked=replace(asked, ends=Ends(POOL, PEER, OTHER_GAMER))),
    ):
        refused(lambda wrong=wrong: wrong.check(IDENTITY.public))  # type: ignore[misc]
    refused(lambda: good.check(OTHER_IDENTITY.public))


# -- bounds ---------------------------------------------------------------------------------------


LOW_ORDER = (
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
)


@pytest.mark.parametrize("point", LOW_ORDER, ids=range(len(LOW_ORDER)))
def test_a_key_by_which_anybody_knows_the_result_is_refused(point: bytes) -> None:
    refused(lambda: a_peer().open(GAMER, b"header", peer_end.MARK + point + bytes(40)))
    gamer = GamerEnd(POOL, GAMER)
    signature = vouch(IDENTITY, POOL, PEER, "instance", point)
    gamer.admit(PEER, Vouched(IDENTITY.public, "instance", point, signature))
    refused(lambda: gamer.seal(PEER, RUN, b"header", b"picture"))


def test_a_strangers_keys_cost_bounded_memory_and_leave_others_theirs() -> None:
    gamer, peer = ends()
    first = gamer.seal(PEER, RUN, b"header", b"picture")
    peer.open(GAMER, b"header", first)
    for _ in range(5 * peer_end.MAX_SESSIONS):
        key = peer_end.MARK + Exchange().public
        refused(lambda key=key: peer.open(OTHER_GAMER, b"header", key + bytes(40)))  # type: ignore[misc]
    assert len(peer._gamers[OTHER_GAMER]) == peer_end.MAX_SESSIONS
    refused(lambda: peer.open(GAMER, b"header", first))  # it is still known to have come


def test_gamers_peers_and_runs_are_kept_in_bounded_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_end, "MAX_GAMERS", 4)
    monkeypatch.setattr(gamer_end, "MAX_PEERS", 4)
    monkeypatch.setattr(gamer_end, "MAX_OUT", 4)
    _, peer = ends()
    for number in range(10):
        other = GamerEnd(POOL, f"gamer{number:02}")
        other.admit(PEER, vouched(peer))
        peer.open(f"gamer{number:02}", b"header", other.seal(PEER, RUN, b"header", b"x"))
    assert len(peer._gamers) == 4
    gamer, _ = ends()
    for number in range(10):
        another = PeerEnd(POOL, f"peer{number:03}", "instance", IDENTITY)
        gamer.admit(f"peer{number:03}", vouched(another))
        gamer.seal(f"peer{number:03}", RUN, b"header", b"x")
    assert len(gamer._lines) == len(gamer._out) == gamer._bytes == 4
    monkeypatch.setattr(gamer_end, "MAX_OUT_BYTES", 10)
    gamer.seal("peer009", RUN, b"header", bytes(9))
    gamer.seal("peer008", RUN, b"header", bytes(8))
    assert (len(gamer._out), gamer._bytes) == (1, 8)
    # Who gets chunks stays.
    gamer.seal("peer006", RUN, b"header", b"x")
    gamer.admit("peer010", vouched(PeerEnd(POOL, "peer010", "instance", IDENTITY)))
    gamer.seal("peer006", RUN, b"header", b"x")


def test_who_forgets_a_session_and_knows_it_again_uses_no_number_twice() -> None:
    gamer, peer = ends()
    first = answered(gamer, peer)
    for _ in range(peer_end.MAX_SESSIONS):
        refused(lambda: peer.open(GAMER, b"", peer_end.MARK + Exchange().public + bytes(40)))
    second = answered(gamer, peer, (8, 0, 1))
    assert first[1:9] != second[1:9]


def test_counters_and_sizes_end(monkeypatch: pytest.MonkeyPatch) -> None:
    key = os.urandom(32)
    ended = Box(key, Counter(box_module.MOST_MESSAGES))
    with pytest.raises(OwnFaultError):
        ended.seal(b"", b"")
    last = Box(key, Counter(box_module.MOST_MESSAGES - 1))
    assert Box(key, Counter()).open(b"".join(last.seal(b"last", b"")), b"") == b"last"
    beyond = box_module.MOST_MESSAGES.to_bytes(8, "big") + bytes(16)
    refused(lambda: last.open(beyond, b""))
    monkeypatch.setattr(box_module, "MOST_BYTES", 100)
    with pytest.raises(OwnFaultError):
        Box(key, Counter()).seal(bytes(101), b"")
    refused(lambda: last.open(bytes(8 + 101 + 16), b""))


def test_a_child_of_the_process_that_made_the_keys_opens_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gamer, peer = ends()
    sealed = gamer.seal(PEER, RUN, b"header", b"picture")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(OwnFaultError, match="-P threads"):
        peer.open(GAMER, b"header", sealed)


# -- the window -----------------------------------------------------------------------------------


@given(counters=st.lists(st.integers(0, 3 * 256), max_size=200))
def test_a_window_takes_each_number_once_and_refuses_what_is_too_old(counters: list[int]) -> None:
    window, seen, newest = ReplayWindow(256), set[int](), -1
    for counter in counters:
        expected = counter not in seen and newest - counter < 256
        assert window.is_new(counter) is expected
        assert window.take(counter) is expected
        seen.add(counter)
        newest = max(newest, counter)


@given(start=st.integers(0, 2**40), steps=st.lists(st.integers(-5000, 2**33), max_size=30))
def test_a_window_is_as_large_as_ever_after_any_leap(start: int, steps: list[int]) -> None:
    window, seen, newest, at = ReplayWindow(), set[int](), -1, start
    for step in steps:
        at = max(0, at + step)
        assert window.take(at) is (at not in seen and (newest < 0 or newest - at < WINDOW))
        seen.add(at)
        newest = max(newest, at)
    assert len(window._blocks) == WINDOW // 64 + 1
    assert not window.take(-1)


# -- identities, and what stands between parts ----------------------------------------------------


def test_an_identity_comes_back_from_its_text_and_shows_nothing_of_it() -> None:
    again = Identity.from_text(IDENTITY.text())
    assert again.public == IDENTITY.public
    assert is_signed(IDENTITY.public, again.sign(b"said"), b"said")
    assert not is_signed(IDENTITY.public, again.sign(b"said"), b"not said")
    assert IDENTITY.text() not in repr(again)


@pytest.mark.parametrize("text", ["", "x", "A" * 44, text_of(bytes(31)), text_of(bytes(33)),
                                  " " + text_of(bytes(32)), text_of(bytes(32)) + "\n",
                                  "é" * 44, "A" * 42 + "B="])  # fmt: skip
def test_what_is_no_key_is_refused_in_one_sentence_that_does_not_quote_it(text: str) -> None:
    with pytest.raises(WireError):
        key_of(text)
    with pytest.raises(UsageError, match="join the pool again") as caught:
        Identity.from_text(text)
    assert caught.value.__cause__ is None


@given(one=st.lists(st.binary(max_size=4)), other=st.lists(st.binary(max_size=4)))
def test_no_two_lists_of_parts_are_the_same_bytes(one: list[bytes], other: list[bytes]) -> None:
    assert (joined(*one) == joined(*other)) is (one == other)


def test_a_voucher_is_for_one_purpose_alone() -> None:
    exchange = Exchange().public
    signature = vouch(IDENTITY, POOL, PEER, "i", exchange)
    check_vouched(IDENTITY.public, signature, pool=POOL, peer=PEER, instance="i", exchange=exchange)
    answer = Answer(Asked(Ends(POOL, PEER, GAMER), b"", bytes(32)), b"", bytes(32), signature)
    refused(lambda: answer.check(IDENTITY.public))


def test_both_ends_derive_the_same_keys_and_no_other_ends_do() -> None:
    gamer, peer = Exchange(), Exchange()
    these = Ends(POOL, PEER, GAMER)
    keys = gamer.agree(these, gamer=gamer.public, peer=peer.public)
    assert keys == peer.agree(these, gamer=gamer.public, peer=peer.public)
    assert keys.there != keys.back
    for others in (Ends("x", PEER, GAMER), Ends(POOL, GAMER, PEER), Ends(POOL, PEER, "x")):
        assert gamer.agree(others, gamer=gamer.public, peer=peer.public).there != keys.there


def _flipped(data: st.DataObject, sealed: bytes) -> bytes:
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
