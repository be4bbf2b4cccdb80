"""How a frame is cut: covered exactly, as evenly as may be, with a halo and an exact place."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Chunk, Pixels, Rect, Size
from p2c2g.media.operations import Pipeline, Plan

FRAME = Size(640, 360)


def plan_of(text: str, size: Size = FRAME) -> Plan:
    return Pipeline.parse(text).resolve(size)


def test_two_chunks_one_above_the_other() -> None:
    assert plan_chunks(plan_of("upscale:2"), Grid(2, 1)) == (
        Chunk(
            index=0,
            rect=Rect(0, 0, 640, 180),
            padded=Rect(0, 0, 640, 183),
            crop=Rect(0, 0, 1280, 360),
            target=Rect(0, 0, 1280, 360),
        ),
        Chunk(
            index=1,
            rect=Rect(0, 180, 640, 180),
            padded=Rect(0, 177, 640, 183),
            crop=Rect(0, 6, 1280, 360),
            target=Rect(0, 360, 1280, 360),
        ),
    )


def test_chunks_are_numbered_row_by_row() -> None:
    chunks = plan_chunks(plan_of("pass"), Grid(2, 3))
    assert [chunk.index for chunk in chunks] == list(range(6))
    assert [(c.rect.x, c.rect.y) for c in chunks] == [
        (0, 0), (213, 0), (427, 0), (0, 180), (213, 180), (427, 180),
    ]  # fmt: skip


@given(
    st.builds(Size, st.integers(1, 300), st.integers(1, 300)),
    st.builds(Grid, st.integers(1, 9), st.integers(1, 9)),
    st.lists(
        st.sampled_from(
            ["upscale:2", "upscale:4/3", "upscale:1/4", "upscale:7/5:lanczos", "sharpen:1"]
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_the_frame_and_the_output_are_covered_once(
    size: Size, grid: Grid, operations: list[str]
) -> None:
    try:
        plan = plan_of(",".join(operations), size)
        chunks = plan_chunks(plan, grid)
    except UsageError:
        assume(False)
    assert len(chunks) == grid.rows * grid.cols
    source = np.zeros((size.height, size.width, 1), np.uint8)
    output = np.zeros((plan.output.height, plan.output.width, 1), np.uint8)
    whole = Rect(0, 0, size.width, size.height)
    for chunk in chunks:
        chunk.rect.of(source)[:] += 1
        chunk.target.of(output)[:] += 1
        assert chunk.crop.size == chunk.target.size
        assert chunk.crop.width >= 1
        assert chunk.crop.height >= 1
        for low, high, near, far, edge, halo, align, scale in (
            (chunk.padded.x, chunk.padded.right, chunk.rect.x, chunk.rect.right,
             whole.right, plan.halo[0], plan.align[0], plan.scale_x),
            (chunk.padded.y, chunk.padded.bottom, chunk.rect.y, chunk.rect.bottom,
             whole.bottom, plan.halo[1], plan.align[1], plan.scale_y),
        ):  # fmt: skip
            assert low == max(0, near - halo)
            assert high == min(edge, far + halo)
            assert low % align == near % align == 0
            assert (near * scale).denominator == 1
        assert chunk.target.x == chunk.rect.x * plan.scale_x
        assert chunk.crop.x == (chunk.rect.x - chunk.padded.x) * plan.scale_x
    assert (source == 1).all()
    assert (output == 1).all()


@given(st.integers(1, 500), st.integers(1, 12), st.integers(1, 7))
def test_chunks_are_as_even_as_their_alignment_allows(width: int, cols: int, align: int) -> None:
    assume(width >= cols * align)
    plan = Plan(
        steps=(),
        source=Size(width, 1),
        output=Size(width, 1),
        scale_x=Fraction(1),
        scale_y=Fraction(1),
        halo=(0, 0),
        align=(align, 1),
    )
    begins = [chunk.rect.x for chunk in plan_chunks(plan, Grid(1, cols))]
    for col, begin in enumerate(begins):
        assert abs(begin - Fraction(col * width, cols)) <= Fraction(align, 2)


@pytest.mark.parametrize(
    ("text", "size", "grid", "finest"),
    [
        ("pass", Size(3, 2), Grid(3, 3), "2x3 is the finest"),
        ("upscale:4/3", Size(7, 7), Grid(4, 1), "3x3 is the finest"),
        ("resize:1000x719", FRAME, Grid(2, 1), "1x40 is the finest"),
        # 9 columns become 2: the third cell of 4 would have no pixel of its own.
        ("upscale:1/4:nearest", Size(9, 9), Grid(1, 3), "2x2 is the finest"),
    ],
)
def test_too_fine_a_grid_is_refused_and_the_finest_is_named(
    text: str, size: Size, grid: Grid, finest: str
) -> None:
    with pytest.raises(UsageError, match=finest):
        plan_chunks(plan_of(text, size), grid)
    rows, cols = finest.split()[0].split("x")
    assert plan_chunks(plan_of(text, size), Grid(int(rows), int(cols)))


@pytest.mark.parametrize("text", ["", "2", "2x", "0x1", "1x0", "65x1", "2x1x1", "-1x2", "²x1"])
def test_a_wrong_grid_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give ROWSxCOLUMNS"):
        Grid.parse(text)


def test_a_grid_is_rows_by_columns() -> None:
    assert Grid.parse(" 2x3 ") == Grid(rows=2, cols=3)
    assert str(Grid(2, 3)) == "2x3"


def test_a_cut_is_a_view_with_the_halo(picture: Pixels) -> None:
    chunk = plan_chunks(plan_of("upscale:2", Size.of(picture)), Grid(2, 2))[3]
    part = cut(picture, chunk)
    assert np.shares_memory(part, picture)
    assert Size.of(part) == chunk.padded.size


@pytest.fixture
def picture() -> Pixels:
    """Return 83x61 pixels of noise, none of them black."""
    return np.random.default_rng(7).integers(1, 256, (61, 83, 3), dtype=np.uint8)
