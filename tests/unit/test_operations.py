"""The pipeline string and what it means for a size of frame."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import UsageError
from p2c2g.media.frame import MAX_EDGE, Size
from p2c2g.media.methods import BASE, METHODS
from p2c2g.media.operations import MAX_STEPS, OPERATIONS, Operation, Pipeline, scaled
from p2c2g_capture.cli import app

FRAME = Size(640, 360)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("upscale:2", "upscale:2:base"),
        (" upscale:2 , sharpen:0.50 ", "upscale:2:base,sharpen:0.5"),
        ("upscale:1.5:nearest", "upscale:3/2:nearest"),
        ("upscale:4/3", "upscale:4/3:base"),
        ("upscale:1.3333", "upscale:4/3:base"),
        ("resize:1280X720:lanczos", "resize:1280x720:lanczos"),
        ("denoise:1", "denoise:1"),
        ("sharpen:0", "sharpen:0"),
        ("pass", "pass"),
    ],
)
def test_a_pipeline_is_spelled_out_in_full_and_reads_back(text: str, canonical: str) -> None:
    pipeline = Pipeline.parse(text)
    assert pipeline.text == canonical
    assert Pipeline.parse(canonical) == pipeline


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "those known are upscale, resize, sharpen, denoise, pass"),
        ("blur:2", "'blur' is not an operation"),
        ("upscale:2,", "'' is not an operation"),
        ("upscale", "the form is upscale:FACTOR"),
        ("upscale:", "the form is upscale:FACTOR"),
        ("upscale:0", "the form is upscale:FACTOR"),
        ("upscale:0.001", "the form is upscale:FACTOR"),
        ("upscale:9", "the form is upscale:FACTOR"),
        ("upscale:-2", "the form is upscale:FACTOR"),
        ("upscale:nan", "the form is upscale:FACTOR"),
        ("upscale:1e3", "the form is upscale:FACTOR"),
        ("upscale:1/0", "the form is upscale:FACTOR"),
        ("upscale:٢", "the form is upscale:FACTOR"),
        ("upscale:2:bicubic:3", "the form is upscale:FACTOR"),
        ("upscale:2:cubic", "those known are base, nearest, bilinear, bicubic, lanczos"),
        ("resize:12", "give WIDTHxHEIGHT"),
        ("resize:0x5", "give WIDTHxHEIGHT"),
        ("sharpen", "the form is sharpen:AMOUNT"),
        ("sharpen:4.1", "the form is sharpen:AMOUNT"),
        ("sharpen:inf", "the form is sharpen:AMOUNT"),
        ("denoise:0", "the form is denoise:STRENGTH"),
        ("denoise:1.01", "the form is denoise:STRENGTH"),
        ("pass:1", "the form is pass"),
        (",".join(["pass"] * (MAX_STEPS + 1)), "too long"),
        ("upscale:" + "2" * 300, "too long"),
    ],
)
def test_a_wrong_pipeline_is_refused_with_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Pipeline.parse(text)


@given(st.text(alphabet="upscaleresizhndo:x/,.0123456789pb ", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_pipeline_or_a_usage_error(text: str) -> None:
    try:
        pipeline = Pipeline.parse(text)
    except UsageError:
        return
    assert Pipeline.parse(pipeline.text) == pipeline


def test_a_plan_has_the_size_the_scale_and_the_steps() -> None:
    plan = Pipeline.parse("upscale:3/2,sharpen:0.5").resolve(FRAME)
    assert plan.source == FRAME
    assert plan.output == Size(960, 540)
    assert plan.scale_x == plan.scale_y == Fraction(3, 2)
    assert [(step.name, step.method, step.radius) for step in plan.steps] == [
        ("upscale", "base", 2),
        ("sharpen", None, 1),
    ]
    assert plan.steps[1].amount == 0.5
    assert plan.align == (2, 2)
    assert plan.halo == (4, 4)  # 2 + 1 / (3/2), up to a multiple of 2


def test_every_step_begins_on_a_whole_pixel() -> None:
    # 1/3, then 3/2: one half in all, but a third in between.
    plan = Pipeline.parse("upscale:1/3:nearest,upscale:3/2:nearest").resolve(FRAME)
    assert plan.scale_x == Fraction(1, 2)
    assert plan.align == (6, 6)


def test_resize_is_exact_in_each_direction() -> None:
    plan = Pipeline.parse("resize:1000x719").resolve(FRAME)
    assert plan.output == Size(1000, 719)
    assert (plan.scale_x, plan.scale_y) == (Fraction(25, 16), Fraction(719, 360))
    assert plan.align == (16, 360)


def test_a_pipeline_that_changes_no_size_needs_no_halo() -> None:
    for text in ("pass", "upscale:1", "resize:640x360"):
        plan = Pipeline.parse(text).resolve(FRAME)
        assert (plan.output, plan.halo, plan.align) == (FRAME, (0, 0), (1, 1))


@pytest.mark.parametrize("text", ["upscale:8,upscale:8", "upscale:1/100:bilinear,upscale:1/100"])
def test_a_picture_too_large_or_too_small_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="choose one that stays"):
        Pipeline.parse(text).resolve(FRAME)


def test_the_largest_picture_is_allowed() -> None:
    plan = Pipeline.parse("upscale:8:nearest").resolve(Size(MAX_EDGE // 8, 1))
    assert plan.output == Size(MAX_EDGE, 8)


def test_a_half_is_rounded_up() -> None:
    # The nearest even number would be 2 for the first: what OpenCV would take.
    assert [scaled(length, Fraction(1, 2)) for length in (5, 6, 7)] == [3, 3, 4]


@given(
    st.integers(0, 2 * MAX_EDGE),
    st.fractions(Fraction(1, 100), 8, max_denominator=100),
    st.integers(0, 200),
)
def test_scaling_commutes_with_cutting_where_the_cut_is_whole(
    length: int, scale: Fraction, cells: int
) -> None:
    cut = cells * scale.denominator
    assert scaled(length + cut, scale) == scaled(length, scale) + cut * scale


@given(st.sampled_from(sorted(METHODS)), st.fractions(Fraction(1, 100), 8, max_denominator=100))
def test_a_smaller_scale_never_needs_less(method: str, scale: Fraction) -> None:
    kernel = METHODS[method]
    assert kernel.reach(scale) >= 0
    # The base layer's way down is by area, cell by cell.
    if method != BASE:
        assert kernel.reach(scale / 2) >= kernel.reach(scale)


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=lambda row: row.name)
def test_a_row_has_an_example_that_is_right_and_says_so_of_others(row: Operation) -> None:
    pipeline = Pipeline.parse(row.example)
    assert [call.name for call in pipeline.operations] == [row.name]
    assert Pipeline.parse(pipeline.text) == pipeline
    assert pipeline.resolve(FRAME).steps[0].processor.partition(":")[0] == row.name
    assert row.form.partition(":")[0] == row.name
    with pytest.raises(UsageError) as refused:
        Pipeline.parse(f"{row.name}:no:such:value")
    assert str(refused.value).endswith(f"the form is {row.form}{row.limits}.")


def test_the_commands_help_has_them_all() -> None:
    (help_text,) = {command.epilog for command in app.registered_commands if command.epilog}
    for row in OPERATIONS.values():
        assert f"{row.form} {row.does}" in help_text


def test_only_nearest_leaves_pixels_out_and_only_where_it_makes_smaller() -> None:
    left_out = {
        text
        for method in METHODS
        for text in (f"upscale:2:{method}", f"upscale:1:{method}", f"upscale:1/2:{method}")
        if Pipeline.parse(text).resolve(FRAME).steps[0].leaves_out
    }
    assert left_out == {"upscale:1/2:nearest"}
    assert not Pipeline.parse("sharpen:1").resolve(FRAME).steps[0].leaves_out
