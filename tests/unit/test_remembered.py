"""What a peer remembers: the same chunk of the same session, bounded, and never a stranger's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.media.codecs import codec
from p2c2g.media.frame import Rect, Size
from p2c2g.media.residual import Form
from p2c2g.media.wire import ChunkHeader
from p2c2g_workers import tasks
from p2c2g_workers.engine import Done, Work
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.remembered import OVERHEAD, Remembered, question
from p2c2g_workers.tasks import enhance
from tests.sealed import PEER, PIXELS, Desk, Worker

SIZE = Size(64, 36)
CHUNK = ChunkHeader(
    session="one", frame=0, chunk=0, attempt=1, codec="png", form=Form("png", 100),
    operations="upscale:2", frame_size=SIZE, padded=Rect(0, 0, 64, 36), crop=Rect(0, 0, 128, 72),
    budget_us=1_000_000,
)  # fmt: skip
PICTURE = codec("png").encode(np.random.default_rng(1).integers(0, 256, (36, 64, 3), np.uint8), 100)


class Counted(CpuEngine):
    """Counts what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.done = 0

    def enhance(self, work: Work) -> Done:
        self.done += 1
        return super().enhance(work)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(tasks, "remembered", Remembered(1 << 20))
    monkeypatch.setattr(tasks.current, "get", lambda: counted)
    return counted


def ask(chunk: ChunkHeader, picture: bytes = PICTURE) -> Any:
    return enhance.run(chunk.pack(), picture)


def test_the_same_chunk_of_a_session_is_done_once_and_answered_as_often_as_it_is_asked(
    engine: Counted,
) -> None:
    first = ask(CHUNK)
    again = ask(replace(CHUNK, frame=7, attempt=2, budget_us=5))
    assert engine.done == 1
    assert again.payload == first.payload
    assert (again.result.frame, again.result.attempt) == (7, 2)
    assert (again.result.decode_us, again.result.process_us) == (0, 0), "what it really took"
    assert first.result.process_us > 0
    assert again.result.started_us <= again.result.done_us
    assert (tasks.remembered.hits, tasks.remembered.asked) == (1, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"session": "another"},
        {"form": Form("png", 100, in_colour=True)},
        {"operations": "upscale:2,sharpen:0.5"},
        {"crop": Rect(0, 0, 64, 36)},
        {"frame_size": Size(64, 72)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_anything_else_is_another_question(engine: Counted, change: dict[str, Any]) -> None:
    ask(CHUNK)
    ask(replace(CHUNK, **change))
    assert engine.done == 2


def test_another_picture_is_another_question(engine: Counted) -> None:
    ask(CHUNK)
    ask(CHUNK, codec("png").encode(np.zeros((36, 64, 3), np.uint8), 100))
    assert engine.done == 2


def test_nothing_gets_from_one_gamer_to_another_of_the_same_session_id() -> None:
    questions = {question(gamer, CHUNK, PICTURE, "upscale:2") for gamer in ("", "ada", "bob")}
    assert len(questions) == 3


def test_a_sealed_answer_is_sealed_anew(engine: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    desk = Desk(monkeypatch, worker)
    _, header, payload, _ = desk.submit()
    first = worker.enhance(header, payload)
    asked = ChunkHeader.unpack(header)
    again = replace(asked, attempt=2).pack()
    picture = desk.session.config.recipe.encode(PIXELS)
    sealed = desk.session._seals.seal(PEER, (asked.frame, 0, 2), again, picture)
    second = worker.enhance(again, sealed)
    assert engine.done == 1
    assert second.payload != first.payload
    for result, attempt in ((first, 1), (second, 2)):
        run = (asked.frame, 0, attempt)
        opened = desk.session._seals.open(PEER, run, result.header(), result.payload)
        assert opened is not None
    desk.close()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 400)), max_size=80))
def test_what_is_remembered_is_bounded(kept: list[tuple[int, int]]) -> None:
    most = 4 * OVERHEAD
    remembered = Remembered(most)
    for key, size in kept:
        remembered.keep((key,), bytes(size))
        held = list(remembered._held.values())
        assert sum(len(each) + OVERHEAD for each in held) == remembered._bytes <= most
        if remembered.find((key,)) is None:
            assert size + OVERHEAD > most


def test_what_was_used_least_lately_goes_first() -> None:
    remembered = Remembered(2 * (OVERHEAD + 1))
    for key in "ab":
        remembered.keep((key,), b"x")
    assert remembered.find(("a",)) == b"x"
    remembered.keep(("c",), b"x")
    assert [remembered.find((key,)) for key in "abc"] == [b"x", None, b"x"]
