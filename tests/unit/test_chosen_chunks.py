"""Which chunks are enhanced where not all can be: stable, the middle and detail first."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.frame import Chunk, Size
from p2c2g.media.operations import Pipeline
from p2c2g.session.chosen_chunks import EXCHANGE_EVERY, ChosenChunks, detail_of

SIZE = Size(320, 180)


def chunks(rows: int, columns: int) -> tuple[Chunk, ...]:
    return plan_chunks(Pipeline.parse("upscale:2").resolve(SIZE), Grid(rows, columns))


def test_the_middle_comes_first() -> None:
    assert ChosenChunks(chunks(3, 3), SIZE).choose(1) == {4}
    assert ChosenChunks(chunks(4, 1), SIZE).choose(2) == {1, 2}


def test_more_chunks_are_those_and_others() -> None:
    chosen = ChosenChunks(chunks(3, 5), SIZE)
    for one, other in pairwise(map(chosen.choose, range(1, 16))):
        assert one < other


def test_detail_counts_and_moves_one_chunk_at_a_time() -> None:
    parts = chunks(2, 2)
    chosen = ChosenChunks(parts, SIZE)
    assert chosen.choose(2) == {0, 1}
    seen = [chosen.choose(2)]
    for second in range(20):
        chosen.look([0.0, 1.0, 5.0, 5.0], float(second))
        seen.append(chosen.choose(2))
    assert seen[-1] == {2, 3}
    assert {len(one ^ other) for one, other in pairwise(seen)} <= {0, 2}


def test_what_differs_by_little_changes_nothing() -> None:
    chosen = ChosenChunks(chunks(2, 2), SIZE)
    before = chosen.choose(2)
    for second in range(100):
        chosen.look([1.0, 1.0, 1.2, 1.1], float(second))
    assert chosen.choose(2) == before


def test_a_picture_without_detail_changes_nothing() -> None:
    chosen = ChosenChunks(chunks(2, 2), SIZE)
    chosen.look([0.0] * 4, 0.0)
    assert chosen.choose(2) == {0, 1}


def test_the_detail_of_a_picture_is_where_it_is() -> None:
    parts = chunks(3, 4)
    pixels = np.full((SIZE.height, SIZE.width, 3), 90, np.uint8)
    rect = parts[5].rect
    noise = np.random.default_rng(1).integers(0, 255, (rect.height, rect.width, 3), np.uint8)
    pixels[rect.y : rect.bottom, rect.x : rect.right] = noise
    details = detail_of(pixels, parts)
    assert max(range(12), key=details.__getitem__) == 5
    assert sum(details) - details[5] < 0.2 * details[5]


@given(
    st.integers(1, 11), st.lists(st.lists(st.floats(0, 1e6), min_size=12, max_size=12), max_size=60)
)
def test_any_noise_changes_one_chunk_in_seconds(count: int, looks: list[list[float]]) -> None:
    chosen = ChosenChunks(chunks(3, 4), SIZE)
    seen = [chosen.choose(count)]
    for second, details in enumerate(looks):
        chosen.look(details, float(second))
        seen.append(chosen.choose(count))
        assert sorted(chosen.order) == list(range(12))
    changed = [at for at, (one, other) in enumerate(pairwise(seen)) if one != other]
    assert all(after - before >= EXCHANGE_EVERY for before, after in pairwise(changed))
    assert {len(one ^ other) for one, other in pairwise(seen)} <= {0, 2}
