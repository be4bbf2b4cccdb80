"""What a gamer can show of a peer that it caught, and what an operator sees in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.commands.evidence import read
from p2c2g.errors import UnavailableError, UsageError, WireError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Rect, Size
from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.sealing.agreement import Ends
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.sealing.signing import Answer, Asked, answer_text
from p2c2g.session import evidence as keeping
from p2c2g.session.attempts import Decision
from p2c2g.verify.evidence import (
    MAX_EVIDENCE,
    Evidence,
    Finding,
    Statement,
    examine,
    parse,
    statement,
)
from p2c2g.verify.examination import Examination
from tests.honest import EXACT
from tests.sealed import IDENTITY, OTHER, PEER, PIXELS, SIZE, Desk, Worker

KEYS = {PEER: IDENTITY.public, OTHER: IDENTITY.public}
#: A residual that is as dark as can be.
DARK = EXACT.encode(np.full((2 * SIZE.height, 2 * SIZE.width, 1), -128, np.int16))


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, worker: Worker) -> Iterator[Desk]:
    with closing(Desk(monkeypatch, worker, shows=True)) as here:
        yield here


def evidence_of(desk: Desk) -> list[Evidence]:
    """Return what the session has, once it has been a message."""
    kept = desk.session._seals.evidence()
    return [parse(each.model_dump_json().encode()) for each in kept]


def caught(desk: Desk, worker: Worker, residual: bytes = DARK) -> Evidence:
    _, header, payload, _ = desk.submit()
    desk.take(worker.lie(header, payload, residual), PEER)
    assert desk.failed == 1
    (found,) = evidence_of(desk)
    return found


@pytest.mark.parametrize("residual", [DARK, b"no residual"])
def test_an_operator_sees_what_the_check_saw(desk: Desk, worker: Worker, residual: bytes) -> None:
    found = caught(desk, worker, residual)
    assert found.statement.peer == PEER
    assert examine(found, KEYS) is Finding.REFUSED


def test_what_was_right_is_no_evidence(desk: Desk, worker: Worker) -> None:
    _, header, payload, _ = desk.submit()
    desk.take(worker.enhance(header, payload), PEER)
    assert desk.accepted == 1
    assert evidence_of(desk) == []


def test_without_consent_no_picture_is_shown_and_the_signature_stands(
    monkeypatch: pytest.MonkeyPatch, worker: Worker
) -> None:
    with closing(Desk(monkeypatch, worker)) as desk:
        found = caught(desk, worker)
        assert not found.shown
        assert not found.statement.shown
        assert examine(found, KEYS) is Finding.SIGNED
        (told,) = desk.figures["evidence"]
        assert Evidence.model_validate(told) == found


def test_an_honest_answer_that_a_gamer_shows_as_a_lie_passes(desk: Desk, worker: Worker) -> None:
    _, header, payload, _ = desk.submit()
    desk.take(worker.enhance(header, payload), PEER)
    keeper = desk.session._seals._keeper  # type: ignore[attr-defined]
    keeper.run_failed((0, 0), 1, PEER, "CheckError: so they say.", Decision.RETRY)
    (found,) = evidence_of(desk)
    assert examine(found, KEYS) is Finding.PASSES


def forged(found: Evidence) -> Iterator[Evidence]:
    said = found.statement
    other_picture = codec("png").encode(np.zeros_like(PIXELS), 80)
    for change in (
        {"peer": OTHER, "residual": "0" * 64, "shown": ""},
        {"residual": "0" * 64, "shown": ""},
        {"picture": "0" * 64},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": "AAAA"},
        {"chunk": base64.b64encode(b"another header").decode()},
        {"result": base64.b64encode(b"another header").decode()},
        {"shown": base64.b64encode(b"another residual").decode()},
        {"shown": "A"},
    ):
        yield found.model_copy(update={"statement": said.model_copy(update=change)})
    yield found.model_copy(update={"gamer": "gamer02"})
    yield found.model_copy(update={"pool": "another"})
    yield found.model_copy(update={"shown": base64.b64encode(other_picture).decode()})
    yield found.model_copy(update={"other": said})


def test_nobody_can_be_made_to_have_said_what_it_did_not(desk: Desk, worker: Worker) -> None:
    found = caught(desk, worker)
    for wrong in forged(found):
        with pytest.raises(WireError):
            examine(wrong, KEYS)
    with pytest.raises(WireError, match="nobody vouches"):
        examine(found, {})
    with pytest.raises(WireError, match="not signed"):
        examine(found, {PEER: Identity.generate().public})


def test_what_a_peer_did_not_sign_is_not_shown(desk: Desk, worker: Worker) -> None:
    worker.opener._end._identity = Identity.generate()  # type: ignore[attr-defined]
    _, header, payload, _ = desk.submit()
    desk.take(worker.lie(header, payload, DARK), PEER)
    assert desk.failed == 1
    assert evidence_of(desk) == []


# -- two answers to one picture -------------------------------------------------------------------


def compared(desk: Desk, first: Worker, second: Worker, lie: bytes | None) -> Evidence:
    """Have two peers asked the same, and the second caught by the answer of the first."""
    _, header, payload, peer = desk.submit()
    first, second = (first, second) if first.peer == peer else (second, first)
    desk.take(first.enhance(header, payload), first.peer)
    recipe = desk.session.config.recipe
    picture = recipe.encode(PIXELS)
    again = replace(ChunkHeader.unpack(header), attempt=2).pack()
    sealed = desk.session._seals.seal(second.peer, (0, 0, 2), again, picture)
    told = second.enhance(again, sealed) if lie is None else second.lie(again, sealed, lie)
    keeper = desk.session._seals._keeper  # type: ignore[attr-defined]
    assert desk.session._seals.open(second.peer, (0, 0, 2), told.header(), told.payload)
    asked = Examination((0, 0), 2, second.peer, picture, b"", first.peer, 0.0, None, recipe)
    keeper.examination_ended(asked, agreed=False)
    (found,) = evidence_of(desk)
    assert found.other is not None
    assert (found.statement.peer, found.other.peer) == (second.peer, first.peer)
    return found


#: A residual that no check refuses, and that is another.
OTHER_RESIDUAL = EXACT.encode(np.zeros((2 * SIZE.height, 2 * SIZE.width, 1), np.int16))


@pytest.mark.parametrize(
    ("lie", "finding"),
    [(OTHER_RESIDUAL, Finding.DIFFERENT), (None, Finding.PASSES)],
    ids=["lie", "truth"],
)
def test_two_answers_to_one_picture_are_shown_together(
    monkeypatch: pytest.MonkeyPatch, lie: bytes | None, finding: Finding
) -> None:
    one, other = Worker(), Worker(OTHER)
    with closing(Desk(monkeypatch, one, other, shows=True)) as desk:
        assert examine(compared(desk, one, other, lie), KEYS) is finding


# -- bounds ---------------------------------------------------------------------------------------


def test_what_is_kept_is_bounded(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, worker: Worker
) -> None:
    monkeypatch.setattr(keeping, "MAX_PEERS", 3)
    monkeypatch.setattr(keeping, "MAX_ANSWERS", 10)
    keeper = desk.session._seals._keeper  # type: ignore[attr-defined]
    _, header, payload, _ = desk.submit()
    answer = worker.lie(header, payload, DARK)
    opened = desk.session._seals._end.open(  # type: ignore[attr-defined]
        PEER, (0, 0, 1), answer.header(), answer.payload
    )
    for number in range(40):
        peer, run = f"peer{number % 8:03}", (number, 0, 1)
        keeper.opened(peer, run, opened)
        keeper.run_failed(run[:2], 1, peer, "CheckError: wrong.", Decision.RETRY)
    assert len(keeper._answers._held) == 10
    assert len(keeper._caught) == 3
    assert {len(each) for each in keeper._caught.values()} <= set(range(1, keeping.PER_PEER + 1))
    monkeypatch.setattr(keeping, "MAX_BYTES", len(opened.residual) + len(opened.picture))
    for number in (99, 100):
        keeper.opened(PEER, (number, 0, 1), opened)
    assert len(keeper._answers._held) == 1


def test_who_is_left_out_has_not_been_caught(desk: Desk, worker: Worker) -> None:
    _, header, payload, _ = desk.submit()
    desk.take(worker.enhance(header, payload), PEER)
    keeper = desk.session._seals._keeper  # type: ignore[attr-defined]
    keeper.run_failed((0, 0), 1, PEER, "Untrusted: its breaker is open", Decision.RETRY)
    keeper.run_failed((0, 0), None, PEER, "CheckError: of nobody knows what", Decision.RETRY)
    assert evidence_of(desk) == []


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 10_000, b"x" * (MAX_EVIDENCE + 1)])
def test_what_is_no_evidence_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="evidence"):
        parse(data)


# -- any bytes, well signed -----------------------------------------------------------------------

RECTS = st.builds(
    Rect, st.integers(0, 40), st.integers(0, 40), st.integers(1, 140), st.integers(1, 140)
)
HEADERS = st.builds(
    ChunkHeader,
    session=st.just("s"), frame=st.just(1), chunk=st.just(0), attempt=st.just(1),
    codec=st.sampled_from(["png", "jpeg", "raw", "nothing"]),
    form=st.sampled_from([EXACT, USUAL_FORM, Form("png", 90, in_colour=True)]),
    operations=st.sampled_from(
        ["upscale:2,sharpen:1", "upscale:3/2", "resize:7x9", "denoise", "nothing", "upscale:2:ml"]
    ),
    frame_size=st.just(Size(180, 180)), padded=RECTS, crop=RECTS, budget_us=st.just(1),
).map(ChunkHeader.pack)  # fmt: skip
PICTURE = codec("png").encode(PIXELS, 80)
SENT = ChunkHeader(
    "s", 1, 0, 1, "png", EXACT, "upscale:2,sharpen:1", SIZE, Rect(0, 0, SIZE.width, SIZE.height),
    Rect(0, 0, 2 * SIZE.width, 2 * SIZE.height), 1,
).pack()  # fmt: skip
SAID = ResultHeader(1, 0, 1, PEER, 0, 0, 0, 0).pack()


@given(
    header=HEADERS | st.just(SENT) | st.binary(max_size=80),
    picture=st.just(PICTURE) | st.binary(max_size=80),
    said=st.just(SAID) | st.binary(max_size=80),
    residual=st.sampled_from([DARK, OTHER_RESIDUAL]) | st.binary(max_size=80),
    other=st.sampled_from([DARK, OTHER_RESIDUAL, None]) | st.binary(max_size=80),
)
@settings(deadline=None)
def test_whatever_was_signed_ends_in_a_finding_or_one_error(
    header: bytes, picture: bytes, said: bytes, residual: bytes, other: bytes | None
) -> None:
    """A gamer and a peer that are one can have anything signed."""

    def stated(peer: str, residual: bytes) -> Statement:
        asked = Asked(Ends("p", peer, "g"), header, sha256(picture).digest())
        hashed = sha256(residual).digest()
        signature = IDENTITY.sign(answer_text(asked.digest(), said, hashed))
        return statement(peer, Answer(asked, said, hashed, signature), residual)

    evidence = Evidence(
        pool="p", gamer="g", at="", said="", statement=stated(PEER, residual),
        other=None if other is None else stated(OTHER, other), shown=text_of(picture),
    )  # fmt: skip
    with suppress(WireError):
        assert examine(parse(evidence.model_dump_json().encode()), KEYS) in Finding


# -- the command's file ---------------------------------------------------------------------------


def test_a_report_or_one_piece_of_evidence_is_read(
    desk: Desk, worker: Worker, tmp_path: Path
) -> None:
    found = caught(desk, worker)
    file = tmp_path / "told.json"
    file.write_text(found.model_dump_json())
    assert read(file) == [found]
    file.write_text(json.dumps({"frames": 1, "evidence": desk.figures["evidence"]}))
    assert read(file) == [found]


@pytest.mark.parametrize("text", ["", "{}", '{"evidence": 1}', "[" * 5_000])
def test_a_file_that_holds_no_evidence_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "told.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="holds no evidence"):
        read(file)
    with pytest.raises(UnavailableError, match="cannot be read"):
        read(tmp_path / "nowhere.json")
