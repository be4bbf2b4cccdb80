"""A session of an open pool as who runs its broker sees it, and may try to change it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2c2g.commands import options
from p2c2g.commands.main import app
from p2c2g.coordinator.keys import KeyRole
from p2c2g.coordinator.models import PrincipalRow
from p2c2g.errors import WireError
from p2c2g.media.chunker import cut
from p2c2g.media.codecs import codec
from p2c2g.messaging import names, open_names
from p2c2g.peers.standing import Voucher
from p2c2g.sealing.identity import Identity, key_of, text_of
from p2c2g.settings.membership import VARIABLE
from p2c2g.settings.principal import Role
from p2c2g.verify.evidence import Finding, examine, parse
from tests.coordinators import TESTER, coordinator_settings, opened_database
from tests.gamer import FPS, Gamer
from tests.honest import answer
from tests.open_pool import OpenPool, OpenWorker, until_at_a_stop, working
from tests.pool import LIAR as LYING

ATTIC, CELLAR, LIAR, ALICE = "pattic", "pcellar", "pliars", "galice"
#: Bytes with which a picture or residual of these sessions begins: its kind and its size.  Fewer
#: may stand in what is sealed by chance, of which there are megabytes.
HEAD = 8


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[OpenPool]:
    with OpenPool("valkey", tmp_path) as opened:
        opened.join(Role.GAMER, ALICE)
        yield opened


@pytest.fixture
def workers(pool: OpenPool, tmp_path: Path) -> Iterator[dict[str, OpenWorker]]:
    with working(pool, tmp_path, ATTIC, CELLAR) as made:
        yield made


@pytest.fixture
def alice(pool: OpenPool, workers: dict[str, OpenWorker]) -> Iterator[Gamer]:
    membership = next(m for p, m in pool.memberships.items() if p.role is Role.GAMER)
    with Gamer(pool.settings(membership), policy="predictive") as gamer:
        # What waits is to wait, until the test has done something with it.
        gamer.session._shell._core.runs._stealing = False
        gamer.play_complete()
        yield gamer


def sealing(gamer: Gamer) -> dict[str, Any]:
    told: dict[str, Any] = gamer.session.figures()["sealing"]
    return told


def entries(pool: OpenPool, gamer: Gamer, peer: str) -> list[dict[bytes, bytes]]:
    """Return what a peer has answered, as it lies at the broker."""
    key = open_names.results(peer, ALICE, gamer.session.id)
    found: Any = pool.operator.xrange(key)
    return [fields for _, fields in found]


def waiting(pool: OpenPool, peer: str) -> list[bytes]:
    """Return the chunks that wait for a peer, as they lie at the broker."""
    found: Any = pool.operator.lrange(names.queue_key(open_names.chunks_queue(peer, ALICE)), 0, -1)
    return list(found)


def heads_of(gamer: Gamer) -> set[bytes]:
    """Return how its chunks, and what peers answer to them, begin where nothing is sealed."""
    config = gamer.session.config
    plan = config.operations.resolve(config.size)
    parts = [(frame, chunk) for frame in gamer.reel for chunk in config.chunks]
    pictures = {codec("raw").encode(cut(*part), config.quality)[:HEAD] for part in parts}
    return pictures | {answer(plan, *part)[:HEAD] for part in parts}


def chunks_at(pool: OpenPool, gamer: Gamer, workers: Mapping[str, OpenWorker]) -> list[bytes]:
    """Play on until chunks wait at a peer that stands still; return them, as they are seen then.

    They are gone soon: where the machine stands still, before a second look.
    """
    found: list[bytes] = []

    def are_there() -> bool:
        found[:] = found or [each for peer in workers for each in waiting(pool, peer)]
        return bool(found)

    until_at_a_stop(gamer, workers, are_there, "chunks wait")
    return found


def change_chunks(pool: OpenPool, peer: str) -> bool:
    """Change a bit in the picture of each chunk that waits for a peer; tell whether any did.

    In one step, as the session may send it more, or take some back.
    """
    queue = names.queue_key(open_names.chunks_queue(peer, ALICE))

    def change(step: Any) -> None:
        chunks: list[bytes] = step.lrange(queue, 0, -1)
        step.multi()
        for place, chunk in enumerate(chunks):
            at = len(chunk) - 60  # What stands behind a chunk's picture are some forty bytes.
            step.lset(queue, place, chunk[:at] + bytes([chunk[at] ^ 1]) + chunk[at + 1 :])

    return bool(pool.operator.transaction(change, queue))


def test_the_broker_sees_no_picture_and_no_residual(
    pool: OpenPool, workers: dict[str, OpenWorker], alice: Gamer
) -> None:
    alice.until(lambda: set(alice.session.routing()["pool"]) == {ATTIC, CELLAR}, "both work")
    chunks = chunks_at(pool, alice, workers)
    results: list[dict[bytes, bytes]] = []

    def are_answered() -> bool:
        # Where they stood still for long, their streams were made again.
        results[:] = [each for peer in (ATTIC, CELLAR) for each in entries(pool, alice, peer)]
        return bool(results)

    alice.until(are_answered, "they answer")
    heads = heads_of(alice)
    assert len(heads) > 1
    assert not any(head in each for head in heads for each in chunks)
    assert not any(head in b"".join(each.values()) for head in heads for each in results)
    told = sealing(alice)
    assert told["results"] > 0
    assert told["refused"] == 0


def test_what_the_broker_sends_again_is_thrown_away(
    pool: OpenPool, workers: dict[str, OpenWorker], alice: Gamer
) -> None:
    alice.until(lambda: bool(entries(pool, alice, ATTIC)), "the attic answers")
    key = open_names.results(ATTIC, ALICE, alice.session.id)
    pool.operator.xadd(key, entries(pool, alice, ATTIC)[0])  # type: ignore[arg-type]
    alice.until(lambda: sealing(alice)["unasked"] > 0, "it came again")
    # A chunk, copied before it is taken.
    copied = chunks_at(pool, alice, {ATTIC: workers[ATTIC]})[0]
    queue = names.queue_key(open_names.chunks_queue(ATTIC, ALICE))
    alice.until(lambda: copied not in waiting(pool, ATTIC), "it is taken")
    # Twice, since the session may have taken the first back.
    pool.operator.lpush(queue, copied, copied)
    alice.until(lambda: "Threw away chunk" in workers[ATTIC].log(), "and not a second time")
    alice.play_complete()
    assert sealing(alice)["refused"] == 0


def test_what_the_broker_changes_shows_in_no_picture(
    pool: OpenPool, workers: dict[str, OpenWorker], alice: Gamer
) -> None:
    alice.until(lambda: bool(entries(pool, alice, ATTIC)), "the attic answers")
    # One peer's answer as if it were another's.
    other = open_names.results(CELLAR, ALICE, alice.session.id)
    pool.operator.xadd(other, entries(pool, alice, ATTIC)[-1])  # type: ignore[arg-type]
    # And a chunk with another bit in its picture.
    attic = {ATTIC: workers[ATTIC]}
    while "a sealed message was changed on its way" not in workers[ATTIC].log():
        # Once, but where the machine stands still until it has expired.
        until_at_a_stop(alice, attic, lambda: change_chunks(pool, ATTIC), "a chunk waits")
        alice.play(int(FPS))
    alice.play_complete()
    assert alice.wrong == []


def test_a_worker_of_many_processes_is_refused(pool: OpenPool, tmp_path: Path) -> None:
    membership = pool.join(Role.PEER, ATTIC)
    worker = OpenWorker(pool, membership, tmp_path / "many.log", "-P", "processes", "-c", "2")
    worker.launch()
    assert worker.wait() == 2
    assert "A worker of an open pool is one process: give -P threads" in worker.log()


def test_a_key_that_the_operator_does_not_vouch_for_leaves_its_peer_out(
    pool: OpenPool, workers: dict[str, OpenWorker], caplog: pytest.LogCaptureFixture
) -> None:
    pool.vouch(CELLAR, text_of(Identity.generate().public))
    membership = next(m for p, m in pool.memberships.items() if p.role is Role.GAMER)
    with Gamer(pool.settings(membership), policy="predictive") as gamer:
        gamer.play_complete()
        # On a busy machine the one that is left may be out of reach for a moment.
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {ATTIC}, "it is not alone")
        assert CELLAR not in gamer.session.tally.peers
    said = f"Left out peer {CELLAR}: the key that its pictures would be sealed for is not signed"
    assert caplog.text.count(said) == 1


def test_a_liar_is_shown_to_the_operator_by_what_it_signed(
    pool: OpenPool, workers: dict[str, OpenWorker], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    membership = pool.join(Role.PEER, LIAR)
    liar = OpenWorker(
        pool, membership, tmp_path / "liar.log", "-Q", "cpu", "-c", "1", application=LYING
    )
    gamer = next(m for p, m in pool.memberships.items() if p.role is Role.GAMER)
    with ExitStack() as stack:
        stack.callback(liar.kill)
        liar.launch()
        liar.wait_until_ready()
        alice = stack.enter_context(Gamer(pool.settings(gamer), policy="predictive"))
        alice.until(lambda: bool(alice.session.figures()["evidence"]), "the liar is caught")
        alice.play_complete()
        told = alice.session.figures()["evidence"]
    keys = {
        peer.decode(): key_of(Voucher.model_validate_json(said).key)
        for peer, said in pool.operator.hgetall(open_names.peers()).items()  # type: ignore[union-attr]
    }
    for each in told:
        evidence = parse(json.dumps(each).encode())
        assert evidence.statement.peer == LIAR
        assert examine(evidence, keys) is Finding.SIGNED
        with pytest.raises(WireError):
            examine(evidence, keys | {LIAR: keys[ATTIC]})
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"evidence": told}))
    monkeypatch.setattr(sys, "argv", ["p2c2g", "evidence", "check", str(report)])
    said = f"{LIAR}  {told[0]['at']}  signed  ({told[0]['said']}"
    # As a gamer, by what the operator signed.
    monkeypatch.setenv(VARIABLE, str(pool.file(gamer)))
    assert options.run(app, "p2c2g") == 0
    assert said in capsys.readouterr().out
    pool.operator.hdel(open_names.peers(), LIAR)
    assert options.run(app, "p2c2g") == 1
    assert "shows nothing: nobody vouches for a key of peer" in capsys.readouterr().out
    # As the operator, by the database.
    monkeypatch.delenv(VARIABLE)
    settings = coordinator_settings(tmp_path)
    monkeypatch.setattr("p2c2g.settings.load", lambda: settings)
    with opened_database(settings) as services:
        key, _ = services.accounts.create_key("ada", KeyRole.PEER, TESTER)
        with services.database.writing() as session:
            session.add_all(
                PrincipalRow(
                    id=peer, role="peer", account_id=key.account_id, key_id=key.id, label="",
                    public_key=text_of(each), digest=bytes(32), created=0.0, renewed=0.0,
                )
                for peer, each in keys.items()
            )  # fmt: skip
    assert options.run(app, "p2c2g") == 0
    assert said in capsys.readouterr().out


def test_who_writes_at_the_broker_whose_a_key_is_puts_itself_in_nobodys_place(
    pool: OpenPool, workers: dict[str, OpenWorker], caplog: pytest.LogCaptureFixture
) -> None:
    own = Voucher(key=text_of(Identity.generate().public), account="ada")
    pool.operator.hset(open_names.peers(), CELLAR, own.model_dump_json())
    membership = next(m for p, m in pool.memberships.items() if p.role is Role.GAMER)
    with Gamer(pool.settings(membership), policy="predictive") as gamer:
        gamer.play_complete()
        # On a busy machine the one that is left may be out of reach for a moment.
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {ATTIC}, "it is not alone")
        assert CELLAR not in gamer.session.tally.peers
    assert f"Left out peer {CELLAR}: " in caplog.text
