"""A session and a worker of an open pool, with nobody between them but the test."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from random import Random
from time import monotonic

import pytest
from celery.exceptions import Ignore
from pydantic import SecretStr

from p2c2g.errors import UsageError, WireError
from p2c2g.media.frame import Frame
from p2c2g.media.wire import ChunkHeader
from p2c2g.peers.standing import Voucher
from p2c2g.routing.router import Facts
from p2c2g.sealing.gamer_end import GamerEnd, Vouched
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.sealing.peer_end import PeerEnd
from p2c2g.session.seals import SPOT, Plain, seals_for
from p2c2g_workers import opening
from tests.sealed import (
    GAMER,
    IDENTITY,
    OTHER,
    PEER,
    PIXELS,
    Desk,
    Worker,
    admitted,
    membership,
)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, worker: Worker) -> Iterator[Desk]:
    here = Desk(monkeypatch, worker)
    yield here
    here.close()


def test_a_picture_travels_sealed_and_its_result_comes_back_sealed(
    desk: Desk, worker: Worker
) -> None:
    _, header, payload, peer = desk.submit()
    assert peer == PEER
    assert ChunkHeader.unpack(header).codec == "png"
    assert b"IHDR" not in payload
    result = worker.enhance(header, payload)
    desk.take(result, PEER)
    assert (desk.accepted, desk.failed) == (1, 0)
    told = desk.figures["sealing"]
    assert (told["chunks"], told["results"], told["refused"]) == (1, 1, 0)
    assert told["bytes_a_chunk"] == 57 + 89


def test_what_comes_twice_counts_once_and_against_nobody(desk: Desk, worker: Worker) -> None:
    _, header, payload, _ = desk.submit()
    result = worker.enhance(header, payload)
    desk.take(result, PEER)
    desk.take(result, PEER)
    assert (desk.accepted, desk.failed) == (1, 0)
    assert desk.figures["sealing"]["unasked"] == 1
    # Nor does the peer answer twice.
    with pytest.raises(Ignore):
        worker.enhance(header, payload)


def test_what_was_changed_on_its_way_is_the_senders_failure(desk: Desk, worker: Worker) -> None:
    _, header, payload, _ = desk.submit()
    result = worker.enhance(header, payload)
    desk.take(replace(result, payload=result.payload[:-1] + b"x"), PEER)
    assert (desk.accepted, desk.failed) == (0, 1)
    assert desk.figures["sealing"]["refused"] == 1


def test_what_a_peer_copies_from_another_is_worth_nothing_and_held_against_nobody_else(
    monkeypatch: pytest.MonkeyPatch, worker: Worker
) -> None:
    other = Worker(OTHER)
    desk = Desk(monkeypatch, worker, other)
    _, header, payload, peer = desk.submit()
    first, second = (worker, other) if peer == PEER else (other, worker)
    result = first.enhance(header, payload)
    desk.take(result, second.peer)  # copied into a stream of its own
    assert desk.accepted == 0
    known = desk.session.tables.book
    assert known.known(first.peer).breaker is None
    desk.close()


@pytest.mark.parametrize("gamer", ["gamer02", ""])
def test_a_chunk_by_anothers_queue_is_not_answered(
    desk: Desk, worker: Worker, gamer: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, header, payload, _ = desk.submit()
    caplog.set_level(logging.INFO)
    with pytest.raises(Ignore):
        worker.enhance(header, payload, gamer)
    assert "Threw away chunk 0 of frame 0" in caplog.text


def test_a_picture_that_is_not_sealed_is_not_answered(worker: Worker, desk: Desk) -> None:
    _, header, _, _ = desk.submit()
    with pytest.raises(Ignore):
        worker.enhance(header, b"a picture as it is")


def test_nothing_is_sent_to_a_peer_that_nobody_vouches_for(
    monkeypatch: pytest.MonkeyPatch, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(monkeypatch, worker)
    with desk.session._shell as core:
        core.registry_said([Facts(OTHER, ready=True)], frozenset(), monotonic())
    caplog.set_level(logging.INFO)
    now = monotonic()
    desk.session.submit(Frame(0, PIXELS, now, now))
    assert not desk.sent
    assert "nobody vouches for a key of peer" in caplog.text
    desk.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exchange": ""}, "it tells no key"),
        ({"exchange": "AAAA"}, "not base64 of 32 bytes"),
        ({"exchange_signature": text_of(bytes(64))}, "not signed by the key"),
        ({"instance": "another"}, "not signed by the key"),
    ],
)
def test_a_peer_is_left_out_that_does_not_vouch_for_its_key(
    desk: Desk, worker: Worker, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(WireError, match=said):
        desk.session._seals.admit(worker.enrolment.model_copy(update=changes), worker.voucher)


def test_a_peer_is_left_out_with_another_key_than_the_operator_vouches_for(
    desk: Desk, worker: Worker
) -> None:
    other = admitted(PEER, key=text_of(Identity.generate().public))
    with pytest.raises(WireError, match="not signed by the key that the operator vouches for"):
        desk.session._seals.admit(worker.enrolment, other)


@pytest.mark.parametrize(
    "forged",
    [
        admitted(PEER, Identity.generate()),
        admitted(OTHER),
        admitted(PEER).model_copy(update={"signature": ""}),
        admitted(PEER).model_copy(update={"account": "another"}),
        admitted(PEER).model_copy(update={"network": "another"}),
        admitted(PEER).model_copy(update={"key": text_of(Identity.generate().public)}),
    ],
    ids=["operator", "peer", "signature", "account", "network", "key"],
)
def test_who_has_the_broker_vouches_for_nobody(desk: Desk, worker: Worker, forged: Voucher) -> None:
    with pytest.raises(WireError, match=r"not signed by the pool's operator|base64 of 64 bytes"):
        desk.session._seals.admit(worker.enrolment, forged)


def test_a_membership_without_the_operators_key_is_told_to_join_again() -> None:
    without = membership("gamer", GAMER).model_copy(update={"operator_key": ""})
    with pytest.raises(UsageError, match="join again"):
        seals_for(without, Random(1))


def test_signatures_are_checked_now_and_then_and_a_wrong_one_is_a_failure(
    desk: Desk, worker: Worker
) -> None:
    liar = Worker()
    liar.opener._end._identity = Identity.generate()  # type: ignore[attr-defined]
    desk.session._seals.admit(liar.enrolment, liar.voucher)
    for _ in range(6 * SPOT):
        _, header, payload, _ = desk.submit()
        desk.take(liar.enhance(header, payload), PEER)
        if desk.failed:
            break
    assert desk.failed == 1
    assert desk.figures["sealing"]["signatures_checked"] == 1


def test_in_a_pool_of_ones_own_nothing_changes() -> None:
    seals = Plain()
    assert seals.seal("", (0, 0, 1), b"header", b"picture") == b"picture"
    assert seals.open("anybody", (0, 0, 1), b"header", b"residual") == b"residual"
    assert seals.figures() == {}
    opened = opening.PLAIN.open("cpu", b"header", b"picture")
    assert (opened.picture, opened.answer(b"header", b"residual")) == (b"picture", b"residual")
    assert opening.opener_for(None, "instance") is opening.PLAIN


def test_a_peer_without_a_signing_key_is_told_to_join_again() -> None:
    without = membership("peer", PEER).model_copy(update={"signing_key": SecretStr("")})
    with pytest.raises(UsageError, match="join the pool again"):
        opening.opener_for(without, "instance")


def test_a_chunk_that_was_changed_on_its_way_is_not_answered(
    desk: Desk, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    _, header, payload, _ = desk.submit()
    caplog.set_level(logging.INFO)
    with pytest.raises(Ignore):
        worker.enhance(header, payload[:-7] + bytes([payload[-7] ^ 1]) + payload[-6:])
    assert "Threw away chunk 0 of frame 0, attempt 1: a sealed message was changed" in caplog.text


def test_a_pool_of_ones_own_loads_nothing_that_seals() -> None:
    code = (
        "import sys, p2c2g.session.session, p2c2g_workers.tasks, p2c2g_workers.consumer; "
        "print(*(name for name in sys.modules if name.startswith('cryptography.hazmat')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""


def test_many_threads_share_both_ends() -> None:
    """Each chunk opens once, and each of its answers, whatever is sealed and opened beside it."""
    gamer, peer = GamerEnd("pool", GAMER), PeerEnd("pool", PEER, "instance", IDENTITY)
    gamer.admit(PEER, Vouched(IDENTITY.public, "instance", peer.public, peer.signature))
    opened: list[int] = []

    def there_and_back(number: int) -> None:
        sealed = gamer.seal(PEER, (number, 0, 1), b"header", b"picture")
        answers = []
        for _ in range(2):
            with suppress(WireError):
                answers.append(peer.open(GAMER, b"header", sealed).answer(b"header", b"residual"))
        (answer,) = answers
        results = [gamer.open(PEER, (number, 0, 1), b"header", answer) for _ in range(2)]
        opened.extend(number for each in results if each is not None)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(there_and_back, range(400)))
    assert sorted(opened) == list(range(400))
