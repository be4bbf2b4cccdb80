"""What every processor owes, whichever library does the work."""

import os
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from p2c2g.errors import ProcessorError
from p2c2g.media.base import base
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import METHODS, NETWORKS
from p2c2g.media.operations import OPERATIONS, Pipeline, Plan, Step
from p2c2g_workers import nets
from p2c2g_workers.processors import (
    CPU,
    Registry,
    known,
    network,
    processor,
    register,
    registry,
    run,
)
from p2c2g_workers.processors.opencl import OPENCL
from tests import opencl

#: Those of the trained nets that this machine can run.
NETS = [
    f"upscale:2:{method}" for method in NETWORKS if not network.MISSING and nets.is_shipped(method)
]
SMOOTH = [
    *(f"upscale:{factor}:{method}" for factor in ("2", "4/3", "1/3") for method in METHODS),
    *(f"resize:70x11:{method}" for method in METHODS),
    "sharpen:0.7",
    "denoise:0.5",
    "pass",
]
NAMES = {text.partition(":")[0] for text in SMOOTH}
#: And the example of every operation that has none above.
EVERY = [
    *SMOOTH,
    *NETS,
    *(row.example for name, row in OPERATIONS.items() if name not in NAMES),
]


def plan_for(text: str, pixels: Pixels) -> Plan:
    return Pipeline.parse(text).resolve(Size.of(pixels))


@pytest.fixture
def picture() -> Pixels:
    return np.random.default_rng(3).integers(0, 256, (41, 53, 3), dtype=np.uint8)


@pytest.fixture(params=["cpu", "opencl", "torch"])
def device(request: pytest.FixtureRequest) -> Registry:
    """The processors of each device."""
    if request.param == "cpu":
        return CPU
    if request.param == "opencl":
        opencl.require()
        return OPENCL
    if find_spec("torch") is None and os.environ.get("CI", "").lower() != "true":
        pytest.skip("needs PyTorch: pip install 'p2c2g[cuda]'")
    from tests.torch_registry import registry as torch_registry

    return torch_registry("cpu")


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.CPU, "_processors", dict(registry.CPU._processors))


def test_every_operation_and_method_has_a_processor(device: Registry) -> None:
    due = set()
    for row in OPERATIONS.values():
        call = Pipeline.parse(row.example).operations[0]
        methods = [] if call.method is None else METHODS
        due |= {f"{row.name}:{method}" for method in methods} or {row.name}
    nets = set() if network.MISSING else {f"upscale:{method}" for method in NETWORKS}
    assert set(device.known()) == due | nets


@pytest.mark.parametrize("text", EVERY)
def test_the_result_has_the_size_that_the_plan_states(
    device: Registry, text: str, picture: Pixels
) -> None:
    plan = plan_for(text, picture)
    result = device.run(plan, picture)
    assert Size.of(result) == plan.output
    assert result.dtype == np.uint8


@pytest.mark.parametrize("text", EVERY)
def test_the_input_is_not_changed(device: Registry, text: str, picture: Pixels) -> None:
    before = picture.copy()
    picture.flags.writeable = False
    device.run(plan_for(text, picture), picture)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("text", EVERY)
def test_a_view_and_a_fourth_channel_make_no_difference(
    device: Registry, text: str, picture: Pixels
) -> None:
    screen = np.full((60, 70, 4), 201, np.uint8)
    screen[5:46, 9:62, :3] = picture
    plan = plan_for(text, picture)
    expected = device.run(plan, picture)
    np.testing.assert_array_equal(device.run(plan, screen[5:46, 9:62]), expected)
    np.testing.assert_array_equal(device.run(plan, screen[5:46, 9:62, :3]), expected)


@pytest.mark.parametrize("text", SMOOTH)  # a net promises less: test_network.py
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_flat_picture_stays_flat(device: Registry, text: str, level: int) -> None:
    flat = np.full((30, 33, 3), level, np.uint8)
    assert (device.run(plan_for(text, flat), flat) == level).all()


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("size", [Size(1, 1), Size(2, 1), Size(1, 5), Size(3, 3)])
def test_the_smallest_pictures_work(device: Registry, text: str, size: Size) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)
    text = text.replace("1/3", "2/3")  # a third of one pixel is none
    plan = Pipeline.parse(text).resolve(size)
    assert Size.of(device.run(plan, pixels)) == plan.output


@pytest.mark.parametrize("text", [text for text in SMOOTH if "base" in text])
def test_the_base_is_the_gamers_own_to_the_level(
    device: Registry, text: str, picture: Pixels
) -> None:
    """Residuals are added to a base that another machine made."""
    for pixels in (picture, np.where(picture > 127, np.uint8(255), np.uint8(0))):
        plan = plan_for(text, pixels)
        due = base(pixels, plan.scale_x, plan.scale_y, plan.output)
        np.testing.assert_array_equal(device.run(plan, pixels), due)


def test_nearest_repeats_the_pixel_that_holds_the_centre(device: Registry) -> None:
    row = np.arange(4, dtype=np.uint8)[None, :, None].repeat(3, 2)
    twice = device.run(plan_for("upscale:2:nearest", row), row)
    assert twice[0, :, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    # 3/2: centres at 1/3, 1, 5/3, 7/3, 3, 11/3; on a border, the pixel that begins there.
    more = device.run(plan_for("upscale:3/2:nearest", row), row)
    assert more[0, :, 0].tolist() == [0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
def test_a_ramp_stays_a_ramp(device: Registry, method: str) -> None:
    """Where the kernel meets no border, a slope is doubled in length and nowhere shifted."""
    ramp = np.arange(20, 100, 4, dtype=np.uint8)[None, :, None].repeat(8, 0).repeat(3, 2)
    wide = device.run(plan_for(f"upscale:2:{method}", ramp), ramp)[8, 8:-8, 0].astype(int)
    expected = 20 + 4 * ((np.arange(8, 32) + 0.5) / 2 - 0.5)
    assert np.abs(wide - expected).max() <= 1


def test_sharpening_never_leaves_the_range_of_the_neighbours(
    device: Registry, picture: Pixels
) -> None:
    sharp = device.run(plan_for("sharpen:4", picture), picture)
    edged = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(edged, (3, 3), axis=(0, 1))
    assert (sharp >= around.min((-2, -1))).all()
    assert (sharp <= around.max((-2, -1))).all()


def test_sharpening_steepens_a_slope(device: Registry) -> None:
    row = np.array([50, 50, 80, 120, 150, 150], np.uint8)[None, :, None].repeat(5, 0).repeat(3, 2)
    sharp = device.run(plan_for("sharpen:1", row), row)[2, :, 0]
    assert int(sharp[3]) - int(sharp[2]) > 40


def test_denoising_removes_a_speck_and_leaves_an_edge(device: Registry) -> None:
    pixels = np.full((9, 12, 3), 100, np.uint8)
    pixels[:, 6:] = 180
    clean = pixels.copy()
    pixels[4, 3] = 110
    np.testing.assert_array_equal(device.run(plan_for("denoise:1", pixels), pixels), clean)


def test_noise_gets_less(device: Registry, picture: Pixels) -> None:
    noise = np.random.default_rng(4).normal(0, 5, (64, 64, 3))
    noisy = np.clip(128 + noise, 0, 255).astype(np.uint8)
    assert device.run(plan_for("denoise:0.6", noisy), noisy).std() < 0.6 * noisy.std()


def test_a_step_that_nobody_does_names_what_is_there(picture: Pixels) -> None:
    plan = plan_for("upscale:2", picture)
    strange = replace(plan, steps=(replace(plan.steps[0], method="net"),))
    with pytest.raises(ProcessorError, match=r"no processor for upscale:net.*upscale:bicubic"):
        run(strange, picture)


@pytest.mark.usefixtures("own_registry")
def test_a_processor_of_ones_own_joins_and_replaces(picture: Pixels) -> None:
    @register("sharpen")
    def invert(pixels: Pixels, _step: object) -> Pixels:
        return 255 - pixels

    plan = plan_for("sharpen:1", picture)
    assert processor(plan.steps[0]) is invert
    np.testing.assert_array_equal(run(plan, picture), 255 - picture)


def test_what_a_test_replaced_is_back(picture: Pixels) -> None:
    """All that is known of a processor is in one table, so nothing of it can stay behind."""
    step = plan_for("sharpen:1", picture).steps[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry.CPU, "_processors", dict(registry.CPU._processors))
        register("sharpen")(lambda pixels, _step: 255 - pixels)
        assert not CPU.takes_planes(step)
    assert CPU.takes_planes(step)


@pytest.mark.usefixtures("own_registry")
def test_one_that_cannot_do_a_step_now_says_so_before(picture: Pixels) -> None:
    class Net:
        def __call__(self, pixels: Pixels, _step: object) -> Pixels:
            raise AssertionError("it was to be asked first")

        @staticmethod
        def check(step: Step) -> None:
            raise ProcessorError(f"no weights for {step.name}")

    register("sharpen")(Net())
    step = plan_for("sharpen:1", picture).steps[0]
    for registered in (CPU, Registry(spare=CPU)):
        with pytest.raises(ProcessorError, match="no weights for sharpen"):
            registered.processor(step)


def test_what_a_device_has_not_its_spare_does(picture: Pixels) -> None:
    card = Registry(spare=CPU)

    @card.register("sharpen")
    def invert(pixels: Pixels, _step: object) -> Pixels:
        return 255 - pixels

    plan = plan_for("sharpen:1,upscale:2", picture)
    np.testing.assert_array_equal(
        card.run(plan, picture), run(plan_for("upscale:2", picture), 255 - picture)
    )
    assert card.known() == known()
    assert card.processor(plan.steps[0]) is invert
    assert CPU.processor(plan.steps[0]) is not invert


@pytest.mark.usefixtures("own_registry")
def test_what_a_processor_raises_is_a_processor_error(picture: Pixels) -> None:
    @register("sharpen")
    def broken(_pixels: Pixels, _step: object) -> Pixels:
        raise RuntimeError("out of memory")

    with pytest.raises(ProcessorError, match="sharpen failed: out of memory") as caught:
        run(plan_for("sharpen:1", picture), picture)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.usefixtures("own_registry")
def test_a_result_of_another_size_is_refused(picture: Pixels) -> None:
    @register("upscale", "bicubic")
    def lazy(pixels: Pixels, _step: object) -> Pixels:
        return pixels

    with pytest.raises(ProcessorError, match="where a picture of 106x82 is due"):
        run(plan_for("upscale:2:bicubic", picture), picture)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.float32)],
)
def test_what_is_no_picture_is_refused(pixels: Pixels) -> None:
    plan = Pipeline.parse("pass").resolve(Size(4, 4))
    with pytest.raises(ProcessorError, match="give uint8 in the shape"):
        run(plan, pixels)
